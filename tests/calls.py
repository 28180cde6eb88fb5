"""Random calls of an operation, drawn from its record: shapes that broadcast, data in a domain."""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from autolm import Tensor, ops
from autolm.ops.array_operation import CONDITION

each_operation = {
    "argnames": "op",
    "argvalues": ops.OPERATIONS,
    "ids": lambda op: op.name,
}

of_one_number = [op for op in ops.PRIMITIVES if len(op.rule) == 1 and not op.cases]


class Call(NamedTuple):
    """An operation, the raw arrays to call it with, its attributes, and an upstream gradient."""

    op: ops.ArrayOperation
    arrays: tuple[np.ndarray, ...]
    attributes: dict[str, Any]
    upstream: np.ndarray

    @property
    def differentiable(self):
        return [i for i, array in enumerate(self.arrays) if array.dtype.kind == "f"]

    def on_tensors(self):
        """Return the operands as Tensors, and the result."""
        tensors = [Tensor(array) for array in self.arrays]
        return tensors, end_to_end(self.op(*tensors, **self.attributes))


def end_to_end(actual):
    """Concatenate several results; integer results are left out."""
    if isinstance(actual, Tensor):
        return actual
    kept = [part for part in actual if isinstance(part, Tensor)]
    return ops.concatenate([part.reshape(part.size) for part in kept])


def arity(op):
    return len(op.cases[0].shapes) if op.cases else len(op.rule)


def domains(op, number):
    return op.domain * number if len(op.domain) == 1 else op.domain


def operands_of(op, shapes, rng):
    """Yield an operand of each shape, in the domain of the operation."""
    for shape, domain in zip(shapes, domains(op, len(shapes)), strict=True):
        if domain is CONDITION:
            yield Tensor(rng.random(shape) > 0.5)
        else:
            yield Tensor(rng.uniform(0.2, 0.9, shape))


@st.composite
def calls(draw, op):
    """Draw a call; no two numbers of it are close to one another, or to a whole number (a kink)."""
    if op.cases:
        shapes, attributes = draw(st.sampled_from(op.cases))
    else:
        many = mutually_broadcastable_shapes(num_shapes=arity(op), max_dims=3, max_side=3)
        shapes, attributes = draw(many).input_shapes, {}
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    places = iter(rng.permutation(256))

    def sample(shape, domain):
        if domain is CONDITION:
            return np.array(rng.random(shape) < 0.5)
        low, high = max(domain[0] + 0.25, -2), min(domain[1], 2)
        size = int(np.prod(shape))
        steps = [next(places) + 0.5 + rng.uniform(-0.1, 0.1) for _ in range(size)]
        return np.array(low + (high - low) * np.reshape(steps, shape) / 256)

    arrays = tuple(map(sample, shapes, domains(op, len(shapes))))
    result = end_to_end(op(*arrays, **attributes))
    return Call(op, arrays, attributes, np.array(rng.normal(size=result.shape)))
