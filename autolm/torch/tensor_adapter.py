"""Array adapters for PyTorch tensors: they compute on the tensor's device, in its own dtype.

Showing three elements copies three elements from the device. For a sparse tensor, only the stored
elements are read. A tensor on the device `meta` has a shape and no data.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import torch
from numpy.typing import NDArray

from autolm.torch.tuple_output import TupleOutput
from autolm.walking.array_adapter import ArrayAdapter, Index, adapter_of, read_numbers


@adapter_of.register(torch.Tensor)
class TensorAdapter(ArrayAdapter):
    """Adapter for a tensor."""

    def __init__(self, data: torch.Tensor) -> None:
        self.data = data.detach()

    @property
    def has_numbers(self) -> bool:  # type: ignore[override]
        """Whether the tensor has data."""
        return not self.data.is_meta

    @property
    def shape(self) -> Index:
        """Length of each axis."""
        return tuple(self.data.shape)

    @property
    def dtype(self) -> str:
        """The dtype without the prefix ``torch.``."""
        return str(self.data.dtype).removeprefix("torch.")

    @property
    def _elements(self) -> torch.Tensor:
        """The stored elements."""
        if self.data.layout is torch.sparse_coo:
            return self.data.coalesce().values()
        return self.data if self.data.layout is torch.strided else self.data.values()

    def array(self) -> NDArray[Any] | None:
        """Return the elements as a NumPy array; None if there are no data or they are complex."""
        if not self.has_numbers or self.data.is_complex():
            return None
        dense = self.data if self.data.layout is torch.strided else self.data.to_dense()
        dense = dense.float() if dense.dtype is torch.bfloat16 else dense  # NumPy has none
        return dense.cpu().resolve_neg().numpy()

    def first(self, count: int) -> list[Any]:
        """Return the first `count` elements in row-major order."""
        if self.data.layout is not torch.strided:
            return self._elements.flatten()[:count].tolist()
        elements, index = [], [0] * len(self.shape)
        for _ in range(min(count, self.size)):
            elements.append(self.data[tuple(index)].item())
            for axis in range(len(index) - 1, -1, -1):
                index[axis] += 1
                if index[axis] < self.shape[axis]:
                    break
                index[axis] = 0
        return elements

    def norm(self) -> float:
        """Return the Euclidean norm, scaled so that it does not overflow."""
        elements = _widen(self._elements)
        largest = float(elements.abs().max()) if self.has_numbers and elements.numel() else 0.0
        if largest == 0 or not math.isfinite(largest):
            return largest
        return largest * float(torch.linalg.vector_norm(elements / largest))

    def extent(self) -> tuple[float, float]:
        """Return the smallest and the largest element; for complex ones, of their magnitudes."""
        elements = self._elements.abs() if self.data.is_complex() else self._elements
        omitted = [0.0] if elements.numel() < self.size else []
        ends = [end.item() for end in elements.aminmax()] if elements.numel() else []
        return min(ends + omitted, default=0.0), max(ends + omitted, default=0.0)

    def index_of_nonfinite(self, *, nan: bool = False) -> Index | None:
        """Return the index of the first non-finite element; with `nan`, of the first nan."""
        if self.is_finite():
            return None
        dense = self.data if self.data.layout is torch.strided else self.data.to_dense()
        bad = dense.isnan() if nan else dense.isfinite().logical_not()
        return tuple(bad.nonzero()[0].tolist()) if bad.any() else None

    def is_finite(self) -> bool:
        """Whether all elements are finite."""
        return not self.has_numbers or bool(self._elements.isfinite().all())

    def equals(self, other: Any) -> bool:
        """Whether both tensors have the same elements, dtype and device; nan equals nan."""
        if other is None or not self.has_numbers:
            return False
        a, b = self.data, other
        if (a.shape, a.dtype, a.layout, a.device) != (b.shape, b.dtype, b.layout, b.device):
            return False
        if a.layout is not torch.strided:
            a, b = a.to_dense(), b.to_dense()
        return bool(((a == b) | ((a != a) & (b != b))).all())

    def distance(self, other: Any) -> float:
        """Return the Euclidean norm of the difference."""
        return TensorAdapter(_widen(other) - _widen(self.data)).norm()

    def at(self, index: Index, shape: Index) -> float:
        """Return the element at an index, after broadcasting to `shape`."""
        dense = self.data if self.data.layout is torch.strided else self.data.to_dense()
        return float(dense.expand(shape)[index])

    def ones(self) -> Any:
        """Return ones of the same shape, dtype and device."""
        return torch.ones_like(self.data)

    def with_entry(self, place: Index, given: Any) -> torch.Tensor:
        """Return a copy with other values at an index."""
        copy = self.data.clone()
        copy[place] = TensorAdapter(copy[place]).read_replacement(given)
        return copy

    def read_replacement(self, given: Any) -> torch.Tensor:
        """Convert values to a tensor of the same shape, dtype and device."""
        try:
            tensor = torch.as_tensor(given).detach()
        except (
            TypeError,
            ValueError,
            RuntimeError,
        ):  # `read_numbers` raises if these are not numbers
            tensor = torch.as_tensor(read_numbers(given, self.shape))
        if tensor.shape != self.data.shape:
            raise ValueError(
                f"a tensor of shape {self.shape} is needed, not one of {tuple(tensor.shape)}"
            )
        return tensor.to(self.data.device, self.data.dtype)


def _widen(tensor: torch.Tensor) -> torch.Tensor:
    """Convert to a dtype that is wide enough to compute norms."""
    if tensor.is_floating_point() or tensor.is_complex():
        return tensor.float() if tensor.element_size() < 4 else tensor
    return tensor.double()


@adapter_of.register(TupleOutput)
class TensorTupleAdapter(ArrayAdapter):
    """Adapter for the outputs of one function; some may be None."""

    @property
    def _adapters(self) -> list[TensorAdapter]:
        return [TensorAdapter(tensor) for tensor in self.data if tensor is not None]

    @property
    def has_numbers(self) -> bool:  # type: ignore[override]
        """Whether any output has data."""
        return any(adapter.has_numbers for adapter in self._adapters)

    @property
    def shape(self) -> Index:
        """The number of outputs."""
        return (len(self.data),)

    @property
    def dtype(self) -> str:
        """The word shown in place of a dtype."""
        return "results"

    def array(self) -> None:
        """Return None: several tensors are not one array."""

    def first(self, count: int) -> list[Any]:
        """Return the first elements of the first output."""
        return [number for adapter in self._adapters[:1] for number in adapter.first(count)]

    def norm(self) -> float:
        """Return the Euclidean norm over all outputs."""
        return reduce(math.hypot, (adapter.norm() for adapter in self._adapters), 0.0)

    def extent(self) -> tuple[float, float]:
        """Return the smallest and the largest element of all outputs."""
        ends = [end for adapter in self._adapters for end in adapter.extent()]
        return min(ends), max(ends)

    def index_of_nonfinite(self, *, nan: bool = False) -> Index | None:
        """Return the output number and the index of the first non-finite element."""
        for i, tensor in enumerate(self.data):
            index = None if tensor is None else TensorAdapter(tensor).index_of_nonfinite(nan=nan)
            if index is not None:
                return (i, *index)
        return None

    def is_finite(self) -> bool:
        """Whether all elements of all outputs are finite."""
        return all(adapter.is_finite() for adapter in self._adapters)

    def equals(self, other: Any) -> bool:
        """Whether both have equal outputs."""
        return other is not None and all(
            a is b is None or (a is not None and TensorAdapter(a).equals(b))
            for a, b in zip(self.data, other, strict=True)
        )

    def distance(self, other: Any) -> float:
        """Return the Euclidean norm of the difference, over all outputs."""
        pairs = ((a, b) for a, b in zip(self.data, other, strict=True) if a is not None)
        return reduce(math.hypot, (TensorAdapter(a).distance(b) for a, b in pairs), 0.0)

    def at(self, index: Index, shape: Index) -> float:
        """Return the element at (output number, *index)."""
        return float(self.data[index[0]][index[1:]])

    def ones(self) -> Any:
        """Return ones for each output."""
        return TupleOutput(None if t is None else torch.ones_like(t) for t in self.data)
