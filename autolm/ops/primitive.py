"""Primitive: an operation on arrays, written as a pure function with its record.

The function takes raw arrays and returns its result and a backward closure, which takes the
upstream gradient and returns one contribution per operand. `@primitive` joins it to the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar, overload

import numpy as np

from autolm.engine.value import Value
from autolm.ops.array_operation import CONDITION, Array, ArrayOperation

Backward = Callable[[Array], tuple[Any, ...]]
Result = tuple[Array, Backward]


@dataclass(eq=False, repr=False)
class Primitive(ArrayOperation):
    """An operation with its own backward rule: its result is one node of a graph.

    Attributes
    ----------
    forward
        The pure function, ``forward(*arrays, **attributes) -> (result, backward)``.
    scalar
        The same operation on object arrays of Values. It is needed only if the forward function
        does not run on them and `definition` is None.
    definition
        The same operation composed of others, ``definition(*operands, **attributes) -> result``, on
        Tensors, to open its node. An elementary operation has none.
    """

    kind: ClassVar[str] = "primitive"

    definition: Callable[..., Any] | None = None

    def record(self, operands: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
        """Run the operation on Tensors, arrays or numbers, and record one node."""
        return _recorder()(self, operands, attributes)

    @cached_property
    def written_by_a_user(self) -> Callable[..., Result] | None:
        """The forward of a user's operation, which may read variables; None for autolm's own."""
        ours = str(getattr(self.forward, "__module__", "")).startswith("autolm.")
        return None if ours else self.forward

    def on_values(self, *operands: Any, **attributes: Any) -> Array:
        """Compute on object arrays of Values, with Value's own rules."""
        attributes = {**self.options, **attributes}
        domains = self.domain if len(self.domain) > 1 else self.domain * len(operands)
        elements = [
            operand * 1
            if operand.dtype == bool and domain is not CONDITION  # a mask as a factor
            else operand.view(_Elements)
            for operand, domain in zip(operands, domains, strict=True)
        ]
        if self.scalar is not None:
            result = self.scalar(*elements, **attributes)
        else:
            result = self.forward(*elements, **attributes)[0]
        return np.asarray(_to_value(np.asarray(result, dtype=object)), dtype=object)


@cache
def _recorder() -> Callable[..., Any]:
    """Import `record` at the first call, because Tensor is in a higher layer."""
    from autolm.tensor.tensor import record

    return record


class _Elements(np.ndarray[Any, Any]):
    """An object array that stays an array when it is 0-d, where NumPy would return the Value."""


_to_value = np.frompyfunc(
    lambda v: v if isinstance(v, Value) else Value(v, requires_grad=False), 1, 1
)


@overload
def primitive(forward: Callable[..., Result], /) -> Primitive: ...
@overload
def primitive(**record: Any) -> Callable[[Callable[..., Result]], Primitive]: ...
def primitive(forward: Callable[..., Result] | None = None, /, **record: Any) -> Any:
    """Turn a function of arrays into an operation on Tensors.

    Parameters
    ----------
    forward
        ``forward(*arrays, **attributes) -> (result, backward)``. It should work for any dtype:
        tests run it on complex numbers, long doubles and object arrays of Values.
    **record
        Any of the fields of `Primitive`; for your own operations all are optional.

    Examples
    --------
    >>> from autolm import Tensor, primitive
    >>> @primitive(symbol="×", formula="a · b", rule=("ḡ · b", "ḡ · a"))
    ... def mul(a, b):
    ...     def backward(grad):
    ...         return grad * b, grad * a
    ...
    ...     return a * b, backward
    >>> x = Tensor([1.0, 2.0])
    >>> mul(x, 3).sum().backward()
    >>> x.grad
    array([3., 3.])
    """
    return Primitive.decorator("primitive", forward, record)
