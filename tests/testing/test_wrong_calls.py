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


ONE = np.ones(1)
DOUBLED = Tensor([1.0]) * 2
INTEGERS = {"a negative", "a huge int", "more than a float holds"}
NUMBERS = {"True", "nan", "infinity", "a negative", "a fraction", "a huge int", "an empty list"}
NUMBERS_OF_ANY_KIND = {*NUMBERS, "a complex number"}
TOLD = {
    "op": set(),
    "arity": {"None"},
    "domain": {"None"},
    "attributes": {"None"},
    "cases": {"None", "an empty list"},
    "relations": {"an empty list"},
}


def twice(x):
    return x * 2


def passes():
    """Test nothing."""


def called(function, *arguments, names=(), **options):
    """Return a call that is right, and takes arguments by name in place of its own."""
    own = dict(zip(names, arguments, strict=True))

    def call(**spoilt):
        given = {**own, **options, **spoilt}
        other_axes = {name: value for name, value in given.items() if name not in names}
        return function(*(given[name] for name in names), **other_axes)

    return call


# Each function, a call that is right, and of each argument the values above that mean something.
FUNCTIONS = {
    "check_op": (
        called(check_op, ops.exp, names=["op"], max_examples=1),
        {**TOLD, "max_examples": {"None", "a huge int", "more than a float holds"}},
    ),
    "calls": (called(calls, ops.exp, names=["op"]), {**TOLD, "attributes": {"None", "a dict"}}),
    "check_gradient": (
        called(check_gradient, ops.exp, ONE, names=["f", "x"]),
        {"f": set(), "upstream": {"None"}},
    ),
    "check_gradient of a function": (
        called(check_gradient, twice, ONE, names=["f", "x"]),
        {"f": set(), "upstream": {"None"}},
    ),
    "assert_gradients": (
        called(assert_gradients, twice, ONE, names=["module_or_f", "x"]),
        {"module_or_f": set(), "upstream": {"None"}},
    ),
    "check_graph": (called(check_graph, root=DOUBLED), {"root": set()}),
    "differentiate": (
        called(differentiate, np.exp, [ONE], names=["function", "point"]),
        {"function": set(), "point": {"an empty list"}, "domains": {"None"}, "judge": {"None"}},
    ),
    "mutation_report": (
        called(mutation_report, ops.exp, passes, names=["op", "test"]),
        {"op": set(), "test": set()},
    ),
    "values": (called(values), {"kind": set(), "domain": set()}),
    "tensors": (
        called(tensors, shape=2),
        {"shape": {"an empty list"}, "kind": set(), "domain": set(), "dtype": {"None"}},
    ),
    "broadcastable_shapes": (
        called(broadcastable_shapes, count=2),
        {"count": set(), "max_dims": set(), "max_side": set()},
    ),
    "expressions": (
        called(expressions),
        {"operations": set(), "required": {"None"}, "max_operations": set()},
    ),
    "shift_invariant": (called(shift_invariant), {"axis": INTEGERS}),
    "permutation_equivariant": (called(permutation_equivariant, axis=0), {"axis": INTEGERS}),
    "causal_along": (called(causal_along, axis=0), {"axis": INTEGERS}),
    "load_profiles": (called(load_profiles, name="dev"), {"name": {"None"}}),
    "Call": (
        called(Call, 1.0, names=["inputs"]),
        {"inputs": NUMBERS_OF_ANY_KIND, "upstream": {*NUMBERS_OF_ANY_KIND, "None"}},
    ),
}
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
