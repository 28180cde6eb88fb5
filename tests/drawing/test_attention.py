"""The heat maps of attention hold the weights of every head, with the text at their sides."""

import numpy as np
import pytest

from autolm import Tensor, TinyLM, attention
from autolm.drawing.attention import attention_heads, attention_svg

WORDS = ("the", "cat", "앉았다", "␣")


@pytest.mark.parametrize("heads", [1, 2])
def test_each_head_of_each_layer_has_its_weights(heads):
    model = TinyLM(9, 8, heads, 16, 2, dtype="float64", seed=1)
    loss = model.compute_loss([1, 2, 3, 4], [2, 3, 4, 5])
    drawn = attention_heads(loss, WORDS)
    assert [matrix.title for matrix in drawn] == [
        f"blocks.{layer}.attention  head {head}" for layer in range(2) for head in range(heads)
    ]
    for matrix in drawn:
        assert np.allclose(matrix.array.sum(1), 1)
        assert np.array_equal(matrix.hidden, ~np.tri(4, dtype=bool))
        assert [matrix.axes[1].at(i) for i in range(4)] == list(WORDS)
    svg = attention_svg(loss, WORDS)
    assert svg.count("앉았다") >= 2 * len(drawn)


def test_the_weights_are_those_that_make_the_result():
    rng = np.random.default_rng(0)
    q, k, v = (Tensor(rng.normal(size=(4, 4))) for _ in range(3))
    result = attention(q, k, v, causal=True)
    [matrix] = attention_heads(result.sum(), WORDS)
    assert np.allclose(matrix.array @ v.data, result.data, rtol=1e-12)


def test_where_there_is_none_or_another_text_it_says_so():
    x = Tensor(np.eye(4), name="x")
    with pytest.raises(ValueError, match="there is none under"):
        attention_heads((x @ x).sum(), WORDS)
    with pytest.raises(ValueError, match=r"weights \(4, 4\), and the text 2 tokens"):
        attention_heads(attention(x, x, x).sum(), WORDS[:2])
