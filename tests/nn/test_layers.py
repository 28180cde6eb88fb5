"""Layers compute what their papers say, by plain NumPy, for one sequence and for a batch."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autolm import Tensor
from autolm.nn import (
    Block,
    FeedForward,
    MultiHeadAttention,
    sinusoidal_positions,
)

Array = NDArray[Any]
WIDTH, HEADS, TIME = 6, 3, 4


def softmax(scores: Array) -> Array:
    exponentials = np.exp(scores - scores.max())
    return np.asarray(exponentials / exponentials.sum())


def attend(x: Array, layer: MultiHeadAttention) -> Array:
    """Attend query by query and head by head, as the formula is read."""
    W_Q, W_K, W_V, W_O = (W.data for W in (layer.W_Q, layer.W_K, layer.W_V, layer.W_O))
    d_k = WIDTH // layer.num_heads
    rows = []
    for t in range(len(x)):
        seen = x[: t + 1] if layer.causal else x
        heads = []
        for head in range(layer.num_heads):
            columns = slice(head * d_k, (head + 1) * d_k)
            q, keys, values = x[t] @ W_Q[:, columns], seen @ W_K[:, columns], seen @ W_V[:, columns]
            heads.append(softmax(keys @ q / math.sqrt(d_k)) @ values)
        rows.append(np.concatenate(heads) @ W_O)
    return np.array(rows)


def normalized(x: Array, layer: Any) -> Array:
    deviation = x - x.mean(axis=-1, keepdims=True)
    unit = deviation / np.sqrt((deviation**2).mean(axis=-1, keepdims=True) + 1e-5)
    return np.asarray(unit * layer.gain.data + layer.bias.data)


def fed(x: Array, layer: FeedForward) -> Array:
    return np.asarray(np.maximum(x @ layer.W_1.data, 0) @ layer.W_2.data)


@pytest.mark.parametrize("norm", ["pre", "post", None])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("num_heads", [1, 2, 3])
def test_a_block_is_the_formula_head_by_head_with_norms_before_after_or_never(
    num_heads: int, causal: bool, norm: Any
) -> None:
    rng = np.random.default_rng(7)
    block = Block(WIDTH, num_heads, 10, norm=norm, causal=causal, rng=rng)
    norms = [block.norm_1, block.norm_2] if norm else []
    for layer in norms:
        layer.gain.data, layer.bias.data = rng.normal(size=(2, WIDTH))
    batch, rows = rng.normal(size=(2, TIME, WIDTH)), []
    for x in batch:
        for part, layer in zip((attend, fed), norms or [None, None], strict=True):
            inner = block.attention if part is attend else block.feed_forward
            x = x + part(normalized(x, layer) if norm == "pre" else x, inner)
            x = normalized(x, layer) if norm == "post" else x
        rows.append(x)
    np.testing.assert_allclose(block(Tensor(batch)).data, rows, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(block(Tensor(batch[0])).data, rows[0], rtol=1e-12, atol=1e-14)


def test_positions_are_clock_hands_each_slower_than_the_one_before() -> None:
    table = sinusoidal_positions(50, 7)
    assert table.shape == (50, 7)
    for t in (0, 1, 17, 49):
        for i in range(7):
            angle = t / 10_000 ** ((i - i % 2) / 7)
            expected = math.cos(angle) if i % 2 else math.sin(angle)
            assert table[t, i] == pytest.approx(expected, abs=1e-12)
