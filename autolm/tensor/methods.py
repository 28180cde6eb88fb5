"""The operations whose first operand is an array `a`, as methods of a Tensor.

A method takes the arguments of its operation, and PyTorch's names for them. Type checkers and
editors read `methods.pyi`, which ``python -m tests.tensor.stub_of_methods`` generates; a test
compares it with the records of the operations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autolm import ops

# Defined in `operators.py`, where a shape or axes can be several ints; x[...] is getitem.
WRITTEN_OUT = (ops.reshape, ops.transpose, ops.broadcast_to, ops.getitem)
OPERATIONS = [op for op in ops.OPERATIONS if op.operands[:1] == ("a",) and op not in WRITTEN_OUT]


def _method(operation: ops.ArrayOperation) -> Callable[..., Any]:
    def call(self: Any, *arguments: Any, **attributes: Any) -> Any:
        return operation(self, *arguments, **attributes)

    call.__name__, call.__qualname__ = operation.name, f"Methods.{operation.name}"
    call.__doc__ = operation.__doc__
    return call


Methods = type(
    "Methods",
    (),
    {
        "__doc__": "The operations whose first operand is an array `a`.",
        "__module__": __name__,
        "__slots__": (),
        **{operation.name: _method(operation) for operation in OPERATIONS},
    },
)
