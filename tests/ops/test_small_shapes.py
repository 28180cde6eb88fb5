"""Numbers without axes, arrays of nothing and of one: every operation gives what NumPy gives.

Gradients are PyTorch's, where it is installed and does the same. Where NumPy refuses, so do we, in
words of our own.
"""

import importlib.util
import math
import warnings
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices, mutually_broadcastable_shapes

from autolm import Tensor, ops
from autolm.ops.array_operation import CONDITION
from tests import calls
from tests.calls import each_operation, of_one_number

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="no torch: pip install 'autolm[torch]'"
)
shapes = st.lists(st.integers(0, 2), max_size=3).map(tuple)


class Oracle(NamedTuple):
    """How to draw shapes and attributes of an operation; NumPy's and PyTorch's of the same."""

    draw: Callable[[Any], tuple[list[tuple[int, ...]], dict[str, Any]]]
    numpy: Callable[..., Any]
    torch: Callable[..., Any]


def elementwise(count):
    many = mutually_broadcastable_shapes(
        num_shapes=count, min_dims=0, max_dims=3, min_side=0, max_side=2
    )
    return lambda data: (list(data.draw(many).input_shapes), {})


def axes_of(shape, several=True):
    """Draw axes that an array of this shape has, and of a number 0 and −1, as NumPy allows."""
    ndim = len(shape)
    one = st.sampled_from([i for i in range(-(ndim or 1), ndim or 1)])
    if not several:
        return one
    tuples = st.sets(st.integers(0, ndim - 1)).map(tuple) if ndim else st.just(())
    return st.none() | one | tuples


def reduction(data):
    shape = data.draw(shapes)
    axis, keepdims = data.draw(axes_of(shape)), data.draw(st.booleans())
    return [shape], {"axis": axis, "keepdims": keepdims}


def variance(data):
    chosen, attributes = reduction(data)
    return chosen, {**attributes, "ddof": data.draw(st.sampled_from([0, 1, 2, 0.5]))}


def along_one_axis(data):
    shape = data.draw(shapes)
    return [shape], {"axis": data.draw(axes_of(shape, several=False))}


def running(data):
    shape = data.draw(shapes)
    return [shape], {"axis": data.draw(st.none() | axes_of(shape, several=False))}


def numpys_cumsum(a, axis):
    if a.ndim == 0 and axis is not None:
        raise ValueError("NumPy makes a row of it, and PyTorch a number")
    return np.cumsum(a, axis=axis)


def torchs_cumsum(a, axis):
    return a.reshape(-1).cumsum(0) if axis is None else a.cumsum(axis)


def torchs_prod(a, axis, keepdims):
    if not isinstance(axis, int):  # one after the other, from the last on
        for place in sorted(range(a.ndim) if axis is None else axis, reverse=True):
            a = a.prod(place, keepdim=keepdims)
        return a
    return a.prod(axis, keepdim=keepdims)


def length(data):
    chosen, attributes = reduction(data)
    return chosen, {**attributes, "ord": data.draw(st.sampled_from([2, 1, math.inf, 3, 1.5]))}


def numpys_norm(a, ord, axis, keepdims):
    if ord == math.inf:
        return np.max(np.abs(a), axis=axis, keepdims=keepdims, initial=0)
    return np.sum(np.abs(a) ** ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def torchs_norm(a, ord, axis, keepdims):
    import torch

    return torch.linalg.vector_norm(a, ord, axis, keepdims)


def converted(data):
    return [data.draw(shapes)], {"dtype": data.draw(st.sampled_from([float, "float64"]))}


def contracted(data):
    n, m, k = (data.draw(st.integers(0, 2)) for _ in range(3))
    many = mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=0, max_side=2)
    first, second = data.draw(many).input_shapes
    wrong = data.draw(shapes)
    given, subscripts = data.draw(
        st.sampled_from(
            [
                ([(*first, n, m), (*second, m, k)], "...ij,...jk->...ik"),
                ([(n, m), (m, k)], "ij,jk"),
                ([(n, n, m)], "iij->j"),
                ([(n,), (m,), (n,)], "i,j,i->ji"),
                ([(*first, n)], "...i->"),
                ([(n, m), wrong], "ij,ij->i"),
            ]
        )
    )
    return given, {"subscripts": subscripts}


def squeezed(data):
    shape = data.draw(st.lists(st.integers(0, 1), max_size=3).map(tuple) | shapes)
    return [shape], {"axis": data.draw(axes_of(shape))}


def new_axis(data):
    shape = data.draw(shapes)
    return [shape], {"axis": data.draw(axes_of((*shape, 1), several=False))}


def some_as_one(data):
    shape = data.draw(shapes)
    one = axes_of(shape, several=False)
    return [shape], {"start_dim": data.draw(one), "end_dim": data.draw(one)}


def numpys_flatten(a, start_dim, end_dim):
    axes = range(a.ndim or 1)
    start, end = axes[start_dim], axes[end_dim]
    if start > end:
        raise ValueError("the axes are in no order")
    length = math.prod(a.shape[start : end + 1])
    return a.reshape(*a.shape[:start], length, *a.shape[end + 1 :])


def flipped(data):
    shape = data.draw(shapes)
    return [shape], {"axis": data.draw(axes_of(shape))}


def rolled(data):
    shape = data.draw(shapes)
    ndim = len(shape)
    some = data.draw(st.sets(st.integers(0, ndim - 1)).map(tuple)) if ndim else ()
    ways = [(3, None), (-1, None), *([(1, -1), ((2,) * len(some), some)] if ndim else [])]
    shift, axis = data.draw(st.sampled_from(ways))
    return [shape], {"shift": shift, "axis": axis}


def padded(data):
    shape = data.draw(shapes.filter(len))
    ends = st.tuples(st.integers(0, 2), st.integers(0, 2))
    widths = data.draw(st.integers(0, 2) | st.tuples(*[ends] * len(shape)))
    return [shape], {"pad_width": widths, "value": data.draw(st.sampled_from([0.0, -1.5]))}


def numpys_pad(a, pad_width, mode="constant", value=0.0):
    options = {"constant_values": value} if mode == "constant" else {}
    return np.pad(a, pad_width, mode, **options)


def torchs_pad(a, pad_width, value):
    pairs = [(pad_width,) * 2] * a.ndim if isinstance(pad_width, int) else pad_width
    flat = [n for pair in reversed(pairs) for n in pair]
    return functional("pad")(a, flat, value=value)


def cut(data):
    shape = data.draw(shapes)
    ways = st.sampled_from(
        [
            {"indices_or_sections": 2},
            {"indices_or_sections": (1, 3)},
            {"split_size_or_sections": 1},
            {"split_size_or_sections": (1, 1)},
        ]
    )
    return [shape], {**data.draw(ways), "axis": data.draw(axes_of(shape, several=False))}


def numpys_split(a, axis, indices_or_sections=None, split_size_or_sections=None):
    size = split_size_or_sections
    if size is not None:
        n = a.shape[axis]
        if not isinstance(size, int) and sum(size) != n:
            raise ValueError("other lengths")
        whole = isinstance(size, int)
        indices_or_sections = [*range(size, n, size)] if whole else np.cumsum(size)[:-1]
    return end_to_end(np.split(a, indices_or_sections, axis))


def torchs_split(a, axis, indices_or_sections=None, split_size_or_sections=None):
    if split_size_or_sections is not None:
        return end_to_end(a.split(split_size_or_sections, axis))
    return end_to_end(a.tensor_split(indices_or_sections, axis))


def chunked(data):
    shape = data.draw(shapes)
    axis = data.draw(axes_of(shape, several=False))
    return [shape], {"chunks": data.draw(st.integers(1, 3)), "axis": axis}


def numpys_chunk(a, chunks, axis=0):
    n = a.shape[axis]  # what a number has not
    size = -(-n // chunks) or 1
    return end_to_end(np.split(a, [*range(size, n, size)], axis))


def end_to_end(parts):
    """Lay several results end to end; the places that some tell besides are left out."""
    if isinstance(parts[0], Tensor):
        return calls.end_to_end(parts)
    if isinstance(parts[0], np.ndarray):
        return np.concatenate([part.reshape(part.size) for part in parts])
    import torch

    return torch.cat([part.reshape(part.numel()) for part in parts if part.is_floating_point()])


def gathered(data):
    shape = data.draw(shapes)
    axis = data.draw(axes_of(shape, several=False))
    wanted = [*shape]
    if shape:
        wanted[axis] = data.draw(st.integers(0, 2))
    length = shape[axis] if shape else 1
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    return [shape], {"axis": axis, "index": rng.integers(0, length or 1, wanted)}


def numpys_gather(a, axis, index):
    if not a.ndim:
        return a[()] if np.shape(index) == () else np.take_along_axis(a, index, axis)
    return np.take_along_axis(a, np.asarray(index, int), axis)


def torchs_gather(a, axis, index):
    import torch

    return a.gather(axis, torch.tensor(index))


def ordered(data):
    shape = data.draw(shapes)
    axis = data.draw(axes_of(shape, several=False))
    return [shape], {"axis": axis, "descending": data.draw(st.booleans())}


def numpys_sort(a, axis=-1, descending=False):
    if not a.ndim:
        return a.reshape(1)
    return (-np.sort(-a, axis=axis) if descending else np.sort(a, axis=axis)).reshape(a.size)


def the_first(data):
    chosen, how = ordered(data)
    return chosen, {**how, "k": data.draw(st.none() | st.integers(0, 2))}


def numpys_ordered(a, axis, descending, k):
    found = numpys_sort(a.reshape(a.shape or 1), axis, descending).reshape(a.shape or 1)
    if k is None:
        return found.reshape(a.shape)
    if k > found.shape[axis] or (not a.ndim and not k):
        raise ValueError("not so many")
    found = found.take(range(k), axis)
    return found if a.ndim else found.reshape(())


def torchs_ordered(a, axis, descending, k):
    found = a.sort(axis, descending).values
    return found.narrow(axis, 0, k) if k is not None and a.ndim else found


def at_the_top(data):
    shape = data.draw(shapes)
    how = {"axis": data.draw(axes_of(shape, several=False)), "largest": data.draw(st.booleans())}
    return [shape], {"k": data.draw(st.integers(0, 2)), **how}


def numpys_topk(a, k, axis=-1, largest=True):
    rows = a if a.ndim else a.reshape(1)
    if k > rows.shape[axis] or (not a.ndim and not k):
        raise ValueError("not so many")
    found = np.sort(-rows if largest else rows, axis=axis).take(range(k), axis)
    return (-found if largest else found).reshape(-1)


def triangle(data):
    return [data.draw(shapes)], {"diagonal": data.draw(st.integers(-2, 2))}


def of_matrices(function):
    def refusing_vectors(a, diagonal=0):
        if np.ndim(a) < 2:
            raise ValueError("a vector, which NumPy makes a matrix")
        return function(a, max(-9, min(diagonal, 9)))

    return refusing_vectors


def convolved(data):
    groups, outputs, channels = (data.draw(st.integers(1, 2)) for _ in range(3))
    time, width = data.draw(st.integers(0, 4)), data.draw(st.integers(1, 3))
    batch = data.draw(st.sampled_from([(), (2,), (0,)]))
    shapes_of = [(*batch, groups * channels, time), (groups * outputs, channels, width)]
    if data.draw(st.booleans()):
        shapes_of.append((groups * outputs,))
    how = {name: data.draw(st.integers(1, 2)) for name in ("stride", "dilation")}
    how["groups"] = groups
    same = ["same"] if how["stride"] == 1 else []
    return shapes_of, {**how, "padding": data.draw(st.sampled_from([*same, 0, 1, 2, "valid"]))}


def numpys_conv1d(x, weight, bias=None, *, stride=1, padding=0, dilation=1, groups=1):
    outputs, channels, width = weight.shape
    if padding == "same":
        reach = dilation * (width - 1)
        padding = (reach // 2, reach - reach // 2)
    elif padding == "valid":
        padding = 0
    ends = padding if isinstance(padding, tuple) else (padding, padding)
    x = np.pad(x, [*[(0, 0)] * (x.ndim - 1), ends])
    count = (x.shape[-1] - dilation * (width - 1) - 1) // stride + 1
    if count < 1:
        raise ValueError("no window fits")
    y = np.zeros((*x.shape[:-2], outputs, count))
    for o, c, t, k in np.ndindex(outputs, channels, count, width):
        own = o // (outputs // groups) * channels + c
        y[..., o, t] += weight[o, c, k] * x[..., own, t * stride + k * dilation]
    return y if bias is None else y + bias[:, None]


def limits(data):
    if data.draw(st.booleans()):
        return elementwise(3)(data)
    low, high = data.draw(st.sampled_from([(-0.5, 0.5), (0.5, -0.5), (None, 0.1), (0.1, None)]))
    return [data.draw(shapes)], {"low": low, "high": high}


def approximated(data):
    return [data.draw(shapes)], {"approximate": data.draw(st.sampled_from(["none", "tanh"]))}


def leaking(data):
    return [data.draw(shapes)], {"negative_slope": data.draw(st.sampled_from([0.01, 0.5, -1]))}


def another_shape(data):
    shape = data.draw(shapes)
    ones = data.draw(st.permutations([*shape, 1]))
    wrong = data.draw(shapes)
    return [shape], {"shape": data.draw(st.sampled_from([tuple(ones), (-1,), (1, -1), wrong]))}


def order(data):
    shape = data.draw(shapes)
    return [shape], {"axes": data.draw(st.none() | st.permutations(range(len(shape))).map(tuple))}


def two_axes(data):
    shape = data.draw(shapes)
    axis = axes_of(shape, several=False)
    return [shape], {"axis1": data.draw(axis), "axis2": data.draw(axis)}


def wider(data):
    many = mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=2)
    shape, other = data.draw(many).input_shapes
    return [shape], {
        "shape": data.draw(st.sampled_from([other, np.broadcast_shapes(shape, other)]))
    }


def places(data):
    shape = data.draw(shapes)
    return [shape], {"index": data.draw(basic_indices(shape, allow_newaxis=True))}


def joined(data):
    shape = data.draw(shapes)
    axis = data.draw(axes_of(shape, several=False))
    chosen = []
    for _ in range(data.draw(st.integers(1, 3))):
        one = [*shape]
        if shape:
            one[axis] = data.draw(st.integers(0, 2))
        chosen.append(tuple(one))
    return chosen, {"axis": axis}


def stacked(data):
    shape = data.draw(shapes)
    axis = data.draw(axes_of((*shape, 1), several=False))
    return [shape] * data.draw(st.integers(1, 3)), {"axis": axis}


def product(data):
    n, k, m = (data.draw(st.integers(0, 2)) for _ in range(3))
    batches = data.draw(
        mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=0, max_side=2)
    )
    first, second = batches.input_shapes
    a = data.draw(st.sampled_from([(k,), (*first, n, k), ()]))
    b = data.draw(st.sampled_from([(k,), (k, m), (*second, k, m)]))
    return [a, b], {}


def norm(vectors):
    def draw(data):
        shape = data.draw(shapes.filter(len))
        return [shape] + [shape[-1:]] * vectors, {"eps": data.draw(st.sampled_from([0.1, 1e-5]))}

    return draw


def looked_up(data):
    shape, ids = data.draw(shapes.filter(len)), data.draw(shapes)
    if shape[0] == 0:
        ids = (*ids, 0)
    return [shape], {"token_ids": np.zeros(ids, int) + max(0, shape[0] - 1)}


def masked(data):
    (shape, mask), _ = elementwise(2)(data)
    return [shape], {"mask": np.arange(math.prod(mask)).reshape(mask) % 2 == 0, "value": 3.0}


def dropped(data):
    return [data.draw(shapes)], {"rate": 0.0, "seed": data.draw(st.integers(0, 9))}


def attended(data):
    heads, queries, keys, d_k, d_v = (data.draw(st.integers(low, 2)) for low in (1, 0, 0, 0, 0))
    many = mutually_broadcastable_shapes(
        num_shapes=3, min_dims=0, max_dims=1, min_side=0, max_side=2
    )
    sizes = [(queries, heads * d_k), (keys, heads * d_k), (keys, heads * d_v)]
    batches = data.draw(many).input_shapes
    how = {"num_heads": heads, "causal": data.draw(st.booleans())}
    return [(*batch, *size) for batch, size in zip(batches, sizes, strict=True)], how


def turned(data):
    batch, heads, time, pairs = (data.draw(st.integers(low, 2)) for low in (0, 1, 0, 0))
    positions = st.none() | st.just(np.arange(time) * 1.5 + 3)
    how = {"num_heads": heads, "interleaved": data.draw(st.booleans())}
    return [(batch, time, heads * pairs * 2)], {**how, "positions": data.draw(positions)}


def angles(x, num_heads, positions, base):
    d = x.shape[-1] // (num_heads or 1)
    places = np.arange(x.shape[-2]) if positions is None else np.asarray(positions)
    return np.multiply.outer(places, np.power(float(base), -np.arange(0, d, 2) / (d or 1)))


def numpys_rope(x, num_heads=None, positions=None, base=10_000.0, interleaved=False):
    """Turn by a product of complex numbers."""
    heads = x.reshape(*x.shape[:-1], num_heads or 1, x.shape[-1] // (num_heads or 1))
    half = heads.shape[-1] // 2
    turn = np.exp(1j * angles(x, num_heads, positions, base))[..., None, :]
    y = np.empty(heads.shape)
    if interleaved:
        z = (heads[..., ::2] + 1j * heads[..., 1::2]) * turn
        y[..., ::2], y[..., 1::2] = z.real, z.imag
    else:
        z = (heads[..., :half] + 1j * heads[..., half:]) * turn
        y[..., :half], y[..., half:] = z.real, z.imag
    return y.reshape(x.shape)


def torchs_rope(x, num_heads, positions, interleaved):
    import torch

    turn = torch.tensor(np.exp(1j * angles(x, num_heads, positions, 10_000.0)))[..., None, :]
    heads = x.reshape(*x.shape[:-1], num_heads, x.shape[-1] // num_heads)
    half = heads.shape[-1] // 2
    pairs = heads.unflatten(-1, (half, 2)) if interleaved else heads.unflatten(-1, (2, half)).mT
    z = torch.complex(pairs[..., 0], pairs[..., 1]) * turn
    return torch.stack((z.real, z.imag), dim=-1 if interleaved else -2).reshape(x.shape)


def predicted(data):
    *some, last = data.draw(shapes.filter(len))
    return [(*some, last)], {"targets": np.full(some, max(0, last - 1))}


def as_a_row(function):
    """Let NumPy's function take an axis of a number, as np.sum, np.max and PyTorch do."""

    def taking_numbers(a, axis, **attributes):
        return function(a, axis=axis if np.ndim(a) else None, **attributes)

    return taking_numbers


def numpys_softmax(a, axis=-1):
    return np.exp(a) / np.exp(a).sum(axis=axis, keepdims=True)


def numpys_attention(
    q, k, v, num_heads=None, causal=False, num_kv_heads=None, window=None, mask=None, scale=None
):
    heads = num_heads or 1
    shares = heads // (num_kv_heads or heads)
    d_k, d_v = q.shape[-1] // heads, v.shape[-1] * shares // heads
    seen = np.ones((q.shape[-2], k.shape[-2]), bool)
    if causal:
        seen = np.tril(seen, k.shape[-2] - q.shape[-2])
    if window is not None:
        seen = np.triu(seen, k.shape[-2] - q.shape[-2] - min(window, k.shape[-2]) + 1)
    parts = []
    for head in range(heads):
        own = slice(head * d_k, (head + 1) * d_k)
        of_k, of_v = (slice(head // shares * d, (head // shares + 1) * d) for d in (d_k, d_v))
        scores = q[..., own] @ np.swapaxes(k[..., of_k], -1, -2)
        scores = scores * (1 / math.sqrt(d_k or 1) if scale is None else scale)
        added = np.asarray(0.0 if mask is None else mask)
        if num_heads and added.ndim > 2:
            added = np.broadcast_to(added, (*added.shape[:-3], heads, *added.shape[-2:]))
            added = added[..., head, :, :]
        added = np.where(added, 0, -np.inf) if added.dtype == bool else added
        visible = seen & ~(added == -np.inf)
        scores = np.where(visible, scores + added, -np.inf)
        largest = scores.max(axis=-1, keepdims=True, initial=np.finfo(float).min)
        weights = np.exp(scores - largest)
        total = weights.sum(axis=-1, keepdims=True)
        parts.append(weights / np.where(total == 0, 1, total) @ v[..., of_v])
    return np.concatenate(parts, axis=-1)


def torchs_attention(q, k, v, num_heads, causal):
    import torch

    seen = torch.ones((q.shape[-2], k.shape[-2]), dtype=bool)
    if causal:
        seen = seen.tril(k.shape[-2] - q.shape[-2])
    pairs = zip(*(x.tensor_split(num_heads, -1) for x in (q, k, v)), strict=True)
    parts = []
    for one_q, one_k, one_v in pairs:
        scores = one_q @ one_k.mT / math.sqrt(one_q.shape[-1] or 1)
        weights = scores.masked_fill(~seen, -torch.inf).softmax(-1).masked_fill(~seen, 0)
        parts.append(weights @ one_v)
    return torch.cat(parts, -1)


def torchs_max(name):
    def function(a, axis, keepdims):
        import torch

        axes = tuple(range(a.ndim)) if axis is None else axis
        return getattr(torch, name)(a, dim=axes, keepdim=keepdims)

    return function


def torchs_logsumexp(a, axis, keepdims):
    return a.logsumexp(tuple(range(a.ndim)) if axis is None else axis, keepdims)


def numpys_cross_entropy(logits, targets):
    rows = np.log(numpys_softmax(logits)).reshape(-1, logits.shape[-1])
    if not targets.size:
        raise ValueError("the mean of nothing is refused")
    return -rows[np.arange(targets.size), targets.reshape(-1)].mean()


def torchs_cross_entropy(logits, targets):
    import torch

    rows, ids = logits.reshape(targets.size, logits.shape[-1]), torch.tensor(targets.reshape(-1))
    return torch.nn.functional.cross_entropy(rows, ids)


def numpys_rms_norm(x, gain, eps):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * gain


def numpys_layer_norm(x, gain, bias, eps):
    center = np.mean(x, axis=-1, keepdims=True)
    return (x - center) / np.sqrt(np.var(x, axis=-1, keepdims=True) + eps) * gain + bias


def functional(name):
    def function(*args, **options):
        from torch.nn import functional as module

        return getattr(module, name)(*args, **options)

    return function


def torchs(name, **renamed):
    def function(*args, **attributes):
        import torch

        options = {renamed.get(key, key): value for key, value in attributes.items()}
        return getattr(torch, name)(*args, **options)

    return function


def integrated(a):
    """Return erf a by quadrature, for an a that is not large."""
    places, weights = np.polynomial.legendre.leggauss(40)
    t = np.multiply.outer(a, (places + 1) / 2)
    return a / math.sqrt(math.pi) * np.sum(weights * np.exp(-t * t), axis=-1)


def numpys_erfinv(a):
    return np.vectorize(NormalDist().inv_cdf, [float])((a + 1) / 2) / math.sqrt(2)


def torchs_clip(a, *limits, low=None, high=None):
    import torch

    if limits:  # whose gradients it does not give where they are wider than a
        return torch.clamp(*torch.broadcast_tensors(a, *limits))
    return torch.clamp(a, low, high)


def numpys_gelu(a, approximate):
    if approximate == "none":
        return a * (1 + integrated(a / math.sqrt(2))) / 2
    return 0.5 * a * (1 + np.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3)))


def same(name, count=1, numpys=None):
    return Oracle(elementwise(count), numpys or getattr(np, name), torchs(name))


ORACLES = {
    ops.neg: same("negative"),
    **{op: same(op.name) for op in of_one_number if hasattr(np, op.name)},
    ops.add: same("add", 2),
    ops.sub: Oracle(elementwise(2), np.subtract, torchs("subtract")),
    ops.mul: Oracle(elementwise(2), np.multiply, torchs("multiply")),
    ops.div: Oracle(elementwise(2), np.divide, torchs("divide")),
    ops.pow: Oracle(elementwise(2), np.power, torchs("pow")),
    ops.sigmoid: same("sigmoid", numpys=lambda a: 1 / (1 + np.exp(-a))),
    ops.relu: same("relu", numpys=lambda a: np.maximum(a, 0)),
    ops.gelu: Oracle(approximated, numpys_gelu, functional("gelu")),
    ops.softplus: Oracle(elementwise(1), lambda a: np.logaddexp(a, 0), functional("softplus")),
    ops.leaky_relu: Oracle(
        leaking,
        lambda a, negative_slope: np.where(a > 0, a, a * negative_slope),
        functional("leaky_relu"),
    ),
    ops.erf: Oracle(elementwise(1), integrated, torchs("erf")),
    ops.erfc: Oracle(elementwise(1), lambda a: 1 - integrated(a), torchs("erfc")),
    ops.erfinv: Oracle(elementwise(1), numpys_erfinv, torchs("erfinv")),
    ops.silu: Oracle(elementwise(1), lambda a: a / (1 + np.exp(-a)), functional("silu")),
    ops.clamp_min: Oracle(elementwise(2), np.maximum, torchs("clamp_min")),
    ops.clamp_max: Oracle(elementwise(2), np.minimum, torchs("clamp_max")),
    ops.swiglu: Oracle(
        elementwise(2),
        lambda a, b: a / (1 + np.exp(-a)) * b,
        lambda a, b: functional("silu")(a) * b,
    ),
    ops.rope: Oracle(turned, numpys_rope, torchs_rope),
    ops.maximum: same("maximum", 2),
    ops.minimum: same("minimum", 2),
    ops.where: same("where", 3),
    ops.clip: Oracle(
        limits,
        lambda a, low=None, high=None: np.clip(a, low, high),
        torchs_clip,
    ),
    ops.astype: Oracle(converted, lambda a, dtype: a.astype(dtype), lambda a, dtype: a.double()),
    ops.sum: Oracle(reduction, np.sum, torchs("sum", axis="dim", keepdims="keepdim")),
    ops.prod: Oracle(reduction, np.prod, torchs_prod),
    ops.cumsum: Oracle(running, numpys_cumsum, torchs_cumsum),
    ops.norm: Oracle(length, numpys_norm, torchs_norm),
    ops.std: Oracle(
        variance, as_a_row(np.std), torchs("std", axis="dim", keepdims="keepdim", ddof="correction")
    ),
    ops.squeeze: Oracle(
        squeezed,
        lambda a, axis: np.squeeze(a, axis=axis if np.ndim(a) else None),
        lambda a, axis: a.squeeze() if axis is None else a.squeeze(axis),
    ),
    ops.unsqueeze: Oracle(new_axis, np.expand_dims, torchs("unsqueeze", axis="dim")),
    ops.flatten: Oracle(some_as_one, numpys_flatten, torchs("flatten")),
    ops.flip: Oracle(
        flipped,
        as_a_row(np.flip),
        lambda a, axis: a.flip([*range(a.ndim)] if axis is None else axis),
    ),
    ops.roll: Oracle(rolled, np.roll, lambda a, shift, axis: a.roll(shift, axis)),
    ops.pad: Oracle(padded, numpys_pad, torchs_pad),
    ops.split: Oracle(cut, numpys_split, torchs_split),
    ops.chunk: Oracle(
        chunked, numpys_chunk, lambda a, chunks, axis: end_to_end(a.chunk(chunks, axis))
    ),
    ops.gather: Oracle(gathered, numpys_gather, torchs_gather),
    ops.ordered: Oracle(the_first, numpys_ordered, torchs_ordered),
    ops.sort: Oracle(
        ordered, numpys_sort, lambda a, axis, descending: end_to_end(a.sort(axis, descending))
    ),
    ops.topk: Oracle(
        at_the_top, numpys_topk, lambda a, k, axis, largest: end_to_end(a.topk(k, axis, largest))
    ),
    ops.tril: Oracle(triangle, of_matrices(np.tril), torchs("tril")),
    ops.triu: Oracle(triangle, of_matrices(np.triu), torchs("triu")),
    ops.conv1d: Oracle(
        convolved, numpys_conv1d, lambda *operands, **how: functional("conv1d")(*operands, **how)
    ),
    ops.mean: Oracle(reduction, as_a_row(np.mean), torchs("mean", axis="dim", keepdims="keepdim")),
    ops.var: Oracle(
        variance, as_a_row(np.var), torchs("var", axis="dim", keepdims="keepdim", ddof="correction")
    ),
    ops.max: Oracle(reduction, np.max, torchs_max("amax")),
    ops.min: Oracle(reduction, np.min, torchs_max("amin")),
    ops.logsumexp: Oracle(
        reduction, lambda a, **how: np.log(np.sum(np.exp(a), **how)), torchs_logsumexp
    ),
    ops.reshape: Oracle(another_shape, np.reshape, torchs("reshape")),
    ops.transpose: Oracle(
        order, np.transpose, lambda a, axes: a.permute(axes or (*range(a.ndim),)[::-1])
    ),
    ops.swapaxes: Oracle(two_axes, np.swapaxes, lambda a, axis1, axis2: a.swapaxes(axis1, axis2)),
    ops.broadcast_to: Oracle(wider, np.broadcast_to, lambda a, shape: a.broadcast_to(shape)),
    ops.getitem: Oracle(places, lambda a, index: a[index], lambda a, index: _torchs_item(a, index)),
    ops.concatenate: Oracle(
        joined,
        lambda *arrays, axis: np.concatenate(arrays, axis),
        lambda *arrays, axis: torchs("cat")(arrays, axis),
    ),
    ops.stack: Oracle(
        stacked,
        lambda *arrays, axis: np.stack(arrays, axis),
        lambda *arrays, axis: torchs("stack")(arrays, axis),
    ),
    ops.matmul: Oracle(product, np.matmul, torchs("matmul")),
    ops.einsum: Oracle(
        contracted,
        lambda *arrays, subscripts: np.einsum(subscripts, *arrays, optimize=True),
        lambda *arrays, subscripts: torchs("einsum")(subscripts, *arrays),
    ),
    ops.softmax: Oracle(along_one_axis, numpys_softmax, torchs("softmax", axis="dim")),
    ops.log_softmax: Oracle(
        along_one_axis,
        lambda a, axis: np.log(numpys_softmax(a, axis)),
        torchs("log_softmax", axis="dim"),
    ),
    ops.layer_norm: Oracle(
        norm(2),
        numpys_layer_norm,
        lambda x, *vectors, eps: functional("layer_norm")(x, x.shape[-1:], *vectors, eps=eps),
    ),
    ops.rms_norm: Oracle(
        norm(1),
        numpys_rms_norm,
        lambda x, gain, eps: functional("rms_norm")(x, x.shape[-1:], gain, eps=eps),
    ),
    ops.embedding: Oracle(
        looked_up,
        lambda weight, token_ids: weight[token_ids],
        lambda weight, token_ids: weight[token_ids],
    ),
    ops.masked_fill: Oracle(
        masked,
        lambda a, mask, value: np.where(mask, value, a),
        lambda a, mask, value: _torchs_masked_fill(a, mask, value),
    ),
    ops.dropout: Oracle(dropped, lambda a, rate, seed: a, lambda a, rate, seed: a * 1),
    ops.attention: Oracle(attended, numpys_attention, torchs_attention),
    ops.cross_entropy: Oracle(predicted, numpys_cross_entropy, torchs_cross_entropy),
}


def _torchs_item(a, index):
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, slice) and part.step is not None and part.step < 0 for part in parts):
        raise NotImplementedError("PyTorch has no negative steps")
    return a[index]


def _torchs_masked_fill(a, mask, value):
    import torch

    return a.masked_fill(torch.tensor(mask), value)


def test_every_operation_has_its_oracle():
    assert set(ORACLES) == set(ops.OPERATIONS)


def drawn(op, data):
    """Draw operands, no two of them alike, and none at a kink; and the attributes of a call."""
    chosen, attributes = ORACLES[op].draw(data)
    domains = op.domain * len(chosen) if len(op.domain) == 1 else op.domain
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    arrays = []
    for shape, domain in zip(chosen, domains, strict=True):
        if domain is CONDITION:
            arrays.append(np.asarray(rng.random(shape) < 0.5))
        else:
            low, high = max(domain[0] + 0.25, -2), min(domain[1] - 0.25, 2)
            arrays.append(np.asarray(rng.uniform(low, high, size=shape)))
    return arrays, attributes


def call(op, operands, attributes):
    found = op(operands, **attributes) if op.joins else op(*operands, **attributes)
    return end_to_end(found) if isinstance(found, tuple | list) else found


@pytest.mark.parametrize(**each_operation)
@given(st.data())
def test_the_result_is_numpys_or_an_error_in_our_words(op, data):
    arrays, attributes = drawn(op, data)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of means of nothing
            expected = ORACLES[op].numpy(*arrays, **attributes)
    except (ValueError, IndexError, TypeError):
        with pytest.raises((ValueError, IndexError), match=f"^{op.name}"):
            call(op, arrays, attributes)
        return
    y = call(op, [*map(Tensor, arrays)], attributes)
    np.testing.assert_allclose(y.data, expected, rtol=1e-12, atol=1e-12)
    assert (y.shape, y.dtype) == (np.shape(expected), np.dtype(float))


@needs_torch
@pytest.mark.parametrize(**each_operation)
@given(st.data())
def test_the_gradient_is_pytorchs(op, data):
    import torch

    arrays, attributes = drawn(op, data)
    leaves = [torch.tensor(a, requires_grad=a.dtype != bool) for a in arrays]
    tensors = [*map(Tensor, arrays)]
    try:
        y = call(op, tensors, attributes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a variance of too few numbers
            expected = ORACLES[op].torch(*leaves, **attributes)
    except (ValueError, IndexError, RuntimeError, NotImplementedError, TypeError):
        return  # the test above says which may be refused
    if attributes.get("axis") == () and y.shape != expected.shape:
        return  # PyTorch takes no axis for all axes
    if op in (ops.var, ops.std) and not np.isfinite(y.data).all():
        return  # PyTorch's gradient forgets the sign of the deviation where nothing is left
    assert y.shape == tuple(expected.shape)
    upstream = np.asarray(np.random.default_rng(1).normal(size=y.shape))
    y.backward(upstream)
    expected.backward(torch.tensor(upstream))
    for tensor, leaf in zip(tensors, leaves, strict=True):
        if leaf.requires_grad:
            found = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy()
            np.testing.assert_allclose(tensor.grad, found, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(**each_operation)
@given(st.data())
def test_values_agree(op, data):
    arrays, attributes = drawn(op, data)
    tensors = [*map(Tensor, arrays)]
    try:
        y = call(op, tensors, attributes)
    except (ValueError, IndexError):
        return
    upstream = np.asarray(np.random.default_rng(1).normal(size=y.shape))
    y.backward(upstream)
    values = y.to_values()
    assert values.shape == y.shape
    np.testing.assert_allclose(
        np.vectorize(lambda v: v.data, [float])(values), y.data, rtol=1e-12, atol=1e-12
    )
