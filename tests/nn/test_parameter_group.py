"""Parameters side by side move exactly as each would by itself."""

import copy
import pickle

import numpy as np
import pytest

from autolm import Tensor
from autolm.nn import SGD, AdamW
from autolm.nn.parameter_group import ParameterGroup

SHAPES = [(3, 2), (4,), (2, 2), (5,), (), (1, 6)]


def parameters(rng, dtypes):
    return [
        Tensor(rng.normal(size=shape).astype(dtype))
        for shape, dtype in zip(SHAPES, dtypes, strict=True)
    ]


def adamw_by_the_book(p, grads, rate, beta1, beta2, eps, decay):
    """Follow the paper's algorithm for one array, step after step."""
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(grads, 1):
        if g is None:
            continue
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        change = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)
        p = p - rate * (change + decay * p if p.ndim > 1 else change)
    return p


@pytest.mark.parametrize(
    "dtypes",
    [["f8"] * 6, ["f4"] * 6, ["f8", "f4", "f4", "f8", "f8", "f4"]],
    ids=["float64", "float32", "both"],
)
def test_each_parameter_moves_bit_for_bit_as_by_itself_with_or_without_a_gradient(dtypes):
    rng = np.random.default_rng(1)
    ours = parameters(rng, dtypes)
    start = [p.data.copy() for p in ours]
    optimizer = AdamW(ours, 0.1, betas=(0.8, 0.95), weight_decay=0.3)
    given = []
    for _ in range(5):
        grads = [rng.normal(size=p.shape).astype(p.dtype) for p in ours]
        grads = [g if rng.random() < 0.7 else None for g in grads]
        for p, g in zip(ours, grads, strict=True):
            p.grad = g
        optimizer.step()
        given.append(grads)
    for i, p in enumerate(ours):
        alone = adamw_by_the_book(start[i], [g[i] for g in given], 0.1, 0.8, 0.95, 1e-8, 0.3)
        assert p.dtype == dtypes[i]
        assert p.data.tobytes() == alone.tobytes()


def test_parameters_without_a_gradient_part_the_others_into_runs():
    a, b, c, d = (Tensor([float(i)] * i) for i in (1, 2, 3, 4))
    group = ParameterGroup({"a": a, "b": b, "c": c, "d": d}, ("kept",))
    for p in (a, b, d):
        p.grad = p.data * 10
    runs = list(group.runs())
    assert [run.data.tolist() for run in runs] == [[1, 2, 2], [4, 4, 4, 4]]
    assert [run.gradients().tolist() for run in runs] == [[10, 20, 20], [40, 40, 40, 40]]
    runs[1].memory["kept"] += 7
    assert [array.tolist() for array in group.arrays().values()] == [[0], [0, 0], [0] * 3, [7] * 4]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_of_parameters_and_their_optimizer_goes_on_by_itself(copied):
    a, b = Tensor([1.0, 2.0]), Tensor([3.0])
    optimizer = SGD([a, b], 0.5)
    a.grad, b.grad = [1.0, 1.0], [1.0]
    optimizer.step()
    (c, d), other = copied(([a, b], optimizer))
    c.data[0] = 100.0
    other.step()
    assert (c.data.tolist(), d.data.tolist()) == ([99.5, 1.0], [2.0])
    assert (a.data.tolist(), b.data.tolist()) == ([0.5, 1.5], [2.5])


def test_a_parameter_that_was_bound_anew_between_steps_goes_on_from_there():
    a, b = Tensor([1.0, 2.0]), Tensor([3.0])
    optimizer = SGD([a, b], 0.5)
    a.grad, b.grad = [1.0, 1.0], [1.0]
    optimizer.step()
    a.data = [10.0, 20.0]
    optimizer.step()
    assert a.data.tolist() == [9.5, 19.5]
    assert b.data.tolist() == [2.0]
