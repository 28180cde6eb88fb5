"""What is asked of the numbers in a tensor, answered where the tensor is and in its own dtype.

To show three numbers, three are copied from a device. Of a sparse tensor those that it holds are
read; of one without data, on the device `meta`, there is a shape alone.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import torch
from numpy.typing import NDArray

from autolm.torch.several import Several
from autolm.walking.array_adapter import ArrayAdapter, Index, adapter_of, read_numbers


@adapter_of.register(torch.Tensor)
class TensorReading(ArrayAdapter):
    """Reads a tensor."""

    def __init__(self, data: torch.Tensor) -> None:
        self.data = data.detach()

    @property
    def is_known(self) -> bool:  # type: ignore[override]
        """Whether it has data."""
        return not self.data.is_meta

    @property
    def shape(self) -> Index:
        """Length of each axis."""
        return tuple(self.data.shape)

    @property
    def dtype(self) -> str:
        """What an element is, without the library's name."""
        return str(self.data.dtype).removeprefix("torch.")

    @property
    def _held(self) -> torch.Tensor:
        """The numbers that are held: of a sparse tensor, those that are not left out."""
        if self.data.layout is torch.sparse_coo:
            return self.data.coalesce().values()
        return self.data if self.data.layout is torch.strided else self.data.values()

    def array(self) -> NDArray[Any] | None:
        """Return the numbers as an array; None without data, and of complex ones."""
        if not self.is_known or self.data.is_complex():
            return None
        dense = self.data if self.data.layout is torch.strided else self.data.to_dense()
        dense = dense.float() if dense.dtype is torch.bfloat16 else dense  # NumPy has none
        return dense.cpu().resolve_neg().numpy()

    def first(self, count: int) -> list[Any]:
        """Return the first numbers, row by row."""
        if self.data.layout is not torch.strided:
            return self._held.flatten()[:count].tolist()
        found, place = [], [0] * len(self.shape)
        for _ in range(min(count, self.size)):
            found.append(self.data[tuple(place)].item())
            for axis in range(len(place) - 1, -1, -1):
                place[axis] += 1
                if place[axis] < self.shape[axis]:
                    break
                place[axis] = 0
        return found

    def norm(self) -> float:
        """Return the Euclidean length, scaled so that it does not overflow."""
        held = _wide(self._held)
        largest = float(held.abs().max()) if self.is_known and held.numel() else 0.0
        if largest == 0 or not math.isfinite(largest):
            return largest
        return largest * float(torch.linalg.vector_norm(held / largest))

    def extent(self) -> tuple[float, float]:
        """Return the smallest and the largest number; of complex ones, of their sizes."""
        held = self._held.abs() if self.data.is_complex() else self._held
        left_out = [0.0] if held.numel() < self.size else []
        ends = [end.item() for end in held.aminmax()] if held.numel() else []
        return min(ends + left_out, default=0.0), max(ends + left_out, default=0.0)

    def not_finite(self, *, nan: bool = False) -> Index | None:
        """Return the place of the first number that is infinite or nan, or that is nan."""
        if self.is_finite():
            return None
        dense = self.data if self.data.layout is torch.strided else self.data.to_dense()
        bad = dense.isnan() if nan else dense.isfinite().logical_not()
        return tuple(bad.nonzero()[0].tolist()) if bad.any() else None

    def is_finite(self) -> bool:
        """Whether every number is neither infinite nor nan."""
        return not self.is_known or bool(self._held.isfinite().all())

    def equals(self, other: Any) -> bool:
        """Whether this holds the same numbers as another tensor of its kind; a nan is one."""
        if other is None or not self.is_known:
            return False
        a, b = self.data, other
        if (a.shape, a.dtype, a.layout, a.device) != (b.shape, b.dtype, b.layout, b.device):
            return False
        if a.layout is not torch.strided:
            a, b = a.to_dense(), b.to_dense()
        return bool(((a == b) | ((a != a) & (b != b))).all())

    def distance(self, other: Any) -> float:
        """Return the length of the difference to another tensor."""
        return TensorReading(_wide(other) - _wide(self.data)).norm()

    def at(self, index: Index, shape: Index) -> float:
        """Return the number at a place in a tensor of this shape, to which this broadcasts."""
        dense = self.data if self.data.layout is torch.strided else self.data.to_dense()
        return float(dense.expand(shape)[index])

    def ones(self) -> Any:
        """Return as many ones."""
        return torch.ones_like(self.data)

    def changed(self, place: Index, given: Any) -> torch.Tensor:
        """Return a copy with other numbers at a place."""
        copy = self.data.clone()
        copy[place] = TensorReading(copy[place]).like(given)
        return copy

    def like(self, given: Any) -> torch.Tensor:
        """Read numbers in place of these: of this shape, in this dtype, where these are."""
        try:
            found = torch.as_tensor(given).detach()
        except (TypeError, ValueError, RuntimeError):  # what is not numbers is refused there
            found = torch.as_tensor(read_numbers(given, self.shape))
        if found.shape != self.data.shape:
            raise ValueError(
                f"a tensor of shape {self.shape} is needed, not one of {tuple(found.shape)}"
            )
        return found.to(self.data.device, self.data.dtype)


def _wide(numbers: torch.Tensor) -> torch.Tensor:
    """Return numbers in a dtype in which lengths can be computed."""
    if numbers.is_floating_point() or numbers.is_complex():
        return numbers.float() if numbers.element_size() < 4 else numbers
    return numbers.double()


@adapter_of.register(Several)
class SeveralReading(ArrayAdapter):
    """Reads the tensors of one function, of which some may be missing."""

    @property
    def _each(self) -> list[TensorReading]:
        return [TensorReading(each) for each in self.data if each is not None]

    @property
    def is_known(self) -> bool:  # type: ignore[override]
        """Whether there is any data."""
        return any(each.is_known for each in self._each)

    @property
    def shape(self) -> Index:
        """How many results there are."""
        return (len(self.data),)

    @property
    def dtype(self) -> str:
        """What these are."""
        return "results"

    def array(self) -> None:
        """Return nothing: several arrays are not one."""

    def first(self, count: int) -> list[Any]:
        """Return the first numbers of the first."""
        return [number for each in self._each[:1] for number in each.first(count)]

    def norm(self) -> float:
        """Return the length of all of them together."""
        return reduce(math.hypot, (each.norm() for each in self._each), 0.0)

    def extent(self) -> tuple[float, float]:
        """Return the smallest and the largest number of all."""
        ends = [end for each in self._each for end in each.extent()]
        return min(ends), max(ends)

    def not_finite(self, *, nan: bool = False) -> Index | None:
        """Return which result, and the place in it, is infinite or nan."""
        held = ((i, each) for i, each in enumerate(self.data) if each is not None)
        places = ((i, TensorReading(each).not_finite(nan=nan)) for i, each in held)
        return next(((i, *place) for i, place in places if place is not None), None)

    def is_finite(self) -> bool:
        """Whether every number of all is neither infinite nor nan."""
        return all(each.is_finite() for each in self._each)

    def equals(self, other: Any) -> bool:
        """Whether others hold the same."""
        return other is not None and all(
            a is b is None or (a is not None and TensorReading(a).equals(b))
            for a, b in zip(self.data, other, strict=True)
        )

    def distance(self, other: Any) -> float:
        """Return the length of the difference of all."""
        pairs = ((a, b) for a, b in zip(self.data, other, strict=True) if a is not None)
        return reduce(math.hypot, (TensorReading(a).distance(b) for a, b in pairs), 0.0)

    def at(self, index: Index, shape: Index) -> float:
        """Return the number at a place in one of them."""
        return float(self.data[index[0]][index[1:]])

    def ones(self) -> Any:
        """Return ones in place of each."""
        return Several(None if each is None else torch.ones_like(each) for each in self.data)
