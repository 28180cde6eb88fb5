"""Operations that are composed of others: a function of Tensors, and its record.

Such a function uses the operators and methods of its operands and has no backward rule: its result
is the last node of a graph that shows its mathematics, with a textbook's names. `@composed` adds
its record. A choice that depends on the numbers of an operand belongs in a primitive: in a graph it
would be a constant, which does not change when the numbers are edited and computed again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar, overload

from autolm.ops.array_arguments import respelled
from autolm.ops.array_operation import ArrayOperation


@dataclass(eq=False, repr=False)
class Composed(ArrayOperation):
    """An operation composed of others: its result is the last node of a graph of theirs.

    Attributes
    ----------
    forward
        ``forward(*operands, **attributes)``, on Tensors; it returns one, or several in a tuple or a
        list. An attribute that is a Tensor of integers arrives as its array. An operand whose
        default is None may be omitted, and may be positional or named.
    rule
        The contribution to each operand through the whole graph.
    scalar
        The same operation on object arrays of Values; by default composed of the same operations.
    """

    kind: ClassVar[str] = "composed"

    def __call__(self, *operands: Any, **attributes: Any) -> Any:
        """Run the operation, with None for optional operands that are omitted."""
        missing = self.operands[len(operands) :]
        if missing and set(missing) <= set(self.optional):
            if attributes:
                attributes = respelled(self.name, attributes, (*self.words, *self.optional))
            operands += tuple(attributes.pop(name, None) for name in missing)
        return super().__call__(*operands, **attributes)

    def record(self, operands: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
        """Run the composition on Tensors, arrays or numbers, and record its nodes."""
        return _recorder()(self, operands, attributes)

    @cached_property
    def optional(self) -> tuple[str, ...]:
        """The operands that may be omitted or named."""
        defaults = getattr(self.forward, "__defaults__", None) or ()
        return self.operands[len(self.operands) - len(defaults) :]


@cache
def _recorder() -> Callable[..., Any]:
    """Import `compose` at the first call, because Tensor is in a higher layer."""
    from autolm.tensor.tensor import compose

    return compose


@overload
def composed(forward: Callable[..., Any], /) -> Composed: ...
@overload
def composed(**record: Any) -> Callable[[Callable[..., Any]], Composed]: ...
def composed(forward: Callable[..., Any] | None = None, /, **record: Any) -> Any:
    """Turn a function of Tensors into an operation with a record.

    Parameters
    ----------
    forward
        ``forward(*operands, **attributes)``; its operands arrive as Tensors.
    **record
        Any of the fields of `Composed`; for your own operations all are optional.

    Examples
    --------
    >>> from autolm import Tensor
    >>> from autolm.ops import composed
    >>> @composed(formula="a²", rule=("ḡ · 2a",))
    ... def square(a):
    ...     return a * a
    >>> square([1.0, 2.0])
    Tensor([1., 4.])
    >>> x = Tensor(3.0)
    >>> square(x).backward()
    >>> x.grad
    array(6.)
    """
    return Composed.decorator("composed", forward, record)
