"""The matrices of the page hold the engine's numbers, whole, and what is opened adds up."""

import base64

import numpy as np
import pytest

from autolm import Tensor, TinyLM, topological_order
from autolm.drawing.gradients import walk
from autolm.pages.matrices import Matrices
from autolm.pages.playback import Words, moments
from autolm.pages.sentence import sentence_of
from autolm.walking.tokens import Tokens

IDS, TARGETS = np.array([3, 1, 4, 1, 5]), np.array([1, 4, 1, 5, -1])
VOCABULARY = tuple("abcdef␣⏎고")


def matrices_of(loss, tokens=None):
    order = topological_order(loss)
    return Matrices(order, walk(loss, set(order)), sentence_of(order, tokens), tokens)


@pytest.fixture(scope="module", params=[1, 2], ids=["one head", "two heads"])
def model(request):
    model = TinyLM(9, 8, request.param, 16, 1, dtype="float64", seed=3)
    loss = model.compute_loss(IDS, TARGETS)
    return model, loss, matrices_of(loss, Tokens((), {}, VOCABULARY))


def called(matrices, name, scope="blocks.0.attention"):
    candidates = [e for e in matrices.shown if e.node.name.split(".")[-1] == name]
    return next(entry for entry in candidates if entry.node.scope == scope)


def unpacked(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def test_every_array_of_the_graph_is_there_whole_with_its_gradient(model):
    model, loss, matrices = model
    loss.backward(retain_grads=True)
    written = matrices.as_json()
    for node in topological_order(loss):
        if np.ndim(node.data):
            entry_json = written[matrices.numbers[node]]
            assert np.array_equal(unpacked(entry_json["data"], "<f8"), node.data.ravel())
            assert ("grad" in entry_json) == node.requires_grad
            if node.requires_grad:
                assert np.array_equal(unpacked(entry_json["grad"], "<f8"), node.grad.ravel())


def test_inside_attention_are_its_matrices_and_they_are_right(model):
    """The oracle is a textbook's attention in NumPy, head by head."""
    _, _, matrices = model
    q, k, v = (called(matrices, name).node.data for name in "qkv")
    output = called(matrices, "attention").node.data
    scores, weights = called(matrices, "scores"), called(matrices, "weights")
    heads = 1 if weights.node.data.ndim == 2 else len(weights.node.data)
    for h in range(heads):
        part = slice(h * 8 // heads, (h + 1) * 8 // heads)
        s = q[:, part] @ k[:, part].T / np.sqrt(8 // heads)
        e = np.exp(np.where(np.tri(5, dtype=bool), s, -np.inf))
        w = e / e.sum(1, keepdims=True)
        pick = h if heads > 1 else slice(None)
        assert np.allclose(scores.node.data[pick], s, rtol=1e-12)
        assert np.allclose(weights.node.data[pick], w, rtol=1e-12)
        assert np.allclose(output[:, part], w @ v[:, part], rtol=1e-12)
    ahead = np.broadcast_to(~np.tri(5, dtype=bool), weights.node.data.shape)
    for name in ("scores", "masked_scores", "weights"):
        assert np.array_equal(called(matrices, name).hidden, ahead)
    assert called(matrices, "q").hidden is None


def test_what_the_uses_of_a_matrix_sent_back_adds_up_to_its_gradient(model):
    _, _, matrices = model
    for entry in matrices.shown:
        if entry.uses and entry.grad is not None:
            total = sum(np.asarray(value) for *_, value in entry.uses)
            assert np.allclose(total, entry.grad, rtol=1e-9, atol=1e-14), entry.node.name


def test_rows_of_a_softmax_add_up_to_1_and_of_its_gradient_to_0(model):
    _, _, matrices = model
    written = {e["name"]: (e, s) for e, s in zip(matrices.as_json(), matrices.shown, strict=True)}
    assert [name for name, (array, _) in written.items() if array["sums"]] == ["weights"]
    summed = [name for name, (array, _) in written.items() if array["gradSums"]]
    assert summed == ["scores", "masked_scores", "logits"]
    assert np.allclose(written["weights"][1].node.data.sum(-1), 1)
    for name in summed:
        assert np.allclose(written[name][1].grad.sum(-1), 0, atol=1e-15)


def test_tokens_label_a_graph_without_an_embedding():
    q, k = (Tensor(np.ones((3, 2)), name=name) for name in "qk")
    scores = q @ k.T
    scores.name = "scores"
    words = ("the", "cat", "sat")
    matrices = matrices_of(scores.sum(), Tokens(words, {q: 0, k: 0}))
    assert [axis.labels for axis in called(matrices, "scores", "").axes] == [words, words]


def test_axes_are_labelled_by_what_is_read(model):
    _, _, matrices = model
    kinds = {e.node.name: [axis.kind for axis in e.axes] for e in matrices.shown}
    heads = ["heads"] if len(kinds["weights"]) == 3 else []
    assert kinds["weights"] == [*heads, "tokens", "tokens"]
    assert kinds["logits"] == ["tokens", "vocabulary"]
    assert kinds["embedding"] == ["vocabulary", ""]
    assert kinds["blocks.0.attention.W_Q"] == ["", ""]
    assert called(matrices, "q").axes[0].labels == ("d", "b", "e", "b", "f")


def test_a_sentence_knows_what_comes_next_and_what_is_likely(model):
    _, loss, matrices = model
    sentence = matrices.sentence.as_json()
    assert sentence["rows"] == [["d", "b", "e", "b", "f"]]
    assert sentence["targets"] == [["b", "e", "b", "f", ""]]
    logits = loss.parents[0].data
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for row, likeliest in zip(shares, sentence["likeliest"][0], strict=True):
        best = np.argsort(-row)[:5]
        assert [text for text, _ in likeliest] == [VOCABULARY[i] for i in best]
        assert np.allclose([share for _, share in likeliest], row[best])


def test_without_names_tokens_are_their_ids():
    loss = TinyLM(9, 4, 1, 8, 1, seed=0).compute_loss(IDS, TARGETS)
    assert matrices_of(loss).sentence.rows == [["3", "1", "4", "1", "5"]]


def test_a_batch_is_read_row_by_row():
    loss = TinyLM(9, 4, 1, 8, 1, seed=0).compute_loss([[1, 2], [3, 4]], [[2, 3], [4, 5]])
    matrices = matrices_of(loss)
    assert matrices.sentence.rows == [["1", "2"], ["3", "4"]]
    assert [axis.kind for axis in called(matrices, "weights").axes] == ["batch", "tokens", "tokens"]


def test_arrays_that_have_no_room_are_named_without_their_numbers(monkeypatch):
    monkeypatch.setattr("autolm.pages.matrices.MAX_NUMBERS", 10)
    x, w = Tensor(np.ones((2, 3)), name="x"), Tensor(np.ones((3, 2)), name="w")
    written = {entry["name"]: entry for entry in matrices_of((x @ w).sum()).as_json()}
    assert {name: "data" in entry for name, entry in written.items()} == {
        "x": False,
        "w": False,
        "matmul": True,
    }
    assert written["x"]["shape"] == [2, 3]


def test_an_array_that_was_changed_since_stays_closed():
    x = Tensor([[1.0, 2.0]], name="x")
    y = x.softmax(axis=-1)
    loss = (y * Tensor([[1.0, 3.0]])).sum()
    y.data = y.data * 2.0
    assert "exponentials" not in [entry.node.name for entry in matrices_of(loss).shown]


def test_a_gradient_is_known_when_all_who_send_to_it_are_done_and_data_when_computed():
    """Read off the page's own moments, which play one operation each, node by node."""
    x = Tensor(np.ones((2, 2)), name="x")
    y = x @ x
    z = y.tanh() + y
    loss = (z * x).sum()
    order = topological_order(loss)
    walked = walk(loss, set(order))
    keys = {node: f"n{i}" for i, node in enumerate(order)}
    played = moments(order, walked.steps, keys, Words())
    matrices = Matrices(order, walked)
    box_of = {node: f"{key}op" for node, key in keys.items()}
    available = {i: moments for i, *moments in matrices.availability(played, box_of)}
    assert len(available) == len(matrices.shown)
    for node in order:
        if np.ndim(node.data):
            key, (data_at, grad_at) = keys[node], available[matrices.numbers[node]]
            writes = [(i, w) for i, m in enumerate(played) for k, w in m.writes.items() if k == key]
            assert data_at == min(i for i, written in writes if "data" in written)
            assert grad_at == max(i for i, written in writes if "grad" in written)
