"""Wrong calls of every public function of the kit, generated: each is refused by the name of what
is wrong, or is one that means something.
"""

import math

import numpy as np
import pytest

from autolm import Tensor, ops
from autolm.testing import (
    Call,
    assert_gradients,
    broadcastable_shapes,
    calls,
    causal_along,
    check_gradient,
    check_graph,
    check_op,
    differentiate,
    expressions,
    load_profiles,
    mutation_report,
    permutation_equivariant,
    shift_invariant,
    tensors,
    values,
)

HUGE = 10**30
WRONG = {
    "None": None,
    "a str": "a",
    "an empty str": "",
    "True": True,
    "nan": math.nan,
    "infinity": math.inf,
    "a negative": -1,
    "a fraction": 1.5,
    "a huge int": HUGE,
    "more than a float holds": 10**400,
    "an empty list": [],
    "a list": [1, "a"],
    "a dict": {"a": 1},
    "an object": object(),
    "a complex number": 1j,
}


def passes(op=None):
    """Test nothing."""


def check(op=ops.exp, **told):
    return check_op(op, **{"max_examples": 1, **told})


def gradient(f=ops.exp, **told):
    return check_gradient(f, [1.0], **told)


# Each function, a call that is right, and of each argument the values above that mean something.
NUMBERS = {"True", "nan", "infinity", "a negative", "a fraction", "a huge int", "an empty list"}
FUNCTIONS = {
    "check_op": (check, {"op": set(), "arity": {"None"}, "domain": {"None"}, "max_examples": {"None", "a huge int", "more than a float holds"}, "attributes": {"None"}, "cases": {"None", "an empty list"}, "relations": {"an empty list"}}),
    "calls": (lambda op=ops.exp, **told: calls(op, **told), {"op": set(), "arity": {"None"}, "domain": {"None"}, "attributes": {"None", "a dict"}, "cases": {"None", "an empty list"}, "relations": {"an empty list"}}),
    "check_gradient": (gradient, {"f": set(), "upstream": {"None"}}),
    "check_gradient of a function": (lambda f=lambda x: x * 2, **told: gradient(f, **told), {"f": set(), "upstream": {"None"}}),
    "assert_gradients": (lambda module_or_f=lambda x: x * 2, **told: assert_gradients(module_or_f, [1.0], **told), {"module_or_f": set(), "upstream": {"None"}}),
    "check_graph": (lambda root=Tensor([1.0]) * 2: check_graph(root), {"root": set()}),
    "differentiate": (lambda function=np.exp, point=(np.ones(1),), **told: differentiate(function, point, **told), {"function": set(), "point": {"an empty list"}, "domains": {"None"}, "judge": {"None"}}),
    "mutation_report": (lambda op=ops.exp, test=passes: mutation_report(op, test), {"op": set(), "test": set()}),
    "values": (values, {"kind": set(), "domain": set()}),
    "tensors": (lambda shape=2, **told: tensors(shape, **told), {"shape": {"an empty list"}, "kind": set(), "domain": set(), "dtype": {"None"}}),
    "broadcastable_shapes": (lambda count=2, **told: broadcastable_shapes(count, **told), {"count": set(), "max_dims": set(), "max_side": set()}),
    "expressions": (lambda operations=ops.PRIMITIVES, **told: expressions(operations, **told), {"operations": set(), "required": {"None"}, "max_operations": set()}),
    "shift_invariant": (shift_invariant, {"axis": {"a negative", "a huge int", "more than a float holds"}}),
    "permutation_equivariant": (lambda axis=0: permutation_equivariant(axis), {"axis": {"a negative", "a huge int", "more than a float holds"}}),
    "causal_along": (lambda axis=0: causal_along(axis), {"axis": {"a negative", "a huge int", "more than a float holds"}}),
    "load_profiles": (lambda name="dev": load_profiles(name), {"name": {"None"}}),
    "Call": (lambda inputs=1.0, **told: Call(inputs, **told), {"inputs": NUMBERS | {"a complex number"}, "upstream": NUMBERS | {"a complex number", "None"}}),
}  # fmt: skip
TABLE = [
    pytest.param(call, argument, value, id=f"{name}-{argument}-{word}")
    for name, (call, arguments) in FUNCTIONS.items()
    for argument, meant in arguments.items()
    for word, value in WRONG.items()
    if word not in meant
]


@pytest.mark.parametrize("call", [f for f, _ in FUNCTIONS.values()], ids=FUNCTIONS)
def test_the_call_that_is_spoilt_below_is_right(call):
    call()


@pytest.mark.parametrize(("call", "argument", "value"), TABLE)
def test_a_wrong_argument_is_refused_by_name(call, argument, value):
    with pytest.raises((TypeError, ValueError), match=rf"\b{argument}\b"):
        call(**{argument: value})
