"""Cross entropy in all its ways is what PyTorch computes, and refuses what means nothing."""

import itertools

import numpy as np
import pytest

from autolm import Tensor, ops
from autolm import open as opened

WEIGHT = np.array([0.5, 2.0, 0.0, 1.0])
IDS = np.array([[0, 3, 1], [1, 2, 3]])
WAYS = list(
    itertools.product(
        ["ids", "some ignored", "probabilities"],
        [None, WEIGHT],
        ["mean", "sum", "none"],
        [0.0, 0.2, 1.0],
    )
)


def told(targets, weight, reduction, smoothing):
    how = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    if targets == "probabilities":
        return {**how, "targets": np.random.default_rng(5).random((2, 3, 4))}
    return {**how, "targets": IDS, "ignore_index": 3 if targets == "some ignored" else None}


def torchs(logits, upstream, *, targets, weight, ignore_index=None, **how):
    """Return PyTorch's result and gradient, whose classes are the axis 1."""
    import torch

    if weight is not None:
        how["weight"] = torch.tensor(weight)
    if ignore_index is not None:
        how["ignore_index"] = ignore_index
    x, t = torch.tensor(logits, requires_grad=True), torch.tensor(targets)
    y = torch.nn.functional.cross_entropy(x.mT, t.mT if t.dtype.is_floating_point else t, **how)
    (gradient,) = torch.autograd.grad(y, x, torch.tensor(upstream).expand(y.shape))
    return y.detach().numpy(), gradient.numpy()


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_way_is_pytorchs_in_results_and_gradients(way):
    pytest.importorskip("torch", reason="pip install 'autolm[test,torch]'")
    logits, how = np.random.default_rng(0).normal(size=(2, 3, 4)), told(*way)
    x = Tensor(logits)
    y = ops.cross_entropy(x, **how)
    y.backward(np.full(y.shape, -1.5))
    result, gradient = torchs(logits, -1.5, **how)
    assert y.shape == result.shape
    np.testing.assert_allclose(y.data, result, rtol=1e-12)
    np.testing.assert_allclose(x.grad, gradient, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_opened_and_of_values_it_is_the_same(way):
    x = Tensor(np.random.default_rng(1).normal(size=(2, 3, 4)))
    y = ops.cross_entropy(x, **told(*way))
    y.backward(np.ones(y.shape))
    values = y.to_values()
    np.testing.assert_allclose([value.data for value in values.flat], y.data.reshape(-1))
    inside = opened(y, np.ones(y.shape))
    np.testing.assert_allclose(inside.data, y.data, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_dtype_is_that_of_the_logits(way, dtype):
    x = Tensor(np.ones((2, 3, 4), dtype))
    y = ops.cross_entropy(x, **told(*way))
    y.backward(np.ones(y.shape))
    assert (y.dtype, x.grad.dtype) == (dtype, dtype)


def test_a_probability_of_one_is_the_target_itself():
    logits = np.random.default_rng(2).normal(size=(2, 3, 4))
    one = ops.cross_entropy(logits, targets=np.eye(4)[IDS], reduction="none")
    np.testing.assert_allclose(one.data, ops.cross_entropy(logits, targets=IDS, reduction="none"))


@pytest.mark.parametrize(("reduction", "expected"), [("sum", 0.0), ("none", [0.0, 0.0])])
def test_what_is_ignored_adds_nothing_whatever_its_logits(reduction, expected):
    x = Tensor([[-np.inf, -np.inf], [-np.inf, 1.0]])
    for smoothing in (0.0, 0.5):
        how = {"targets": [7, 7], "ignore_index": 7, "label_smoothing": smoothing}
        y = ops.cross_entropy(x, reduction=reduction, **how)
        assert y.data.tolist() == expected
        x.grad = None
        y.backward(np.ones(y.shape))
        assert not x.grad.any()
        assert np.reshape([v.data for v in y.to_values().flat], y.shape).tolist() == expected
        assert opened(y).data.tolist() == expected


def test_a_mean_of_no_weight_is_nan_as_in_pytorch():
    assert np.isnan(ops.cross_entropy(np.ones((1, 2)), targets=[0], weight=[0.0, 1.0]).item())


WRONG = [
    ({"reduction": "avg"}, ValueError, "reduction is 'avg'; choose 'mean', 'sum' or 'none'"),
    ({"reduction": None}, ValueError, "reduction is None; choose 'mean', 'sum' or 'none'"),
    ({"label_smoothing": 1.5}, ValueError, "label_smoothing must be from 0 to 1, not 1.5"),
    ({"weight": [1.0]}, ValueError, r"logits are \(2, 3\), so weight must be \(3,\), not \(1,\)"),
    ({"weight": ["a"]}, TypeError, r"weight must be real numbers, not \['a'\]"),
    ({"weight": Tensor([1.0, 2.0, 3.0])}, TypeError, "weight gets no gradient"),
    ({"targets": [0, 1], "ignore_index": 1.5}, TypeError, "ignore_index must be an int, not 1.5"),
    (
        {"targets": np.ones((2, 3)), "ignore_index": 1},
        ValueError,
        "targets are probabilities, and ignore_index is an integer",
    ),
    (
        {"targets": np.ones((2, 4))},
        ValueError,
        r"logits are \(2, 3\), so targets must be \(2, 3\), not \(2, 4\)",
    ),
    (
        {"targets": [[0, 1, 0], [1, 0, 0]]},
        ValueError,
        r"logits are \(2, 3\), so targets must be \(2,\), not \(2, 3\); .* must be floats",
    ),
    ({"targets": [0.5, 1.0]}, TypeError, "targets must be integers, not float64"),
    ({"targets": [7, 7], "ignore_index": 7}, ValueError, "targets: there is no target to predict"),
]


@pytest.mark.parametrize(("how", "error", "message"), WRONG)
def test_what_means_nothing_is_refused(how, error, message):
    with pytest.raises(error, match=f"^cross_entropy: {message}"):
        ops.cross_entropy(np.ones((2, 3)), **{"targets": [0, 1], **how})
