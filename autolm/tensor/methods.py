"""The operations that begin with an array `a`, as methods of a Tensor, made from their records.

A method has the words and the places of its operation, and takes PyTorch's spellings of
NumPy's words. Type checkers and editors read the same in `methods.pyi`, which is generated
(``python -m tests.tensor.stub_of_methods``) and held to the records by a test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autolm import ops

# These take what makes one attribute one by one, and stand in `operators.py`; x[...] is getitem.
OTHERWISE = (ops.reshape, ops.transpose, ops.broadcast_to, ops.getitem)
OPERATIONS = [op for op in ops.OPERATIONS if op.operands[:1] == ("a",) and op not in OTHERWISE]


def _method(operation: ops.ArrayOperation) -> Callable[..., Any]:
    def call(self: Any, *given: Any, **attributes: Any) -> Any:
        return operation(self, *given, **attributes)

    call.__name__, call.__qualname__ = operation.name, f"Methods.{operation.name}"
    call.__doc__ = operation.__doc__
    return call


Methods = type(
    "Methods",
    (),
    {
        "__doc__": "The operations that begin with an array `a`.",
        "__module__": __name__,
        "__slots__": (),
        **{operation.name: _method(operation) for operation in OPERATIONS},
    },
)
