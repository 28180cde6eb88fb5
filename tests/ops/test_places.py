"""Attributes by place: where NumPy and PyTorch agree on it, for functions and methods alike."""

import numpy as np
import pytest

from autolm import Tensor, ops

E = np.random.default_rng(0).normal(size=(5, 3))
X = np.random.default_rng(1).normal(size=(2, 3))
MASK = X > 0
ROW = np.array([[1, 0, 1]])
WITH_PLACES = [op for op in ops.OPERATIONS if op.places]

#: A call by place, and what NumPy gives.
CALLS = {
    "sum": (lambda x: ops.sum(x, 0), X.sum(0)),
    "sum that keeps": (lambda x: ops.sum(x, 0, True), X.sum(0, keepdims=True)),
    "mean": (lambda x: ops.mean(x, -1), X.mean(-1)),
    "var": (lambda x: ops.var(x, (0, 1)), X.var((0, 1))),
    "max": (lambda x: ops.max(x, 1), X.max(1)),
    "min": (lambda x: ops.min(x, 1, True), X.min(1, keepdims=True)),
    "logsumexp": (lambda x: ops.logsumexp(x, 0), np.log(np.exp(X).sum(0))),
    "softmax": (lambda x: ops.softmax(x, 0), np.exp(X) / np.exp(X).sum(0)),
    "log_softmax": (lambda x: ops.log_softmax(x, 0), X - np.log(np.exp(X).sum(0))),
    "clip": (lambda x: ops.clip(x, 0, 1), np.clip(X, 0, 1)),
    "leaky_relu": (lambda x: ops.leaky_relu(x, 0.2), np.where(X > 0, X, X * 0.2)),
    "reshape": (lambda x: ops.reshape(x, (3, 2)), X.reshape(3, 2)),
    "transpose": (lambda x: ops.transpose(x, (1, 0)), X.T),
    "swapaxes": (lambda x: ops.swapaxes(x, 0, 1), X.T),
    "broadcast_to": (lambda x: ops.broadcast_to(x, (4, 2, 3)), np.broadcast_to(X, (4, 2, 3))),
    "getitem": (lambda x: ops.getitem(x, 1), X[1]),
    "masked_fill": (lambda x: ops.masked_fill(x, MASK, 7.0), np.where(MASK, 7.0, X)),
    "concatenate": (lambda x: ops.concatenate([x, x], 1), np.concatenate([X, X], 1)),
    "stack": (lambda x: ops.stack((x, x), -1), np.stack((X, X), -1)),
    "embedding": (lambda x: ops.embedding(E, [0, 3]), E[[0, 3]]),
    "cross_entropy": (
        lambda x: ops.cross_entropy(x, [0, 2]),
        np.mean([np.log(np.exp(X[0]).sum()) - X[0, 0], np.log(np.exp(X[1]).sum()) - X[1, 2]]),
    ),
    "prod": (lambda x: ops.prod(x, 0), X.prod(0)),
    "cumsum": (lambda x: ops.cumsum(x, 1), X.cumsum(1)),
    "std": (lambda x: ops.std(x, 1), X.std(1)),
    "norm": (lambda x: ops.norm(x, 1, 0, True), abs(X).sum(0, keepdims=True)),
    "astype": (lambda x: ops.astype(x, np.float64), X),
    "squeeze": (lambda x: ops.squeeze(x[:1], 0), X[0]),
    "unsqueeze": (lambda x: ops.unsqueeze(x, 1), X[:, None]),
    "flatten": (lambda x: ops.flatten(x, 0, 1), X.reshape(-1)),
    "flip": (lambda x: ops.flip(x, 1), X[:, ::-1]),
    "roll": (lambda x: ops.roll(x, 1, 1), np.roll(X, 1, 1)),
    "pad": (lambda x: ops.pad(x, 1), np.pad(X, 1)),
    "chunk": (lambda x: ops.chunk(x, 3, 1)[2], X[:, 2:]),
    "gather": (lambda x: ops.gather(x, 0, [[1, 0, 1]]), np.take_along_axis(X, ROW, 0)),
    "ordered": (lambda x: ops.ordered(x, 0), np.sort(X, 0)),
    "sort": (lambda x: ops.sort(x, 1, True)[0], -np.sort(-X, 1)),
    "topk": (lambda x: ops.topk(x, 1, 0, False)[0], X.min(0, keepdims=True)),
    "tril": (lambda x: ops.tril(x, 1), np.tril(X, 1)),
    "triu": (lambda x: ops.triu(x, 1), np.triu(X, 1)),
    "conv1d": (lambda x: ops.conv1d(x, np.ones((1, 2, 1)), None, 2), X.sum(0)[None, ::2]),
    "dropout": (lambda x: ops.dropout(x, 0.0, seed=1), X),
}


@pytest.mark.parametrize(("call", "expected"), CALLS.values(), ids=CALLS)
def test_an_attribute_by_place_is_the_one_that_numpy_has_there(call, expected):
    for x in (X, Tensor(X)):
        np.testing.assert_allclose(call(x).data, expected, rtol=1e-12)


def test_every_operation_with_places_is_tested():
    assert {op.name for op in WITH_PLACES} <= CALLS.keys()


@pytest.mark.parametrize("op", WITH_PLACES, ids=lambda op: op.name)
def test_by_place_and_by_name_is_twice_and_more_are_refused(op):
    assert set(op.places) <= set(op.words)
    first = [X] * (len(op.operands) or 1)
    operands = [first] if op.joins else first
    with pytest.raises(TypeError, match=f"^{op.name}: {op.places[0]} is given twice$"):
        op(*operands, 0, **{op.places[0]: 0})
    with pytest.raises(TypeError, match=f"^{op.name}: (name what comes after|it takes .* no more)"):
        op(*operands, *[0] * len(op.places), 0)


AXIS_FIRST = [op for op in WITH_PLACES if op.places[0] == "axis" and op is not ops.gather]


@pytest.mark.parametrize("op", AXIS_FIRST, ids=lambda op: op.name)
def test_what_is_spelled_as_pytorch_does_is_twice_too(op):
    with pytest.raises(TypeError, match=f"^{op.name}: dim= is another spelling of axis="):
        op([X, X], 0, dim=0) if op.joins else op(X, 0, dim=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.var(X, 0, True), "var: name what comes after the axis: keepdims= or ddof="),
        (lambda: ops.dropout(X, 0.5, True), "dropout: name what comes after the rate: seed="),
        (
            lambda: ops.cross_entropy(X, [0, 1], E[0]),
            "cross_entropy: name what comes after the tar",
        ),
        (lambda: ops.sum(X, 0, float), "sum: keepdims must be True or False"),
        (lambda: ops.max(X, X), "max: axis must be"),
        (lambda: ops.masked_fill(X, 7.0, MASK), "masked_fill: mask must be"),
        (lambda: ops.stack(X, X, 0), "stack: "),
        (lambda: ops.concatenate(X, X, 0), "concatenate: "),
    ],
)
def test_what_is_read_in_two_ways_is_refused(call, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).startswith(message)


IDS = [np.array([0, 2]), Tensor([0, 2], dtype=int), np.array(1), np.array([[True]])]


@pytest.mark.parametrize(
    "table", [E, Tensor(E), Tensor(E, requires_grad=False), np.eye(3, dtype=int)]
)
@pytest.mark.parametrize("ids", IDS)
def test_ids_before_the_table_are_refused_with_the_order(table, ids):
    with pytest.raises((TypeError, ValueError), match="embedding: ") as caught:
        ops.embedding(ids, table)
    if ids is not IDS[2]:
        assert "the order is embedding(weight, token_ids)" in str(caught.value)
