"""Property tests of gradients: an oracle, laws, strategies and diagnoses (layer 5).

``check_op(my_op)`` tests an operation in one line and names the mistake. No step size has to be
chosen: derivatives are exact where the forward allows it, and have an error bound otherwise. The
oracle shares no code with the operations under test.
"""

from autolm.testing.call import Call
from autolm.testing.check_report import GradientError, Report, UndecidedWarning
from autolm.testing.expressions import Expression, expressions
from autolm.testing.gradient_checks import assert_gradients, check_gradient, check_graph
from autolm.testing.mutation import Fate, MutationReport, mutation_report
from autolm.testing.operation_checks import calls, check_op
from autolm.testing.oracle import Derivative, differentiate
from autolm.testing.profiles import load_profiles
from autolm.testing.relations import (
    Relation,
    causal,
    causal_along,
    permutation_equivariant,
    shift_invariant,
)
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
