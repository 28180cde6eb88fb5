"""Axes are labelled by what they run along: tokens in another order change it alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, attention, concatenate, layer_norm, topological_order
from autolm.drawing.axes import Axes, Axis
from autolm.lm import TinyLM

TOKENS = Axis("tokens", ("the", "cat", "sat"))

# Each takes a result with three rows or columns, and weights that fit any of them.
OPERATIONS = {
    "tanh": lambda x, w: x.tanh(),
    "add": lambda x, w: x + w(x.shape[-1]),
    "rows": lambda x, w: x @ w(x.shape[-1], 3),
    "columns": lambda x, w: w(3, x.shape[-2]) @ x,
    "gram": lambda x, w: x @ x.swapaxes(-1, -2),
    "turned": lambda x, w: x.swapaxes(-1, -2),
    "softmax": lambda x, w: x.softmax(axis=-1),
    "sum": lambda x, w: x.sum(axis=-1, keepdims=True) * w(3),
    "mean": lambda x, w: x + x.mean(axis=-2, keepdims=True),
    "norm": lambda x, w: layer_norm(x, w(x.shape[-1]), w(x.shape[-1])),
    "heads": lambda x, w: x.reshape((*x.shape[:-1], 1, x.shape[-1])).swapaxes(-3, -2)[0],
    "attention": lambda x, w: attention(x @ w(x.shape[-1], 3), x @ w(x.shape[-1], 3), x),
    "joined": lambda x, w: concatenate([x[None], x[None]], axis=0)[1],
}


def run(names, rows):
    """Run operations on an input whose rows are the tokens; each time with the same weights."""
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(3, 3))[rows], name="x")
    result = x
    for name in names:
        result = OPERATIONS[name](result, lambda *shape: Tensor(rng.normal(size=shape)))
    return x, result


@given(st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=6))
def test_what_runs_along_the_tokens_moves_with_them_and_nothing_else_does(names):
    """The oracle moves the tokens of the input; a norm over its rows mixes them, and is no row."""
    x, result = run(names, [0, 1, 2])
    _, moved = run(names, [1, 2, 0])
    axes = Axes(topological_order(result), initial={(x, -2): TOKENS}).of(result)
    expected = result.data
    for axis, what in enumerate(axes):
        if what is TOKENS:
            expected = np.take(expected, [1, 2, 0], axis)
    if not _weighs_tokens(names):
        assert np.allclose(moved.data, expected, rtol=1e-9, atol=1e-12)


def _weighs_tokens(names):
    """Whether a weight has a number for each token: then their order matters, whatever the axes."""
    x, result = run(names, [0, 1, 2])
    order = topological_order(result)
    axes = Axes(order, initial={(x, -2): TOKENS})
    leaves = (node for node in order if not node.parents and node is not x)
    return any(what is TOKENS for leaf in leaves for what in axes.of(leaf))


def test_the_axes_of_a_model_are_known_down_to_its_table_and_its_logits():
    model = TinyLM(9, 8, 2, 16, 1, seed=3)
    loss = model.compute_loss(np.arange(5), np.arange(5) + 1)
    order = topological_order(loss)
    embedded = next(node for node in order if node.name == "embeddings")
    vocabulary = Axis("vocabulary")
    known = {(embedded, -2): TOKENS, (loss.parents[0], -1): vocabulary}
    axes = Axes(order, initial=known)
    kinds = {node.name: [what.kind for what in axes.of(node)] for node in order}
    assert kinds["logits"] == ["tokens", "vocabulary"]
    assert kinds["W_out"] == ["", "vocabulary"]
    assert kinds["hidden"] == kinds["q"] == kinds["attention"] == ["tokens", ""]
    assert kinds["blocks.0.attention.W_Q"] == ["", ""]
    assert kinds["loss"] == []


def test_lengths_that_are_equal_by_chance_are_no_reason():
    x, w = Tensor(np.ones((3, 3)), name="x"), Tensor(np.ones((3, 3)))
    axes = Axes(topological_order(x @ w), initial={(x, -2): TOKENS})
    assert [axis.kind for axis in axes.of(w)] == ["", ""]


@pytest.mark.parametrize(("axis", "place", "said"), [(TOKENS, 1, "cat"), (Axis(), 1, "1")])
def test_a_place_is_called_by_its_label_or_its_number(axis, place, said):
    assert axis.at(place) == said
