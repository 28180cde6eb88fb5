"""Sums of float16 numbers are computed in float32: results and gradients are rounded once."""

import numpy as np
import pytest

from autolm import Tensor, open, ops

UNIT = 2.0**-10  # the distance of neighbours of 1 in float16
SMALLEST = 2.0**-24  # the smallest number above 0


def torchs(name, **attributes):
    """Return a call of a function of PyTorch's by its name."""

    def call(torch, *tensors):
        namespaces = (torch, torch.nn.functional, torch.linalg)
        function = next(
            getattr(namespace, name) for namespace in namespaces if hasattr(namespace, name)
        )
        return function(*tensors, **attributes)

    return call


# Name: the operation, and the same in PyTorch; None where PyTorch 2.13 counts or adds in float16.
REDUCTIONS = {
    "sum": (lambda x: x.sum(0), torchs("sum", dim=0)),
    "mean": (lambda x: x.mean(0), torchs("mean", dim=0)),
    "mean of all": (lambda x: x.mean(), torchs("mean")),
    "var": (lambda x: x.var(0), torchs("var", dim=0, correction=0)),
    "std": (lambda x: x.std(0, ddof=1), torchs("std", dim=0)),
    "norm": (lambda x: x.norm(axis=0), torchs("vector_norm", dim=0)),
    "norm of order 1": (lambda x: x.norm(1, 0), torchs("vector_norm", ord=1, dim=0)),
    "largest norm": (lambda x: x.norm(np.inf, 0), None),
    "logsumexp": (lambda x: x.logsumexp(0), None),
    "cumsum": (lambda x: ops.cumsum(x, axis=0), torchs("cumsum", dim=0)),
    "softmax": (lambda x: x.softmax(0), torchs("softmax", dim=0)),
    "log_softmax": (lambda x: x.log_softmax(0), torchs("log_softmax", dim=0)),
    "largest": (lambda x: x.max(0), None),
    "smallest": (lambda x: x.min(0), None),
    "matmul": (
        lambda x: np.ones((1, len(x)), np.float16) @ x,
        lambda torch, x: torch.ones((1, len(x)), dtype=x.dtype) @ x,
    ),
    "einsum": (lambda x: ops.einsum("i...->...", x), torchs("sum", dim=0)),
}
LONG = {
    "70 000 thousandths": np.tile([[1e-3], [2e-3]], (35_000, 2)).astype(np.float16),
    "60 000 twos": np.full((60_000, 1), 2, np.float16),
    "a bell curve": np.random.default_rng(0).normal(size=(70_000, 2)).astype(np.float16),
}
ROWS = {
    "layer_norm": (ops.layer_norm, 3, lambda torch, x, *v: _norm(torch, "layer_norm", x, *v)),
    "rms_norm": (ops.rms_norm, 2, lambda torch, x, *v: _norm(torch, "rms_norm", x, *v)),
}


def _norm(torch, name, x, *vectors):
    return getattr(torch.nn.functional, name)(x, x.shape[-1:], *vectors, eps=1e-5)


def upstream_of(shape):
    """Return numbers of both signs, from ½ to 1, that float16 holds; for one number 1."""
    if shape == ():
        return np.ones((), np.float16)
    rng = np.random.default_rng(1)
    return (rng.choice([-1, 1], shape) * rng.integers(8, 17, shape) / 16).astype(np.float16)


def run(operation, arrays):
    """Return the result and the gradients."""
    tensors = [Tensor(array) for array in arrays]
    y = operation(*tensors)
    y.backward(upstream_of(y.shape))
    return [y.data, *(tensor.grad for tensor in tensors)]


def run_in_torch(torch, operation, arrays):
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    y = operation(torch, *tensors)
    y.backward(torch.tensor(upstream_of(y.shape)))
    return [y.detach().numpy(), *(tensor.grad.numpy() for tensor in tensors)]


def require_rounded_once(operation, arrays):
    """Hold float16 results against those of float64, from the same numbers.

    float32 rounds as well: of 70 000 additions, one after another, there can remain 10 bits.
    """
    halves = run(operation, arrays)
    with np.errstate(over="ignore"):
        wide = [
            reference.astype(np.float16)
            for reference in run(operation, [a.astype(float) for a in arrays])
        ]
    for half, expected in zip(halves, wide, strict=True):
        assert half.dtype == np.float16
        finite = np.abs(expected[np.isfinite(expected)].astype(float))
        near = 2 * SMALLEST + 1e-6 * finite.max(initial=0)
        np.testing.assert_allclose(half, expected, rtol=2 * UNIT, atol=near)
    return halves


@pytest.mark.parametrize("numbers", LONG.values(), ids=LONG)
@pytest.mark.parametrize(("operation", "_"), REDUCTIONS.values(), ids=REDUCTIONS)
def test_a_reduction_of_more_numbers_than_float16_counts_is_rounded_once(operation, _, numbers):
    require_rounded_once(operation, [numbers])


@pytest.mark.parametrize("numbers", LONG.values(), ids=LONG)
@pytest.mark.parametrize("name", [name for name, (_, theirs) in REDUCTIONS.items() if theirs])
def test_a_reduction_of_float16_is_pytorchs(name, numbers):
    torch = pytest.importorskip("torch")
    operation, theirs = REDUCTIONS[name]
    halves = run(operation, [numbers])
    for half, other in zip(halves, run_in_torch(torch, theirs, [numbers]), strict=True):
        assert half.dtype == other.dtype
        np.testing.assert_allclose(half, other, rtol=2 * UNIT, atol=4 * SMALLEST)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "norm", "logsumexp", "prod"])
def test_any_axes_of_any_shape_are_rounded_once(name, seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 40, size=rng.integers(1, 4)))
    axes = tuple(map(int, rng.permutation(len(shape))[: rng.integers(1, len(shape) + 1)]))
    spread = 0.01 if name == "prod" else 3
    numbers = (1 + spread * rng.normal(size=shape)).astype(np.float16)
    keepdims = bool(rng.integers(2))
    require_rounded_once(lambda x: getattr(ops, name)(x, axis=axes, keepdims=keepdims), [numbers])


@pytest.mark.parametrize("width", [1, 7, 70_000])
@pytest.mark.parametrize("scale", [1e-3, 1, 300])
@pytest.mark.parametrize(("operation", "count", "theirs"), ROWS.values(), ids=ROWS)
def test_a_norm_of_float16_is_rounded_once_and_is_pytorchs(operation, count, theirs, scale, width):
    rng = np.random.default_rng(0)
    arrays = [scale * rng.normal(size=(3, width)), *rng.normal(size=(count - 1, width))]
    arrays = [array.astype(np.float16) for array in arrays]
    halves = require_rounded_once(operation, arrays)
    torch = pytest.importorskip("torch")
    for half, other in zip(halves, run_in_torch(torch, theirs, arrays), strict=True):
        largest = float(np.abs(other).max())
        np.testing.assert_allclose(half, other, rtol=4 * UNIT, atol=UNIT * largest)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, np.array([0.5, 2.0, 3.0])], ids=["", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_a_loss_over_more_rows_than_float16_counts_is_rounded_once(reduction, weight, smoothing):
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(70_000, 3)).astype(np.float16), rng.integers(0, 3, 70_000)
    options = {"reduction": reduction, "label_smoothing": smoothing}

    def loss(x):
        return ops.cross_entropy(x, targets=targets, weight=weight, **options)

    require_rounded_once(loss, [logits])  # in PyTorch 2.13 the mean is nan


def test_attention_to_more_keys_than_float16_counts_is_rounded_once():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(n, 4)).astype(np.float16) for n in (2, 70_000, 70_000)]
    require_rounded_once(ops.attention, arrays)


SCATTERED = {
    "rows of an embedding": lambda x: ops.embedding(x, token_ids=np.zeros(70_000, int)),
    "elements taken again": lambda x: x[np.zeros(70_000, int)],
    "an operand that is broadcast": lambda x: x + np.zeros((70_000, 2), np.float16),
    "an array that is broadcast": lambda x: x.broadcast_to(70_000, 2),
    "a bias": lambda x: ops.layer_norm(
        np.ones((70_000, 2), np.float16), np.ones(2, np.float16), x[0]
    ),
}


@pytest.mark.parametrize("operation", SCATTERED.values(), ids=SCATTERED)
def test_the_gradients_of_many_uses_are_added_up_in_float32(operation):
    x = Tensor(np.ones((1, 2), np.float16))
    y = operation(x)
    y.backward(np.full(y.shape, 1e-3, np.float16))
    expected = 70_000 * float(np.float16(1e-3))
    np.testing.assert_allclose(x.grad, [[expected] * 2], rtol=UNIT)
    assert x.grad.dtype == np.float16


@pytest.mark.parametrize("op", [op for op in ops.OPERATIONS if getattr(op, "definition", None)])
def test_an_opened_operation_of_float16_has_its_numbers(op):
    case = op.cases[0]
    rng = np.random.default_rng(0)
    x = [Tensor(rng.normal(size=shape).astype(np.float16)) for shape in case.shapes]
    y = op(*x, **case.attributes)
    opened = open(y, upstream=np.ones(y.shape))
    assert opened.dtype == np.float16
    np.testing.assert_allclose(opened.data, y.data, rtol=UNIT, atol=SMALLEST)


def test_an_opened_mean_of_more_numbers_than_float16_counts_has_its_numbers():
    y = Tensor(LONG["70 000 thousandths"]).mean()
    np.testing.assert_allclose(y.data, 1.5e-3, rtol=UNIT)
    assert open(y, upstream=1.0).data == y.data
