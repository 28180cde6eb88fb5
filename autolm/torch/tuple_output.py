"""The output of a function that returns several tensors, as the data of one node."""

from __future__ import annotations

from typing import Any


class TupleOutput(tuple[Any, ...]):
    """Several tensors, or their gradients, some of which may be None; addition is elementwise."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        pairs = zip(self, other, strict=True)
        return TupleOutput(a if b is None else b if a is None else a + b for a, b in pairs)
