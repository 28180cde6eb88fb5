"""The operations of a transformer, each fused into one node: product, norms, embedding, dropout.

`definitions.py` composes the norms and dropout of smaller operations.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops import definitions, on_values
from autolm.ops.array_arguments import read_integers, require_broadcast
from autolm.ops.array_operation import Array, Case
from autolm.ops.call_patterns import Ids, Mask, OneOf, Pattern
from autolm.ops.primitive import Backward, primitive
from autolm.ops.reduce import accumulating, dot_along, floating, rounded_as, sum_along
from autolm.outside.arguments import quote, read_int, read_number
from autolm.outside.message import message


@primitive(
    symbol="@",
    formula="yᵢⱼ = Σₖ aᵢₖ · bₖⱼ",
    rule=("ḡ · bᵀ", "aᵀ · ḡ"),
    scalar=on_values.matmul,
    cases=(
        Case(((2, 3), (3, 4))),
        Case(((3, 3), (3, 3))),
        Case(((3,), (3,))),
        Case(((2, 3), (3,))),
        Case(((3,), (3, 2))),
        Case(((5, 2, 3), (3, 4))),
        Case(((2, 1, 2, 3), (3, 3, 2))),
        Case(((3,), (2, 3, 4))),
        Case(((2, 3, 4), (4,))),
    ),
    patterns=(
        Pattern(("… n k", "… k m")),
        Pattern(("k", "k")),
        Pattern(("… n k", "k")),
        Pattern(("k", "… k m")),
    ),
)
def matmul(a: Array, b: Array, /) -> tuple[Array, Backward]:
    """Multiply matrices over the last two axes; the axes before them broadcast, as in NumPy.

    ``(…, n, k) @ (…, k, m) -> (…, n, m)``; a vector counts as one row on the left and as one column
    on the right, and its axis is dropped from the result.
    """
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(
            message(
                "matmul: a is {shape} and b is {shape2}: a number has no rows and "
                "columns; use * to scale",
                shape=a.shape,
                shape2=b.shape,
            )
        )
    rows = a[None, :] if a.ndim == 1 else a
    columns = b[:, None] if b.ndim == 1 else b
    if rows.shape[-1] != columns.shape[-2]:
        raise ValueError(
            message(
                "matmul: a is {shape} and b is {shape2}: inner sizes {shape3} and {shape4} differ",
                shape=a.shape,
                shape2=b.shape,
                shape3=rows.shape[-1],
                shape4=columns.shape[-2],
            )
        )
    if b.ndim == 2 and a.ndim > 1 and a.size and b.size:
        return _times_one_matrix(a, b)
    if rows.ndim > 2 and columns.ndim > 2:
        batches = {"the batch of a": rows.shape[:-2], "of b": columns.shape[:-2]}
        require_broadcast("matmul", batches)
    product = rows @ columns
    y = product
    if a.ndim == 1:
        y = y[..., 0, :]
    if b.ndim == 1:
        y = y[..., 0]

    def backward(grad: Array) -> tuple[Array, Array]:
        grad = grad.reshape(product.shape)
        to_columns = rows.swapaxes(-1, -2) @ grad
        return grad @ columns.swapaxes(-1, -2), to_columns[..., 0] if b.ndim == 1 else to_columns

    return y, backward


def _times_one_matrix(a: Array, b: Array) -> tuple[Array, Backward]:
    """Multiply a batch by one matrix, as one product of all rows."""
    k, m = b.shape
    rows = a.reshape(-1, k)

    def backward(grad: Array) -> tuple[Array, Array]:
        upstream = grad.reshape(-1, m)
        return (upstream @ b.T).reshape(a.shape), rows.T @ upstream

    return (rows @ b).reshape(*a.shape[:-1], m), backward


@primitive(
    symbol="norm",
    formula="y = n · gain + bias,  n = (x − mean x) / √(var x + ε)",
    rule=(
        "(h − mean h − n · mean(h · n)) / √(var x + ε),  h = ḡ · gain",
        "ḡ · n",
        "ḡ",
    ),
    scalar=on_values.layer_norm,
    definition=definitions.layer_norm,
    cases=(
        Case(((4,), (4,), (4,)), {"eps": 1e-5}),
        Case(((2, 3), (3,), (3,)), {"eps": 1e-5}),
        Case(((2, 3, 4), (4,), (4,)), {"eps": 1e-3}),
    ),
    patterns=(Pattern(("… n", "n", "n"), {"eps": OneOf(1e-5, 1e-3, 0.5)}),),
)
def layer_norm(
    x: Array, gain: Array, bias: Array, /, *, eps: float = 1e-5
) -> tuple[Array, Backward]:
    """Normalize the last axis to mean 0 and variance 1, then scale and shift it.

    Source: Ba, Kiros and Hinton, Layer Normalization (2016), section 3.
    """
    eps = read_norm("layer_norm", x, eps, gain=gain, bias=bias)
    original = floating(x)
    x = accumulating(original)
    size = x.shape[-1]
    normal = x - sum_along(x) / size
    inverse = 1 / np.sqrt(dot_along(normal, normal) / size + eps)
    normal *= inverse
    y = normal * gain
    y += bias

    def backward(grad: Array) -> tuple[Array, Array, Array]:
        grad = accumulating(grad)
        to_x = grad * gain
        center = sum_along(to_x) / size
        to_x -= normal * (dot_along(to_x, normal) / size)
        to_x -= center
        to_x *= inverse
        rows = _as_rows(grad)
        return to_x, _sum_of_products(rows, _as_rows(normal)), rows.sum(axis=0)

    return rounded_as(y, original, gain, bias), backward


def read_norm(name: str, x: Array, eps: float, **vectors: Array) -> float:
    """Return ε as a number; refuse vectors whose width differs from x's."""
    if x.ndim == 0:
        raise ValueError(message("{name}: x is (); it must be (…, width)", name=name))
    for operand, vector in vectors.items():
        if vector.shape != x.shape[-1:]:
            raise ValueError(
                message(
                    "{name}: x is {shape}, so {operand} must be {shape2}, not {shape3}",
                    name=name,
                    shape=x.shape,
                    operand=operand,
                    shape2=x.shape[-1:],
                    shape3=vector.shape,
                )
            )
    eps = read_number(name, "eps", eps)
    if not 0 <= eps < math.inf:
        raise ValueError(
            message("{name}: eps must be finite and at least 0, not {eps}", name=name, eps=eps)
        )
    return float(eps)


def _sum_of_products(rows: Array, factors: Array) -> Array:
    """Return Σᵢ aᵢⱼ · bᵢⱼ without storing the products."""
    total: Array = np.einsum("ij,ij->j", rows, factors)
    return total


def _as_rows(a: Array) -> Array:
    """View an array as a matrix with the same last axis, also where −1 would be ambiguous."""
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])


@primitive(
    symbol="rms norm",
    formula="y = n · gain,  n = x / √(mean x² + ε)",
    rule=("(h − n · mean(h · n)) / √(mean x² + ε),  h = ḡ · gain", "ḡ · n"),
    scalar=on_values.rms_norm,
    definition=definitions.rms_norm,
    cases=(
        Case(((4,), (4,)), {"eps": 1e-5}),
        Case(((2, 3, 4), (4,)), {"eps": 1e-3}),
    ),
    patterns=(Pattern(("… n", "n"), {"eps": OneOf(1e-5, 1e-3, 0.5)}),),
)
def rms_norm(x: Array, gain: Array, /, *, eps: float = 1e-5) -> tuple[Array, Backward]:
    """Divide the last axis by its root mean square, then scale it.

    Source: Zhang and Sennrich, Root Mean Square Layer Normalization (2019), equation 4.
    """
    eps = read_norm("rms_norm", x, eps, gain=gain)
    original = floating(x)
    x = accumulating(original)
    size = x.shape[-1]
    inverse = 1 / np.sqrt(dot_along(x, x) / size + eps)
    normal = x * inverse

    def backward(grad: Array) -> tuple[Array, Array]:
        grad = accumulating(grad)
        to_x = grad * gain
        to_x -= normal * (dot_along(to_x, normal) / size)
        to_x *= inverse
        return to_x, _sum_of_products(_as_rows(grad), _as_rows(normal))

    return rounded_as(normal * gain, original, gain), backward


FEW = 1024  # up to this many numbers, adding one by one is faster than sorting


@primitive(
    symbol="E[ ]",
    formula="row of E for each token id",
    places=("token_ids",),
    rule=("ḡ added to the row of each id",),
    cases=(
        Case(((4, 3),), {"token_ids": np.array([1, 3, 1])}),
        Case(((5, 2),), {"token_ids": np.array([[0, 4], [4, 4]])}),
        Case(((3, 2),), {"token_ids": np.array(2)}),
    ),
    patterns=(Pattern(("n d",), {"token_ids": Ids("n", "…")}),),
)
def embedding(weight: Array, /, *, token_ids: NDArray[np.integer]) -> tuple[Array, Backward]:
    """Look up the row of `weight`, (vocabulary, d_model), for each id: (…) -> (…, d_model)."""
    shape, ids = weight.shape, read_token_ids(weight, token_ids)

    def backward(grad: Array) -> tuple[Array]:
        rows = accumulating(grad).reshape(ids.size, *shape[1:])
        scattered = np.zeros(shape, dtype=rows.dtype)
        if rows.size <= FEW:
            np.add.at(scattered, ids.reshape(-1), rows)
            return (scattered,)
        order = np.argsort(ids, axis=None, kind="stable")
        ids_once, starts = np.unique(ids.reshape(-1)[order], return_index=True)
        scattered[ids_once] = np.add.reduceat(rows[order], starts, axis=0)
        return (scattered,)

    return weight[ids], backward


def read_token_ids(weight: Array, token_ids: Any) -> NDArray[np.integer]:
    """Return token ids as an array of indices; each must have a row."""
    if weight.ndim == 0:
        raise ValueError(message("embedding: weight is (); it must be (vocabulary, d_model)"))
    if weight.dtype.kind in "biu":
        order = "the order is embedding(weight, token_ids)"
        raise TypeError(
            message(
                "embedding: weight must be floats, not {dtype}; {order}",
                dtype=weight.dtype,
                order=order,
            )
        )
    ids = read_integers("embedding", "token_ids", token_ids)
    return require_known("embedding", "token_ids", ids, weight.shape[0])


def require_known(
    name: str, argument: str, ids: NDArray[np.integer], vocab_size: int
) -> NDArray[np.integer]:
    """Return integers as indices; refuse one that is outside the vocabulary."""
    indices = ids.astype(np.intp, copy=False)
    if ids.size and indices.view(np.uintp).max() >= vocab_size:  # negative ones become huge
        wrong = ids[(ids < 0) | (ids >= vocab_size)].flat[0]
        raise ValueError(
            message(
                "{name}: {argument}: token id {wrong} is outside the vocabulary of {vocab_size}",
                name=name,
                argument=argument,
                wrong=wrong,
                vocab_size=vocab_size,
            )
        )
    return indices


@primitive(
    symbol="mask",
    formula="value where mask, else a",
    places=("mask", "value"),
    rule=("ḡ where not mask",),
    cases=(
        Case(((2, 2),), {"mask": np.array([[False, True], [False, False]]), "value": -1.0}),
        Case(((2, 2, 2),), {"mask": np.array([[False, True], [False, False]]), "value": 0.0}),
    ),
    patterns=(Pattern(("…",), {"mask": Mask(), "value": OneOf(0.0, -1.0, 3)}),),
)
def masked_fill(a: Array, /, *, mask: NDArray[np.bool_], value: float) -> tuple[Array, Backward]:
    """Put `value` where the mask is true; the mask and `a` broadcast."""
    mask, value = read_mask(mask, a), read_number("masked_fill", "value", value)

    def backward(grad: Array) -> tuple[Array]:
        return (np.where(mask, 0, grad),)

    return put(mask, value, a), backward


def put(mask: Array, value: float, a: Array) -> Array:
    """Put a number where the mask is true; the result is floats if a's integers cannot hold it."""
    filling: Any = value
    if a.dtype.kind in "biu" and isinstance(value, int):  # np.where would wrap it around
        try:
            filling = np.asarray(value, np.int64 if a.dtype == bool else a.dtype)
        except OverflowError:
            filling = float(value)
    return np.where(mask, filling, a)


def read_mask(mask: Any, a: Array) -> NDArray[np.bool_]:
    """Return a mask as an array; refuse numbers, since 0.3 in a mask would be a mistake."""
    try:
        read = np.asarray(mask)
    except ValueError:
        raise ValueError(message("masked_fill: rows of mask are not of one length")) from None
    if read.dtype != bool and (read.size or not isinstance(mask, list)):
        what = read.dtype if read.dtype.kind in "fiuc" else quote(mask)
        raise TypeError(message("masked_fill: mask must be bools, not {what}", what=what))
    if read.shape != a.shape:
        require_broadcast("masked_fill", {"a": a.shape, "mask": read.shape})
    return read.astype(bool, copy=False)


@primitive(
    symbol="dropout",
    formula="a · keep / (1 − rate),  keep drawn by the seed",
    places=("rate",),
    rule=("ḡ · keep / (1 − rate)",),
    definition=definitions.dropout,
    cases=(Case(((3, 4),), {"rate": 0.5, "seed": 1}), Case(((5,),), {"rate": 0.0, "seed": 2})),
    patterns=(Pattern(("…",), {"rate": OneOf(0.0, 0.25, 0.75), "seed": OneOf(0, 1, 2)}),),
)
def dropout(a: Array, /, *, rate: float, seed: int) -> tuple[Array, Backward]:
    """Set a random share of elements to 0 and scale the others so that the mean stays the same.

    The seed decides which, so the same call drops the same elements.

    Source: Srivastava et al., Dropout (2014), section 10, in its inverted form.
    """
    rate, seed = read_number("dropout", "rate", rate), read_int("dropout", "seed", seed, low=0)
    if not 0 <= rate < 1:
        raise ValueError(
            message("dropout: rate is {rate}; it must be at least 0 and below 1", rate=rate)
        )
    keep = (np.random.default_rng(seed).random(a.shape) >= rate) / (1 - rate)
    if a.dtype.kind == "f":
        keep = keep.astype(a.dtype, copy=False)

    def backward(grad: Array) -> tuple[Array]:
        return (grad * keep,)

    return a * keep, backward
