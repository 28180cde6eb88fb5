"""The operations as methods of a Tensor: generated from their records."""

from collections.abc import Sequence
from typing import Any, Self, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

from autolm.ops.array_arguments import Axis
from autolm.ops.indexing import Places

class Methods:
    __slots__ = ()
    def add(self, b: Any, /) -> Self:
        """Add: a + b."""
    def sub(self, b: Any, /) -> Self:
        """Subtract: a − b."""
    def mul(self, b: Any, /) -> Self:
        """Multiply, element by element: a · b."""
    def div(self, b: Any, /) -> Self:
        """Divide: a / b."""
    def pow(self, b: Any, /) -> Self:
        """Raise to a power: aᵇ; nan if a is negative and b is not an integer."""
    def neg(self) -> Self:
        """Negate: −a."""
    def abs(self) -> Self:
        """Take the absolute value: |a|."""
    def exp(self) -> Self:
        """Take the exponential: eᵃ."""
    def log(self) -> Self:
        """Take the natural logarithm: ln a; −inf at 0, nan below."""
    def sqrt(self) -> Self:
        """Take the square root: √a; nan below 0."""
    def sin(self) -> Self:
        """Take the sine of an angle in radians."""
    def cos(self) -> Self:
        """Take the cosine of an angle in radians."""
    def tanh(self) -> Self:
        """Take the hyperbolic tangent."""
    def sigmoid(self) -> Self:
        """Take the logistic function: 1 / (1 + e⁻ᵃ)."""
    def relu(self) -> Self:
        """Replace negative numbers by 0: max(0, a)."""
    def softplus(self) -> Self:
        """Take a smooth relu: ln(1 + eᵃ), also where eᵃ is too large for a float."""
    def leaky_relu(self, negative_slope: float = 0.01) -> Self:
        """Scale negative numbers by `negative_slope`."""
    def erf(self) -> Self:
        """Take the error function, the probability that a normal variable is within ±a·√2 σ."""
    def erfc(self) -> Self:
        """Take the complementary error function 1 − erf a, without loss of digits where it is small."""
    def gelu(self, *, approximate: str = "none") -> Self:
        """Multiply by the normal distribution function: a · Φ(a), or GPT-2's `approximate="tanh"`."""
    def maximum(self, b: Any, /) -> Self:
        """Take the larger of two, element by element."""
    def minimum(self, b: Any, /) -> Self:
        """Take the smaller of two, element by element."""
    def astype(self, dtype: DTypeLike) -> Self:
        """Convert to another dtype; integers and bools have no gradient."""
    def clamp_min(self, low: Any, /) -> Self:
        """Replace elements below `low` by it; at a tie, a gets the whole gradient."""
    def clamp_max(self, high: Any, /) -> Self:
        """Replace elements above `high` by it; at a tie, a gets the whole gradient."""
    def sum(
        self, axis: Axis = None, keepdims: bool = False, *, dim: Axis = ..., keepdim: bool = ...
    ) -> Self:
        """Add up along axes; the sum of nothing is 0."""
    def prod(
        self, axis: Axis = None, keepdims: bool = False, *, dim: Axis = ..., keepdim: bool = ...
    ) -> Self:
        """Multiply along axes; the product of nothing is 1."""
    def cumsum(self, axis: SupportsIndex | None = None, *, dim: SupportsIndex | None = ...) -> Self:
        """Sum from the start of an axis to each element; without an axis, a is flattened first."""
    def mean(
        self, axis: Axis = None, keepdims: bool = False, *, dim: Axis = ..., keepdim: bool = ...
    ) -> Self:
        """Average along axes; the mean of nothing is nan."""
    def var(
        self,
        axis: Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = ...,
        dim: Axis = ...,
        keepdim: bool = ...,
    ) -> Self:
        """Compute the variance along axes; `ddof` is subtracted from the count, as in NumPy."""
    def max(
        self, axis: Axis = None, keepdims: bool = False, *, dim: Axis = ..., keepdim: bool = ...
    ) -> Self:
        """Take the largest along axes; nan if one is nan, and an error for no elements."""
    def min(
        self, axis: Axis = None, keepdims: bool = False, *, dim: Axis = ..., keepdim: bool = ...
    ) -> Self:
        """Take the smallest along axes; nan if one is nan, and an error for no elements."""
    def norm(
        self,
        ord: float = 2,
        axis: Axis = None,
        keepdims: bool = False,
        *,
        dim: Axis = ...,
        keepdim: bool = ...,
        p: float = ...,
    ) -> Self:
        """Compute the vector norm along axes, by default of all elements as one vector."""
    def logsumexp(
        self, axis: Axis = None, keepdims: bool = False, *, dim: Axis = ..., keepdim: bool = ...
    ) -> Self:
        """Compute ln Σ exp a along axes without overflow; −inf if all elements are −inf."""
    def swapaxes(self, axis1: int, axis2: int) -> Self:
        """Exchange two axes."""
    def masked_fill(self, mask: NDArray[np.bool_], value: float) -> Self:
        """Put `value` where the mask is true; the mask and `a` broadcast."""
    def ordered(
        self, axis: int = -1, *, descending: bool = False, k: int | None = None, dim: int = ...
    ) -> Self:
        """Sort along an axis and return the values, or the first k; `sort` returns positions too."""
    def matmul(self, b: Any, /) -> Self:
        """Multiply matrices over the last two axes; the axes before them broadcast, as in NumPy."""
    def dropout(self, rate: float, *, seed: int) -> Self:
        """Set a random share of elements to 0 and scale the others so that the mean stays the same."""
    def softmax(self, axis: int = -1, *, dim: int = ...) -> Self:
        """Turn scores into probabilities along an axis; a row of −inf alone becomes nan."""
    def log_softmax(self, axis: int = -1, *, dim: int = ...) -> Self:
        """Take the logarithm of the softmax along an axis, exact where the softmax rounds to 0."""
    def erfinv(self) -> Self:
        """Return erf⁻¹ a."""
    def silu(self) -> Self:
        """Multiply by the logistic function: a · σ(a); also called swish."""
    def swiglu(self, b: Any, /) -> Self:
        """Multiply silu(a) by b; in a feed-forward layer a is x W_gate and b is x W_up."""
    def clip(self, low: Any = None, high: Any = None, *, max: Any = ..., min: Any = ...) -> Self:
        """Limit to the interval from low to high; where low is above high it is high, as in NumPy."""
    def std(
        self,
        axis: Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = ...,
        dim: Axis = ...,
        keepdim: bool = ...,
    ) -> Self:
        """Compute the standard deviation along axes; `ddof` is subtracted from the count."""
    def squeeze(self, axis: Axis = None, *, dim: Axis = ...) -> Self:
        """Remove axes of length 1, by default all of them."""
    def unsqueeze(self, axis: int = ..., *, dim: int = ...) -> Self:
        """Insert an axis of length 1, at position `axis` of the result."""
    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Self:
        """Merge the axes from `start_dim` to `end_dim`, by default all, as in PyTorch."""
    def flip(self, axis: Axis = None, *, dim: Axis = ...) -> Self:
        """Reverse the order of elements along axes, by default along all."""
    def roll(self, shift: int | Sequence[int] = ..., axis: Axis = None, *, dim: Axis = ...) -> Self:
        """Shift elements along axes cyclically; without an axis, along the flattened array."""
    def pad(
        self,
        pad_width: int | Sequence[Sequence[int]],
        *,
        mode: str = "constant",
        value: float = 0.0,
    ) -> Self:
        """Extend axes at both ends, with a number or with elements of the array."""
    def split(
        self,
        *,
        indices_or_sections: int | Sequence[int] | None = None,
        split_size_or_sections: int | Sequence[int] | None = None,
        axis: int = 0,
        dim: int = ...,
    ) -> list[Self]:
        """Split into parts along an axis, with the argument of NumPy or of PyTorch, given by name."""
    def chunk(self, chunks: int, axis: int = 0, *, dim: int = ...) -> list[Self]:
        """Split into `chunks` parts of equal length along an axis; the last may be shorter."""
    def gather(self, axis: int = ..., index: Places = ..., *, dim: int = ...) -> Self:
        """Select, in each row along an axis, the elements at the positions in that row of `index`."""
    def sort(
        self, axis: int = -1, descending: bool = False, *, dim: int = ...
    ) -> tuple[Self, Places]:
        """Sort along an axis; return the values and their positions, which have no gradient."""
    def topk(
        self, k: int, axis: int = -1, largest: bool = True, *, dim: int = ...
    ) -> tuple[Self, Places]:
        """Return the k largest elements along an axis, or the k smallest, and their positions."""
    def tril(self, diagonal: int = 0) -> Self:
        """Keep the elements on and below the k-th diagonal of the last two axes; 0 is the main one."""
    def triu(self, diagonal: int = 0) -> Self:
        """Keep the elements on and above the k-th diagonal of the last two axes; 0 is the main one."""
