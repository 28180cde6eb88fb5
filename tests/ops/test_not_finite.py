"""Results and gradients at nan, ±inf and ±0 are PyTorch's, and the same on Values."""

import itertools
import math

import numpy as np
import pytest

from autolm import Tensor, ops
from autolm.tensor.expansion import expand
from tests.calls import of_one_number

SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0]
PAIRS = np.array([*itertools.product(SPECIAL, SPECIAL)]).T
TRIPLES = np.array([*itertools.product(SPECIAL[:4], repeat=3), [1.0, 2.0, -1.0]])


def functional(name, **options):
    return lambda torch, *tensors: getattr(torch.nn.functional, name)(*tensors, **options)


def torchs(name, **options):
    return lambda torch, *tensors: getattr(torch, name)(*tensors, **options)


def clamped(side):
    return lambda torch, a, limit: torch.clamp(a, **{side: limit})


OF_ONE = {
    **{op.name: (op, torchs(op.name)) for op in of_one_number},
    "softplus": (ops.softplus, functional("softplus")),
    "silu": (ops.silu, functional("silu")),
    "gelu": (ops.gelu, functional("gelu")),
    "leaky_relu": (ops.leaky_relu, functional("leaky_relu")),
    "clip": (lambda x: ops.clip(x, -0.5, 0.5), torchs("clamp", min=-0.5, max=0.5)),
    "clip from nan": (lambda x: ops.clip(x, math.nan), torchs("clamp", min=math.nan)),
}
OF_TWO = {
    "maximum": (ops.maximum, torchs("maximum")),
    "minimum": (ops.minimum, torchs("minimum")),
    "clamp_min": (ops.clamp_min, clamped("min")),
    "clamp_max": (ops.clamp_max, clamped("max")),
    "mul": (ops.mul, torchs("mul")),
}
OF_ROWS = {
    "softmax": (ops.softmax, torchs("softmax", dim=-1)),
    "log_softmax": (ops.log_softmax, torchs("log_softmax", dim=-1)),
    "logsumexp": (lambda x: ops.logsumexp(x, axis=-1), torchs("logsumexp", dim=-1)),
    "norm": (lambda x: x.norm(axis=-1), lambda torch, x: torch.linalg.vector_norm(x, dim=-1)),
    "norm 1": (lambda x: x.norm(1, -1), lambda torch, x: torch.linalg.vector_norm(x, 1, dim=-1)),
    "cross_entropy": (
        lambda x: ops.cross_entropy(x, targets=np.ones(len(x), int), reduction="none"),
        lambda torch, x: torch.nn.functional.cross_entropy(
            x, torch.ones(len(x), dtype=torch.long), reduction="none"
        ),
    ),
}
CASES = {
    **{name: (*functions, [np.array(SPECIAL)]) for name, functions in OF_ONE.items()},
    **{name: (*functions, PAIRS) for name, functions in OF_TWO.items()},
    **{name: (*functions, [TRIPLES]) for name, functions in OF_ROWS.items()},
}


@pytest.mark.parametrize(("operation", "theirs", "arrays"), CASES.values(), ids=CASES)
def test_what_is_not_finite_has_pytorchs_results_and_gradients(operation, theirs, arrays):
    torch = pytest.importorskip("torch")
    ours = [Tensor(array) for array in arrays]
    others = [torch.tensor(array, requires_grad=True) for array in arrays]
    y, z = operation(*ours), theirs(torch, *others)
    y.backward(np.ones(y.shape))
    z.backward(torch.ones_like(z))
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-14, atol=1e-300)
    for own, other in zip(ours, others, strict=True):
        np.testing.assert_allclose(own.grad, other.grad.numpy(), rtol=1e-14, atol=1e-15)


ON_VALUES = [
    *("relu", "abs", "maximum", "minimum", "clamp_min", "clamp_max", "clip", "clip from nan"),
    *("softmax", "log_softmax", "cross_entropy"),
]


@pytest.mark.parametrize("name", ON_VALUES)
def test_values_have_the_same_results_and_gradients(name):
    operation, _, arrays = CASES[name]
    for numbers in zip(*arrays, strict=True):
        tensors = [Tensor(number.reshape(1, -1) if number.ndim else number) for number in numbers]
        y = operation(*tensors)
        y.backward(np.ones(y.shape))
        with np.errstate(invalid="ignore"):
            expanded = expand(y)
        numbers_ = [value.data for value in expanded[y].flat]
        np.testing.assert_allclose(numbers_, y.data.reshape(-1), rtol=1e-14)
        for value in expanded[y].flat:
            if value.requires_grad:
                value.backward()
        for tensor in tensors:
            gradients = [leaf.grad or 0.0 for leaf in expanded[tensor].flat]
            np.testing.assert_allclose(gradients, tensor.grad.reshape(-1), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("how", ["mask", "floats", "causal"])
def test_a_query_that_sees_nothing_gets_zeros_as_in_pytorch(how):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(n, 2)) for n in (3, 2, 2))
    seen = {"causal": np.tri(3, 2, -1, dtype=bool)}.get(how, np.array([[1, 0], [0, 0], [1, 1]]) > 0)
    mask = np.where(seen, 0, -np.inf) if how == "floats" else seen
    options = {"causal": True} if how == "causal" else {"mask": mask}
    ours = [Tensor(array) for array in (q, k, v)]
    others = [torch.tensor(array, requires_grad=True) for array in (q, k, v)]
    y = ops.attention(*ours, **options)
    z = torch.nn.functional.scaled_dot_product_attention(*others, attn_mask=torch.tensor(mask))
    y.backward(np.ones(y.shape))
    z.backward(torch.ones_like(z))
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-12)
    for own, other in zip(ours, others, strict=True):
        np.testing.assert_allclose(own.grad, other.grad.numpy(), rtol=1e-12, atol=1e-15)
