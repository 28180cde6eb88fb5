"""Convert data to arrays, and contributions to the shape and dtype of their operands.

A backward rule returns contributions in the shape of the result. Only this module sums them over
broadcast axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from autolm.engine.graph import Node
from autolm.ops.reduce import accumulating
from autolm.outside.arguments import quote
from autolm.outside.message import message

Array = NDArray[Any]
NESTED = (
    "a list of Tensors or Values would lose how they were computed; autolm.ops.stack joins "
    "Tensors, and .data has the numbers"
)


def require_plain_array(data: Any, what: str) -> None:
    """Refuse a subclass of ndarray, whose mask, unit or matrix product would be lost."""
    if isinstance(data, np.ndarray) and type(data) not in (np.ndarray, np.memmap):
        raise TypeError(
            message(
                "{what} is a {kind}, and its meaning (a mask, a unit, a matrix "
                "product) would be lost; give np.asarray(a), or a.filled(number) of a "
                "masked array",
                what=what,
                kind=type(data).__name__,
            )
        )


def read(data: Any, what: str) -> Array:
    """Convert data to an array of real numbers of any dtype; `what` names it in an error.

    Nodes in lists are refused, because the array would lose how they were computed; a Tensor in a
    list raises this error itself when NumPy converts it. Subclasses of arrays are refused as well,
    except `np.memmap`.
    """
    if isinstance(data, Node):
        raise TypeError(
            message(
                "{what}: a {kind} is no number or array; use its .data",
                what=what,
                kind=type(data).__name__,
            )
        )
    rows = {type(row): row for row in data}.values() if type(data) in (list, tuple) else (data,)
    for row in rows:
        require_plain_array(row, what)
    try:
        array = np.asarray(data)
    except ValueError:
        raise ValueError(
            message("{what} must be an array; the rows of the list differ in shape", what=what)
        ) from None
    except (TypeError, RuntimeError) as error:  # nodes in a list, or a tensor of PyTorch
        raise TypeError(
            message("{what} must be numbers: {error}", what=what, error=error)
        ) from None
    if array.dtype == object and any(isinstance(item, Node) for item in array.flat):
        raise TypeError(message("{what} must be numbers: {NESTED}", what=what, NESTED=NESTED))
    if array.dtype.kind not in "fiub":
        raise TypeError(
            message("{what} must be real numbers, not {dtype}", what=what, dtype=array.dtype)
        )
    return array


def has_dtype(data: Any) -> bool:
    """Whether data has a dtype, which is then kept."""
    return isinstance(data, np.ndarray | np.generic)


def convert(array: Array, keeps_dtype: bool, dtype: DTypeLike | None) -> Array:
    """Convert an array to `dtype`, or by default integers without a dtype to float64."""
    if dtype is None and not keeps_dtype and array.dtype.kind in "iu":
        dtype = np.float64
    if dtype is None:
        return array
    try:
        converted = array.astype(dtype, copy=False)
    except TypeError:
        raise TypeError(
            message("Tensor: dtype must be a type of numbers, not {dtype}", dtype=quote(dtype))
        ) from None
    if converted.dtype.kind not in "fiub":
        raise TypeError(
            message("Tensor: data must be real numbers, not {dtype}", dtype=converted.dtype)
        )
    return converted


def read_operand(operand: Any, dtype: np.dtype[Any], what: str) -> Array:
    """Convert an operand to an array; numbers and lists take the dtype of the other operands."""
    array = read(operand, what)
    if has_dtype(operand) or array.dtype.kind == "b":
        return array
    return array.astype(dtype)


def fits(contribution: Any, operand: Array) -> bool:
    """Whether a contribution already has the operand's shape and dtype, as most have."""
    return (
        type(contribution) is np.ndarray
        and contribution.dtype is operand.dtype
        and contribution.shape == operand.shape
    )


def fit(contribution: Any, operand: Array) -> Array:
    """Sum a contribution over the broadcast axes, and cast it to the operand's dtype.

    Broadcasting uses each element of the operand several times, and the gradients of its uses add.

    >>> fit(np.ones((2, 3)), np.zeros((3,)))
    array([2., 2., 2.])
    """
    require_plain_array(contribution, "must be an array of real numbers: it")
    try:
        array = np.asarray(contribution)
    except (TypeError, ValueError) as error:
        raise TypeError(message("must be an array of real numbers: {error}", error=error)) from None
    if array.shape == operand.shape and array.dtype == operand.dtype:
        return array
    if contribution is None or array.dtype.kind not in "fiu":
        kind = "None" if contribution is None else array.dtype
        raise TypeError(message("must be an array of real numbers, not {kind}", kind=kind))
    if array.shape != operand.shape:
        extra = array.ndim - operand.ndim
        if extra < 0 or any(
            n not in (1, m) for n, m in zip(operand.shape, array.shape[extra:], strict=True)
        ):
            raise ValueError(
                message(
                    "has shape {shape}, which does not reduce to {shape2}",
                    shape=array.shape,
                    shape2=operand.shape,
                )
            )
        stretched = [i for i, n in enumerate(operand.shape, extra) if n == 1]
        axes = (*range(extra), *stretched)
        array = accumulating(array).sum(axis=axes, keepdims=True).reshape(operand.shape)
    return array.astype(operand.dtype, copy=False)
