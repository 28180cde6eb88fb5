"""Prove gradients: an oracle, laws, strategies and named diagnoses, yours and ours (floor 5).

One line proves an operation, or says what is wrong with it: ``check_op(my_op)``. There is no step
size to choose: derivatives are exact where the forward allows it, and know their error where not.
No code that is under test may enter: what the oracle knows, it finds out by itself.
"""

from autolm.testing.call import Call
from autolm.testing.checking_gradients import assert_gradients, check_gradient, check_graph
from autolm.testing.checking_operations import calls, check_op
from autolm.testing.expressions import Expression, expressions
from autolm.testing.mutation import Fate, MutationReport, mutation_report
from autolm.testing.oracle import Derivative, differentiate
from autolm.testing.profiles import load_profiles
from autolm.testing.relations import (
    Relation,
    causal,
    causal_along,
    permutation_equivariant,
    shift_invariant,
)
from autolm.testing.report import GradientError, Report, UndecidedWarning
from autolm.testing.state_machine import GraphMachine
from autolm.testing.strategies import broadcastable_shapes, tensors, values
from autolm.testing.verdict import Row, Verdict

__all__ = [
    "Call",
    "Derivative",
    "Expression",
    "Fate",
    "GradientError",
    "GraphMachine",
    "MutationReport",
    "Relation",
    "Report",
    "Row",
    "UndecidedWarning",
    "Verdict",
    "assert_gradients",
    "broadcastable_shapes",
    "calls",
    "causal",
    "causal_along",
    "check_gradient",
    "check_graph",
    "check_op",
    "differentiate",
    "expressions",
    "load_profiles",
    "mutation_report",
    "permutation_equivariant",
    "shift_invariant",
    "tensors",
    "values",
]
