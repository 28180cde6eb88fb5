"""Attention in one node is attention in small steps, in its numbers and in its gradients."""

import math

import numpy as np
import pytest

from autolm import Tensor, ops


def in_small_steps(q, k, v, *, num_heads, causal):
    """Attend by operations that each do one thing."""

    def heads(x):
        *batch, time, width = x.shape
        return x.reshape(*batch, time, num_heads, width // num_heads).swapaxes(-3, -2)

    queries, keys, values = heads(q), heads(k), heads(v)
    scores = queries @ keys.swapaxes(-1, -2) / math.sqrt(queries.shape[-1])
    if causal:
        ahead = ~np.tri(*scores.shape[-2:], scores.shape[-1] - scores.shape[-2], dtype=bool)
        scores = scores.masked_fill(ahead, -np.inf)
    return (scores.softmax() @ values).swapaxes(-3, -2).reshape(*q.shape[:-1], v.shape[-1])


def gradients(function, arrays, upstream, **attributes):
    operands = [Tensor(array) for array in arrays]
    result = function(*operands, **attributes)
    result.backward(upstream)
    return [result.data, *(operand.grad for operand in operands)]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("num_heads", [1, 2, 3])
@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 6), (2, 3, 4, 6)])
@pytest.mark.parametrize("earlier", [0, 2])
@pytest.mark.parametrize("largest", [1, 1000])  # scores beyond the range of exponentials too
def test_attention_is_its_small_steps_forwards_and_backwards(
    shape, num_heads, causal, earlier, largest
):
    rng = np.random.default_rng(0)
    *batch, time, width = shape
    more = (*batch, time + earlier, width)
    arrays = (
        rng.normal(size=shape) * largest,
        rng.normal(size=more),
        rng.normal(size=(*more[:-1], 12)),
    )
    upstream, how = rng.normal(size=(*shape[:-1], 12)), {"num_heads": num_heads, "causal": causal}
    fused = gradients(ops.attention, arrays, upstream, **how)
    steps = gradients(in_small_steps, arrays, upstream, **how)
    for one, other in zip(fused, steps, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)


def test_a_head_reads_and_writes_its_own_part_of_the_width():
    q, k, v = np.random.default_rng(1).normal(size=(3, 4, 6))
    both = ops.attention(q, k, v, num_heads=2).data
    for part in (slice(0, 3), slice(3, 6)):
        alone = ops.attention(q[:, part], k[:, part], v[:, part]).data
        np.testing.assert_allclose(both[:, part], alone, rtol=1e-14)


@pytest.mark.parametrize(
    ("q", "k", "v", "num_heads", "message"),
    [
        ((3, 6), (3, 6), (3, 6), 0, "num_heads must be at least 1, not 0"),
        ((3, 6), (3, 6), (3, 6), 4, r"q is \(3, 6\): its width 6 is not divisible by num_heads 4"),
        ((3, 6), (3, 6), (3, 5), 3, r"v is \(3, 5\): its width 5 is not divisible by num_heads 3"),
        ((6,), (3, 6), (3, 6), 1, r"q is \(6,\); it must be \(…, time, width\)"),
        ((3, 6), (3, 4), (3, 4), 2, r"q is \(3, 6\) and k is \(3, 4\): widths 6 and 4 differ"),
        ((3, 6), (4, 6), (3, 6), 2, r"k is .* and v is .*: 4 keys and 3 values do not pair up"),
    ],
)
def test_operands_that_do_not_fit_are_named(q, k, v, num_heads, message):
    with pytest.raises(ValueError, match=f"^attention: {message}"):
        ops.attention(np.ones(q), np.ones(k), np.ones(v), num_heads=num_heads)


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_a_score_of_infinity_reaches_no_query_that_it_is_hidden_from(infinite):
    q, k, v = (np.ones((2, 3)) for _ in range(3))
    k[1] = infinite
    y = ops.attention(q, k, v, causal=True)
    assert y.data[0].tolist() == [1, 1, 1]
