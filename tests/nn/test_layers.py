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
    LayerNorm,
    MultiHeadAttention,
    RMSNorm,
    sinusoidal_positions,
)

Array = NDArray[Any]
WIDTH, HEADS, TIME = 6, 3, 4


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


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


def normalized(x: Array) -> Array:
    deviation = x - x.mean(axis=-1, keepdims=True)
    return np.asarray(deviation / np.sqrt((deviation**2).mean(axis=-1, keepdims=True) + 1e-5))


def fed(x: Array, layer: FeedForward) -> Array:
    return np.asarray(np.maximum(x @ layer.W_1.data, 0) @ layer.W_2.data)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("num_heads", [1, 2, 3])
def test_attention_is_the_formula_head_by_head(
    rng: np.random.Generator, num_heads: int, causal: bool
) -> None:
    layer = MultiHeadAttention(WIDTH, num_heads, causal=causal, rng=rng)
    x = rng.normal(size=(TIME, WIDTH))
    np.testing.assert_allclose(layer(Tensor(x)).data, attend(x, layer), rtol=1e-12)


def test_heads_that_do_not_divide_the_width_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="d_model 6 is not divisible by num_heads 4"):
        MultiHeadAttention(WIDTH, 4, rng=rng)


def test_layer_norm_normalizes_each_position_then_scales_and_shifts(
    rng: np.random.Generator,
) -> None:
    layer = LayerNorm(WIDTH)
    layer.gain.data, layer.bias.data = rng.normal(size=(2, WIDTH))
    x = rng.normal(size=(TIME, WIDTH))
    expected = normalized(x) * layer.gain.data + layer.bias.data
    np.testing.assert_allclose(layer(Tensor(x)).data, expected, rtol=1e-12)


def test_rms_norm_divides_each_position_by_its_root_mean_square(rng: np.random.Generator) -> None:
    layer = RMSNorm(WIDTH, eps=1e-3)
    layer.gain.data = rng.normal(size=WIDTH)
    x = rng.normal(size=(TIME, WIDTH))
    expected = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-3) * layer.gain.data
    np.testing.assert_allclose(layer(Tensor(x)).data, expected, rtol=1e-12)


def test_feed_forward_cuts_off_what_is_negative(rng: np.random.Generator) -> None:
    layer, x = FeedForward(WIDTH, 10, rng=rng), rng.normal(size=(TIME, WIDTH))
    np.testing.assert_allclose(layer(Tensor(x)).data, fed(x, layer), rtol=1e-12)


@pytest.mark.parametrize("norm", ["pre", "post", None])
def test_a_block_norms_before_or_after_each_part_or_never(
    rng: np.random.Generator, norm: Any
) -> None:
    block = Block(WIDTH, HEADS, 10, norm=norm, rng=rng)
    x = rng.normal(size=(TIME, WIDTH))
    before = normalized if norm == "pre" else np.asarray
    after = normalized if norm == "post" else np.asarray
    h = after(x + attend(before(x), block.attention))
    h = after(h + fed(before(h), block.feed_forward))
    np.testing.assert_allclose(block(Tensor(x)).data, h, rtol=1e-12)


@pytest.mark.parametrize("norm", ["pre", "post", None])
def test_a_row_of_a_batch_is_computed_as_alone(rng: np.random.Generator, norm: Any) -> None:
    block = Block(WIDTH, HEADS, 10, norm=norm, rng=rng)
    x = rng.normal(size=(3, TIME, WIDTH))
    alone = [block(Tensor(row)).data for row in x]
    np.testing.assert_allclose(block(Tensor(x)).data, alone, rtol=1e-12, atol=1e-14)


def test_positions_are_clock_hands_each_slower_than_the_one_before() -> None:
    table = sinusoidal_positions(50, 7)
    assert table.shape == (50, 7)
    for t in (0, 1, 17, 49):
        for i in range(7):
            angle = t / 10_000 ** ((i - i % 2) / 7)
            expected = math.cos(angle) if i % 2 else math.sin(angle)
            assert table[t, i] == pytest.approx(expected, abs=1e-12)
