"""PyTorch's own samples of its operations, OpInfo, in float64: our results and gradients are its.

Every sample is either compared, or counted as one that uses what we do not offer, with its reason.
"""

import importlib.util
import warnings
from collections import Counter

import numpy as np
import pytest

from autolm import Tensor, ops
from tests.calls import of_one_number

for needed in ("torch", "expecttest"):
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"no {needed}: pip install 'autolm[test,torch]'", allow_module_level=True)


class NotOfferedError(Exception):
    """A sample uses what we do not offer."""


def offered(condition, why):
    if not condition:
        raise NotOfferedError(why)


def is_number(x):
    return isinstance(x, int | float) and not isinstance(x, bool)


def only(options, *allowed):
    for name, value in options.items():
        offered(name in allowed or value is None, f"no {name}=")
    return {name: value for name, value in options.items() if value is not None}


def axes(dim):
    return tuple(dim) if isinstance(dim, list | tuple) else dim


def unary(op):
    def call(x, **options):
        only(options)
        return op(x)

    return call


def binary(op):
    def call(a, b, **options):
        only(options)
        return op(a, b)

    return call


def scaled(op):
    """Add and subtract a multiple, as in torch.add(a, b, alpha=2)."""

    def call(a, b, alpha=1):
        offered(not isinstance(alpha, bool), "alpha=True")
        return op(a, b if alpha == 1 else ops.mul(b, alpha))

    return call


def reduction(op):
    def call(x, dim=None, keepdim=False, **options):
        options = only(options)
        offered(dim is None or axes(dim) != (), "dim=() means all axes there, and none here")
        return op(x, axis=axes(dim), keepdims=keepdim, **options)

    return call


def variance(op):
    return lambda *args, **how: _variance(op, *args, **how)


def _variance(op, x, dim=None, unbiased=None, correction=None, keepdim=False):
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    offered(dim is None or axes(dim) != (), "dim=() means all axes there, and none here")
    y = op(x, axis=axes(dim), ddof=correction, keepdims=keepdim)
    offered(np.isfinite(y.data).all(), "nothing left of the count: PyTorch's slope has no sign")
    return y


def product(x, dim=None, keepdim=False, **options):
    offered("dtype" not in options, "dtype=")
    return ops.prod(x, axis=dim, keepdims=keepdim)


def cumsum(x, dim, dtype=None):
    offered(dtype is None, "dtype=")
    offered(x.ndim > 0, "a number: NumPy makes it a row")
    return ops.cumsum(x, axis=dim)


def norm(x, ord=2, dim=None, keepdim=False, dtype=None):
    offered(dtype is None, "dtype=")
    offered(ord is None or ord == "fro" or ord >= 1, "an order below 1, of which there is no norm")
    offered(dim is None or axes(dim) != (), "dim=() means all axes there, and none here")
    return ops.norm(x, ord=2 if ord in (None, "fro") else ord, axis=axes(dim), keepdims=keepdim)


def flip(x, dims):
    return ops.flip(x, axis=tuple(dims))


def roll(x, shifts, dims=None):
    if isinstance(shifts, tuple) and len(shifts) == 1:
        (shifts,) = shifts
    offered(dims is None or axes(dims) != (), "dims=() means all elements there, and none here")
    return ops.roll(x, shift=shifts, axis=axes(dims))


def pad(x, pad, mode="constant", value=None):
    pairs = [pad[i : i + 2] for i in range(0, len(pad), 2)]
    widths = [*[(0, 0)] * (x.ndim - len(pairs)), *pairs[::-1]]
    offered(min(pad, default=0) >= 0, "negative lengths, which cut off")
    offered(mode == "constant" or x.size, "a mode that repeats elements of an empty array")
    return ops.pad(x, pad_width=widths, mode=mode, value=0 if value is None else value)


def split(x, parts, dim=0):
    return ops.split(x, split_size_or_sections=parts, axis=dim)


def tensor_split(x, parts, dim=0):
    offered(isinstance(parts, tuple), "parts of unequal length")
    return ops.split(x, indices_or_sections=parts, axis=dim)


def squeeze(x, dim=None):
    if dim is not None and x.ndim:
        axes_ = dim if isinstance(dim, tuple) else (dim,)
        offered(all(x.shape[i] == 1 for i in axes_), "an axis that is not of length 1, and stays")
    return ops.squeeze(x, axis=axes(dim))


def gather(x, dim, index, sparse_grad=False):
    other_axes = [i for i in range(x.ndim) if i != dim % x.ndim]
    offered(index.ndim == x.ndim, "an index with other axes")
    offered(
        all(index.shape[i] == x.shape[i] for i in other_axes), "an index that is shorter elsewhere"
    )
    return ops.gather(x, axis=dim, index=index)


def take_along(x, index, dim=None):
    offered(dim is not None, "an index of all elements")
    return gather(x, dim, index)


def sort(x, dim=-1, descending=False, stable=None):
    return ops.sort(x, axis=dim, descending=descending)


def topk(x, k, dim=-1, largest=True, sorted=True):
    offered(sorted, "sorted=False")
    return ops.topk(x, k=k, axis=dim, largest=largest)


def conv1d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    numbers = [n[0] if isinstance(n, tuple) else n for n in (stride, padding, dilation)]
    names = ("stride", "padding", "dilation")
    return ops.conv1d(x, weight, bias, **dict(zip(names, numbers, strict=True)), groups=groups)


def greatest(op):
    def call(x, dim=None, keepdim=False):
        offered(dim is None, "the largest along an axis: PyTorch returns its position too")
        return op(x)

    return call


def clip(x, min_val=-1, max_val=1, **options):
    only(options, "inplace")
    return ops.clip(x, low=min_val, high=max_val)


def limited(x, min=None, max=None):
    return ops.clip(x, min, max)


def where_first(a, condition, b):  # the order of OpInfo's sample: x.where(condition, other)
    return ops.where(condition, a, b)


def shaped(op, name):
    def call(x, *shape, **options):
        only(options)
        (shape,) = shape if len(shape) == 1 else (shape,)
        return op(x, **{name: tuple(shape)})

    return call


def expand(x, *shape):
    (shape,) = shape if len(shape) == 1 else (shape,)
    offered(-1 not in shape, "-1 for an axis that stays")
    return ops.broadcast_to(x, shape=tuple(shape))


def swap(x, dim0, dim1):
    offered(x.ndim > 0, "two axes of a number")
    return ops.swapaxes(x, axis1=dim0, axis2=dim1)


def join(arrays, dim=0, **options):
    arrays = list(arrays)
    only(options)
    empty = [a.shape == (0,) for a in arrays]
    offered(all(empty) or not any(empty), "an array of shape (0,) is left out, whatever the others")
    return ops.concatenate(arrays, axis=dim)


def pile(arrays, dim=0):
    return ops.stack(list(arrays), axis=dim)


def softmax(op):
    def call(x, dim=None, dtype=None, **options):
        offered(dtype is None, "dtype=")
        only(options)
        return op(x, axis=dim)

    return call


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    offered(len(normalized_shape) == 1, "normalizing several axes")
    width = normalized_shape[0]
    weight = np.ones(width) if weight is None else weight
    return ops.layer_norm(x, weight, np.zeros(width) if bias is None else bias, eps=eps)


def rms_norm(x, normalized_shape, weight=None, eps=None):
    offered(len(normalized_shape) == 1, "normalizing several axes")
    weight = np.ones(normalized_shape[0]) if weight is None else weight
    return ops.rms_norm(x, weight, eps=np.finfo(float).eps if eps is None else eps)


def embedding(ids, weight, **options):  # OpInfo's sample begins with the weight
    padding, max_norm = options.pop("padding_idx", None), options.pop("max_norm", None)
    offered(padding is None and max_norm is None, "padding_idx=, max_norm=")
    offered(not options.get("scale_grad_by_freq"), "scale_grad_by_freq=")
    return ops.embedding(weight, token_ids=ids)


def masked_fill(x, mask, value):
    offered(is_number(value), "a value that is an array")
    return ops.masked_fill(x, mask=mask, value=value)


def dropout(x, p=0.5, training=True, **options):
    only(options, "inplace")
    offered(p == 0 or not training, "which are dropped is drawn otherwise")
    return ops.dropout(x, rate=0.0, seed=0)


def attention(
    q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    offered(dropout_p == 0, "which weights are dropped is drawn otherwise")
    if is_causal and q.shape[-2] != k.shape[-2]:  # there, the first query is beside the first key
        is_causal, attn_mask = False, np.tri(q.shape[-2], k.shape[-2], dtype=bool)
    if isinstance(attn_mask, Tensor):
        attn_mask.requires_grad = False  # no gradient goes to it here
    how = {"causal": is_causal, "mask": attn_mask, "scale": scale}
    if not enable_gqa:
        return ops.attention(q, k, v, **how)

    def side_by_side(x):
        return ops.reshape(
            ops.swapaxes(x, axis1=-3, axis2=-2), shape=(*x.shape[:-3], x.shape[-2], -1)
        )

    heads, shared = q.shape[-3], k.shape[-3]
    y = ops.attention(*map(side_by_side, (q, k, v)), num_heads=heads, num_kv_heads=shared, **how)
    y = ops.reshape(y, shape=(*y.shape[:-1], heads, v.shape[-1]))
    return ops.swapaxes(y, axis1=-3, axis2=-2)


def cross_entropy(x, target, ignore_index=-100, **how):
    if isinstance(target, Tensor):
        target.requires_grad = False  # no gradient goes to it here
    array = np.asarray(target)
    if x.ndim > 2:
        last = (0, *range(2, x.ndim), 1)
        x = ops.transpose(x, axes=last)
        array = array.transpose(last) if array.dtype.kind == "f" else array
    if array.dtype.kind == "i":
        how["ignore_index"] = ignore_index
    return ops.cross_entropy(x, targets=array, **how)


def gelu(x, approximate="none"):
    return ops.gelu(x, approximate=approximate)


def softplus(x, beta=1, threshold=20):
    offered((x.data * beta <= threshold).all(), "threshold=, beyond which PyTorch takes a line")
    return ops.softplus(x * beta) / beta


def leaky_relu(x, negative_slope=0.01, **options):
    only(options, "inplace")
    return ops.leaky_relu(x, negative_slope)


def getitem(x, index):
    parts = index if isinstance(index, tuple) else (index,)
    return ops.getitem(x, index=tuple(parts) if len(parts) > 1 else parts[0])


#: PyTorch's name, and our operation called with the arguments of a sample.
CALLS = {
    "add": (ops.add, scaled(ops.add)),
    "sub": (ops.sub, scaled(ops.sub)),
    "mul": (ops.mul, binary(ops.mul)),
    "div.no_rounding_mode": (ops.div, ops.div),
    "true_divide": (ops.div, ops.div),
    "pow": (ops.pow, ops.pow),
    "float_power": (ops.pow, ops.pow),
    "__radd__": (ops.add, lambda a, b: ops.add(b, a)),
    "__rsub__": (ops.sub, lambda a, b: ops.sub(b, a)),
    "__rmul__": (ops.mul, lambda a, b: ops.mul(b, a)),
    "__rdiv__": (ops.div, lambda a, b: ops.div(b, a)),
    "__rpow__": (ops.pow, lambda a, b: ops.pow(b, a)),
    **{op.name: (op, unary(op)) for op in of_one_number if op not in (ops.relu, ops.softplus)},
    "nn.functional.relu": (ops.relu, unary(ops.relu)),
    "nn.functional.gelu": (ops.gelu, gelu),
    "nn.functional.softplus": (ops.softplus, softplus),
    "nn.functional.leaky_relu": (ops.leaky_relu, leaky_relu),
    "nn.functional.silu": (ops.silu, unary(ops.silu)),
    "maximum": (ops.maximum, binary(ops.maximum)),
    "minimum": (ops.minimum, binary(ops.minimum)),
    "max.binary": (ops.maximum, binary(ops.maximum)),
    "min.binary": (ops.minimum, binary(ops.minimum)),
    "where": (ops.where, where_first),
    "nn.functional.hardtanh": (ops.clip, clip),
    "clamp": (ops.clip, limited),
    "clamp_min": (ops.clamp_min, ops.clamp_min),
    "clamp_max": (ops.clamp_max, ops.clamp_max),
    "nn.functional.relu6": (ops.clip, lambda x, **how: clip(x, 0, 6, **how)),
    "double": (ops.astype, lambda x, **how: ops.astype(x, dtype=float)),
    "sum": (ops.sum, reduction(ops.sum)),
    "prod": (ops.prod, product),
    "cumsum": (ops.cumsum, cumsum),
    "mean": (ops.mean, reduction(ops.mean)),
    "var": (ops.var, variance(ops.var)),
    "var.unbiased": (ops.var, variance(ops.var)),
    "std": (ops.std, variance(ops.std)),
    "std.unbiased": (ops.std, variance(ops.std)),
    "amax": (ops.max, reduction(ops.max)),
    "amin": (ops.min, reduction(ops.min)),
    "max.reduction_no_dim": (ops.max, greatest(ops.max)),
    "min.reduction_no_dim": (ops.min, greatest(ops.min)),
    "linalg.vector_norm": (ops.norm, norm),
    "norm": (ops.norm, norm),
    "norm.fro": (ops.norm, norm),
    "norm.inf": (ops.norm, norm),
    "logsumexp": (ops.logsumexp, reduction(ops.logsumexp)),
    "reshape": (ops.reshape, shaped(ops.reshape, "shape")),
    "view": (ops.reshape, shaped(ops.reshape, "shape")),
    "permute": (ops.transpose, shaped(ops.transpose, "axes")),
    "transpose": (ops.swapaxes, swap),
    "broadcast_to": (ops.broadcast_to, shaped(ops.broadcast_to, "shape")),
    "expand": (ops.broadcast_to, expand),
    "__getitem__": (ops.getitem, getitem),
    "cat": (ops.concatenate, join),
    "stack": (ops.stack, pile),
    "squeeze": (ops.squeeze, squeeze),
    "squeeze.multiple": (ops.squeeze, squeeze),
    "unsqueeze": (ops.unsqueeze, ops.unsqueeze),
    "flatten": (ops.flatten, ops.flatten),
    "flip": (ops.flip, flip),
    "fliplr": (ops.flip, lambda x: flip(x, (1,))),
    "flipud": (ops.flip, lambda x: flip(x, (0,))),
    "roll": (ops.roll, roll),
    "constant_pad_nd": (ops.pad, lambda x, width, value=0: pad(x, width, value=value)),
    **{
        f"nn.functional.pad.{mode}": (ops.pad, pad)
        for mode in ("constant", "circular", "reflect", "replicate")
    },
    "split": (ops.split, split),
    "split.list_args": (ops.split, split),
    "split_with_sizes": (ops.split, split),
    "tensor_split": (ops.split, tensor_split),
    "chunk": (ops.chunk, ops.chunk),
    "gather": (ops.gather, gather),
    "take_along_dim": (ops.gather, take_along),
    "sort": (ops.sort, sort),
    "msort": (ops.ordered, lambda x: ops.ordered(x, axis=0)),
    "topk": (ops.topk, topk),
    "tril": (ops.tril, ops.tril),
    "triu": (ops.triu, ops.triu),
    "nn.functional.conv1d": (ops.conv1d, conv1d),
    "clone": (ops.astype, lambda x, **how: x.clone()),
    "matmul": (ops.matmul, ops.matmul),
    "__rmatmul__": (ops.matmul, lambda a, b: ops.matmul(b, a)),
    "mm": (ops.matmul, ops.matmul),
    "bmm": (ops.matmul, ops.matmul),
    "mv": (ops.matmul, ops.matmul),
    "dot": (ops.matmul, ops.matmul),
    "einsum": (ops.einsum, lambda arrays, subscripts: ops.einsum(subscripts, *arrays)),
    "softmax": (ops.softmax, softmax(ops.softmax)),
    "log_softmax": (ops.log_softmax, softmax(ops.log_softmax)),
    "nn.functional.layer_norm": (ops.layer_norm, layer_norm),
    "nn.functional.rms_norm": (ops.rms_norm, rms_norm),
    "nn.functional.embedding": (ops.embedding, lambda w, i, **how: embedding(i, w, **how)),
    "masked_fill": (ops.masked_fill, masked_fill),
    "nn.functional.dropout": (ops.dropout, dropout),
    "nn.functional.scaled_dot_product_attention": (ops.attention, attention),
    "nn.functional.cross_entropy": (ops.cross_entropy, cross_entropy),
}


def samples(name):
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    for info in op_db:
        if f"{info.name}.{info.variant_test_name}".rstrip(".") == name:
            torch.manual_seed(0)
            for sample in info.sample_inputs("cpu", torch.float64, requires_grad=True):
                yield info, sample


def translated(value, pairs):
    """Return a sample's argument as ours; pairs of leaves, PyTorch's and ours, are collected."""
    import torch

    if isinstance(value, torch.Tensor):
        array = value.detach().numpy().copy()
        if not value.requires_grad:
            return array
        if not any(leaf is value for leaf, _ in pairs):
            pairs.append((value, Tensor(array)))
        return next(translation for leaf, translation in pairs if leaf is value)
    if isinstance(value, list | tuple):
        items = [translated(item, pairs) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def compare(info, sample, call):
    import torch

    pairs = []
    args = [translated(argument, pairs) for argument in (sample.input, *sample.args)]
    kwargs = {name: translated(value, pairs) for name, value in sample.kwargs.items()}
    outputs = several(call(*args, **kwargs))
    expected = several(info(sample.input, *sample.args, **sample.kwargs))
    for y, theirs in zip(outputs, expected, strict=True):
        theirs = theirs.detach().numpy()
        np.testing.assert_allclose(getattr(y, "data", y), theirs, rtol=1e-12, atol=1e-12)
        assert np.shape(y) == theirs.shape
    results = [y for y in expected if y.requires_grad]
    ours = [y for y in outputs if isinstance(y, Tensor) and y.requires_grad]
    if not results:
        offered(not ours, "a gradient that PyTorch does not take")
        return
    rng = np.random.default_rng(0)
    upstreams = [np.asarray(rng.normal(size=y.shape)) for y in ours]
    for y, upstream in zip(ours, upstreams, strict=True):
        y.backward(upstream)
    leaves = [leaf for leaf, _ in pairs]
    theirs = torch.autograd.grad(
        results, leaves, [*map(torch.tensor, upstreams)], allow_unused=True
    )
    for gradient, (leaf, tensor_) in zip(theirs, pairs, strict=True):
        if not tensor_.requires_grad:
            continue
        gradient = torch.zeros_like(leaf) if gradient is None else gradient
        grad = np.zeros(tensor_.shape) if tensor_.grad is None else tensor_.grad
        np.testing.assert_allclose(grad, gradient.numpy(), rtol=1e-11, atol=1e-12)


def several(result):
    return [*result] if isinstance(result, tuple | list) else [result]


def counted(name):
    """Compare every sample of an operation; count those compared, and the others by reason."""
    _, call = CALLS[name]
    counts = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for info, sample in samples(name):
            try:
                compare(info, sample, call)
            except NotOfferedError as reason:
                counts[str(reason)] += 1
            else:
                counts["compared"] += 1
    return counts


def test_every_operation_is_among_those_compared():
    without_samples = {ops.rope, ops.swiglu}  # PyTorch has no function of the kind
    assert {op for op, _ in CALLS.values()} == set(ops.OPERATIONS) - without_samples


@pytest.mark.parametrize("name", CALLS)
def test_samples_of_pytorch_have_its_results_and_gradients(name):
    counts = counted(name)
    assert counts["compared"] > 0, counts
