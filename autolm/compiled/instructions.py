"""The instructions of a recorded step: how to compute an operation without allocating arrays.

An instruction has the form of a primitive: it takes the arrays of the operands and the attributes,
and returns the result and a backward rule. It computes nothing itself. It appends calls of NumPy,
or of a compiled loop (`kernels.py`), which fill the arrays from `recorder.result` and
`recorder.new`. The rule appends the calls of the backward pass and returns one contribution per
operand: an array from `recorder.gradient_of`, or one that needs no call, such as `grad`.

An instruction returns None for attributes or shapes that it does not handle; the operation's own
function is called instead. Instructions in `ALWAYS` need only NumPy and give the numbers of the
operation bit for bit; those in `COMPILED` need numba and agree up to rounding. CONTRIBUTING.md
explains how to write one: "How a step becomes a program".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm import ops
from autolm.compiled.kernels import FLOATS, kernels
from autolm.compiled.recorder import Instruction, Recorder, Written
from autolm.engine.value import TWO_OVER_ROOT_PI
from autolm.ops.attention import read_attention, split_heads, split_queries
from autolm.ops.probability import read_scoring

Array = NDArray[Any]

ALWAYS: dict[Any, Instruction] = {}
COMPILED: dict[Any, Instruction] = {}


class NotReplayed(Exception):
    """A call cannot handle the batch; the plain step computes it, or raises the right error."""


def instruction(op: Any, *, compiled: bool = False) -> Callable[[Instruction], Instruction]:
    """Register a function as the instruction of an operation."""

    def register(function: Instruction) -> Instruction:
        (COMPILED if compiled else ALWAYS)[op] = function
        return function

    return register


# Elementwise: calls of NumPy with an output array


@instruction(ops.add)
def add(recorder: Recorder, a: Array, b: Array) -> Written:
    """Compute y = a + b."""
    y = recorder.result()
    recorder.call(np.add, a, b, y)
    return y, lambda grad: (grad, grad)


@instruction(ops.sub)
def sub(recorder: Recorder, a: Array, b: Array) -> Written:
    """Compute y = a − b."""
    y = recorder.result()
    recorder.call(np.subtract, a, b, y)

    def rule(grad: Array) -> tuple[Array, Array | None]:
        if not recorder.needs_gradient(1):
            return grad, None
        negative = recorder.new(grad.shape)
        recorder.call(np.negative, grad, negative)
        return grad, negative

    return y, rule


@instruction(ops.mul)
def mul(recorder: Recorder, a: Array, b: Array) -> Written:
    """Compute y = a · b."""
    y = recorder.result()
    recorder.call(np.multiply, a, b, y)

    def rule(grad: Array) -> tuple[Array | None, Array | None]:
        return times(0, grad, b, a.shape), times(1, grad, a, b.shape)

    def times(k: int, grad: Array, other: Array, shape: tuple[int, ...]) -> Array | None:
        if not recorder.needs_gradient(k):
            return None
        into = recorder.gradient_of(k) if shape == grad.shape else recorder.new(grad.shape)
        recorder.call(np.multiply, grad, other, into)
        return into

    return y, rule


@instruction(ops.relu)
def relu(recorder: Recorder, a: Array) -> Written:
    """Compute y = max(0, a)."""
    y = recorder.result()
    recorder.call(_relu_into, a, y)

    def rule(grad: Array) -> tuple[Array]:
        is_off, into = recorder.new(a.shape, bool), recorder.gradient_of(0)
        recorder.call(np.less_equal, y, 0, is_off)
        recorder.call(np.logical_not, is_off, is_off)
        recorder.call(np.multiply, grad, is_off, into)
        return (into,)

    return y, rule


def _relu_into(a: Array, y: Array) -> None:
    """Fill y with max(0, a); np.maximum takes `out` by keyword only."""
    np.maximum(a, 0, out=y)


@instruction(ops.tanh)
def tanh(recorder: Recorder, a: Array) -> Written:
    """Compute y = tanh a."""
    y = recorder.result()
    recorder.call(np.tanh, a, y)

    def rule(grad: Array) -> tuple[Array]:
        into = recorder.gradient_of(0)
        slope = recorder.new(a.shape)
        recorder.call(np.multiply, y, y, slope)
        recorder.call(np.subtract, 1, slope, slope)
        recorder.call(np.multiply, grad, slope, into)
        return (into,)

    return y, rule


@instruction(ops.erfinv, compiled=True)
def erfinv(recorder: Recorder, a: Array) -> Written:
    """Compute y with erf y = a."""
    if not _are_floats(a):
        return None
    y = recorder.result()
    recorder.call(kernels().erfinv, _contiguous(recorder, a).reshape(-1), y.reshape(-1))

    def rule(grad: Array) -> tuple[Array]:
        is_zero, into = recorder.new(a.shape, bool), recorder.gradient_of(0)
        recorder.call(np.multiply, y, y, into)
        recorder.call(np.exp, into, into)
        recorder.call(np.divide, into, TWO_OVER_ROOT_PI, into)
        recorder.call(np.multiply, grad, into, into)
        recorder.call(np.equal, grad, 0, is_zero)
        recorder.call(np.copyto, into, 0, "same_kind", is_zero)
        return (into,)

    return y, rule


# Shapes: views, which need no call


@instruction(ops.reshape)
def reshape(recorder: Recorder, a: Array, **_: Any) -> Written:
    """View the array in another shape."""
    if not a.flags.c_contiguous:
        return None
    return a.reshape(recorder.shape), lambda grad: (grad.reshape(a.shape),)


@instruction(ops.transpose)
def transpose(recorder: Recorder, a: Array, axes: Any = None) -> Written:
    """View the array with other axes."""
    y = a.transpose(axes)
    back = None if axes is None else np.argsort([axis % a.ndim for axis in axes])
    return y, lambda grad: (grad.transpose(back),)


# Products and sums


@instruction(ops.matmul)
def matmul(recorder: Recorder, a: Array, b: Array) -> Written:
    """Multiply rows by one matrix."""
    if a.ndim < 2 or b.ndim != 2 or a.dtype != b.dtype or a.dtype not in FLOATS:
        return None
    if not a.size or not b.size or not a.flags.c_contiguous:
        return None
    (k, m), rows = b.shape, a.reshape(-1, b.shape[0])
    y = recorder.result()
    recorder.call(np.dot, rows, b, y.reshape(-1, m))

    def rule(grad: Array) -> tuple[Array | None, Array | None]:
        upstream, to_a, to_b = _rows(recorder, grad), None, None
        if recorder.needs_gradient(0):
            to_a = recorder.gradient_of(0)
            recorder.call(np.dot, upstream, b.T, to_a.reshape(-1, k))
        if recorder.needs_gradient(1):
            to_b = recorder.gradient_of(1)
            recorder.call(np.dot, rows.T, upstream, to_b)
        return to_a, to_b

    return y, rule


@instruction(ops.sum)
def sum_(recorder: Recorder, a: Array, axis: Any = None, keepdims: bool = False) -> Written:
    """Sum along axes."""
    return _reduced(recorder, 1, a, axis, keepdims)


@instruction(ops.mean)
def mean(recorder: Recorder, a: Array, axis: Any = None, keepdims: bool = False) -> Written:
    """Average along axes."""
    count = a.size // max(1, math.prod(recorder.shape))
    return _reduced(recorder, count, a, axis, keepdims)


def _reduced(recorder: Recorder, count: int, a: Array, axis: Any, keepdims: bool) -> Written:
    if a.dtype not in FLOATS or not a.size:
        return None
    y = recorder.result()
    recorder.call(_sum_into, a, axis, keepdims, count, y)
    axes = range(a.ndim) if axis is None else np.atleast_1d(axis) % a.ndim
    spread = tuple(1 if i in axes else n for i, n in enumerate(a.shape))

    def rule(grad: Array) -> tuple[Array]:
        into = recorder.gradient_of(0)
        upstream = _contiguous(recorder, grad).reshape(spread)
        if count == 1:
            recorder.call(np.copyto, into, upstream)
        else:
            recorder.call(np.divide, upstream, count, into)
        return (into,)

    return y, rule


def _sum_into(a: Array, axis: Any, keepdims: bool, count: int, y: Array) -> None:
    total = a.sum(axis=axis, keepdims=keepdims)
    y[...] = total if count == 1 else total / count


# Fused operations: compiled loops over rows


@instruction(ops.layer_norm, compiled=True)
def layer_norm(
    recorder: Recorder, x: Array, gain: Array, bias: Array, eps: float = 1e-5
) -> Written:
    """Normalize each row, scale it and shift it."""
    if not _are_floats(x, gain, bias):
        return None
    rows, y = _rows(recorder, x), recorder.result()
    means, scales = recorder.new((len(rows),)), recorder.new((len(rows),))
    recorder.call(kernels().layer_norm, rows, gain, bias, eps, _rows(recorder, y), means, scales)

    def rule(grad: Array) -> tuple[Array, ...]:
        to_x, to_gain, to_bias = into = [recorder.gradient_of(k) for k in range(3)]
        arrays = _rows(recorder, grad), rows, gain, means, scales
        recorder.call(
            kernels().layer_norm_backward, *arrays, to_x.reshape(rows.shape), to_gain, to_bias
        )
        return tuple(into)

    return y, rule


@instruction(ops.rms_norm, compiled=True)
def rms_norm(recorder: Recorder, x: Array, gain: Array, eps: float = 1e-5) -> Written:
    """Divide each row by its root mean square, and scale it."""
    if not _are_floats(x, gain):
        return None
    rows, y = _rows(recorder, x), recorder.result()
    scales = recorder.new((len(rows),))
    recorder.call(kernels().rms_norm, rows, gain, eps, _rows(recorder, y), scales)

    def rule(grad: Array) -> tuple[Array, ...]:
        to_x, to_gain = recorder.gradient_of(0), recorder.gradient_of(1)
        arrays = _rows(recorder, grad), rows, gain, scales
        recorder.call(kernels().rms_norm_backward, *arrays, to_x.reshape(rows.shape), to_gain)
        return to_x, to_gain

    return y, rule


@instruction(ops.embedding, compiled=True)
def embedding(recorder: Recorder, weight: Array, token_ids: Array) -> Written:
    """Take rows of a table."""
    if not _are_floats(weight) or weight.ndim != 2 or token_ids.dtype.kind not in "iu":
        return None
    ids, y = _integers(recorder, token_ids), recorder.result()
    recorder.call(_take_rows, weight, ids, _rows(recorder, y))

    def rule(grad: Array) -> tuple[Array]:
        into = recorder.gradient_of(0)
        recorder.call(kernels().add_rows, _rows(recorder, grad), ids, into)
        return (into,)

    return y, rule


def _take_rows(table: Array, ids: Array, rows: Array) -> None:
    if not kernels().take_rows(table, ids, rows):
        raise NotReplayed


@instruction(ops.attention, compiled=True)
def attention(recorder: Recorder, q: Array, k: Array, v: Array, **attributes: Any) -> Written:
    """Compute attention without a mask; the softmax overwrites the scores."""
    how = read_attention(q, k, v, **attributes)
    if not _are_floats(q, k, v) or how.mask is not None:
        return None
    if not q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        return None
    queries = split_queries(q, how)
    keys, values = (split_heads(a, how.kv_heads) for a in (k, v))
    y = recorder.result()
    views = (queries, q), (keys, k), (values, v), (split_queries(y, how), y)
    if not all(np.may_share_memory(view, array) for view, array in views):
        return None  # the heads would have to be copied
    weights = recorder.new((*queries.shape[:-1], keys.shape[-2]))
    rows = weights.reshape(-1, keys.shape[-2])
    window = k.shape[-2] if how.window is None else how.window
    recorder.call(np.matmul, queries, keys.swapaxes(-1, -2), weights)
    arguments = how.factor, q.shape[-2], how.causal, window
    recorder.call(kernels().shift_rows, rows, *arguments)
    recorder.call(np.exp, rows, rows)
    recorder.call(kernels().divide_by_sums, rows)
    recorder.call(np.matmul, weights, values, split_queries(y, how))

    def rule(grad: Array) -> tuple[Array, Array, Array]:
        upstream = split_queries(_contiguous(recorder, grad), how)
        to_q, to_k, to_v = [recorder.gradient_of(i) for i in range(3)]
        slopes = recorder.new(weights.shape)
        recorder.call(np.matmul, upstream, values.swapaxes(-1, -2), slopes)
        recorder.call(kernels().softmax_backward, slopes.reshape(rows.shape), rows, how.factor)
        recorder.call(np.matmul, slopes, keys, split_queries(to_q, how))
        transposed = slopes.swapaxes(-1, -2), weights.swapaxes(-1, -2)
        recorder.call(np.matmul, transposed[0], queries, split_heads(to_k, how.kv_heads))
        recorder.call(np.matmul, transposed[1], upstream, split_heads(to_v, how.kv_heads))
        return to_q, to_k, to_v

    return y, rule


@instruction(ops.cross_entropy, compiled=True)
def cross_entropy(recorder: Recorder, logits: Array, **attributes: Any) -> Written:
    """Compute the mean over the targets, and its gradient in the logits."""
    how = read_scoring(logits, **attributes)
    is_plain = how.weight is None and how.reduction == "mean" and not how.shares_out
    if not is_plain or not _are_floats(logits) or how.targets.dtype.kind != "i":
        return None
    targets = _integers(recorder, np.asarray(attributes["targets"]))
    slope, y = recorder.new(logits.shape), recorder.result()
    rows, chosen = _rows(recorder, slope), recorder.new((targets.size,))
    recorder.call(np.copyto, slope, logits)
    ignored = how.ignore_index is not None, how.ignore_index or 0
    recorder.call(_cross_entropy_into, rows, targets, *ignored, chosen, y)

    def rule(grad: Array) -> tuple[Array]:
        into = recorder.gradient_of(0)
        recorder.call(np.multiply, slope, grad, into)
        return (into,)

    return y, rule


def _cross_entropy_into(
    rows: Array, targets: Array, ignores: bool, ignored: int, chosen: Array, y: Array
) -> None:
    count = kernels().shift_to_targets(rows, targets, ignores, ignored, chosen)
    if count == 0:  # every target is ignored, or one is out of range
        raise NotReplayed
    np.exp(rows, rows)
    y[...] = kernels().mean_cross_entropy(rows, targets, ignores, ignored, chosen, count)


def _are_floats(*arrays: Array) -> bool:
    dtype = arrays[0].dtype
    return dtype in FLOATS and all(a.dtype == dtype and a.size > 0 for a in arrays)


def _contiguous(recorder: Recorder, array: Array) -> Array:
    """Return a contiguous array; a call copies it if necessary."""
    if array.flags.c_contiguous:
        return array
    copy = recorder.new(array.shape, array.dtype)
    recorder.call(np.copyto, copy, array)
    return copy


def _rows(recorder: Recorder, array: Array) -> Array:
    """View an array as rows, (n, d)."""
    return _contiguous(recorder, array).reshape(-1, array.shape[-1])


def _integers(recorder: Recorder, integers: Array) -> Array:
    """Return integers as a row of dtype intp, for the compiled loops."""
    if integers.dtype == np.intp and integers.flags.c_contiguous:
        return integers.reshape(-1)
    row = recorder.new((integers.size,), np.intp)
    recorder.call(np.copyto, row, np.ascontiguousarray(integers).reshape(-1), "same_kind")
    return row
