"""The tensors of a function with several results, as one value of a graph."""

from __future__ import annotations

from typing import Any


class Several(tuple[Any, ...]):
    """Several tensors, or their gradients, of which some may be None; added up one by one."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        pairs = zip(self, other, strict=True)
        return Several(a if b is None else b if a is None else a + b for a, b in pairs)
