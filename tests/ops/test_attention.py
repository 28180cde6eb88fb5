"""Attention in one node is attention in small steps, in its numbers and in its gradients."""

import itertools
import math

import numpy as np
import pytest

from autolm import Tensor, ops, topological_order
from autolm import open as opened
from tests.ops.test_small_shapes import numpys_attention


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


HOW = {
    "a window": {"causal": True, "window": 2},
    "a window wider than all": {"causal": True, "window": 10**30},
    "bools": {"mask": "bools"},
    "floats": {"mask": "floats"},
    "bools and causality": {"mask": "bools", "causal": True},
    "floats and a window": {"mask": "floats", "causal": True, "window": 3},
}
BATCH, HEADS, QUERIES, KEYS = 2, 4, 5, 6


def seen_or_added(kind, rng, *, heads=HEADS):
    """Draw a mask with a row that is hidden altogether; floats hide by −inf."""
    seen = rng.random((BATCH, heads, QUERIES, KEYS)) < 0.6
    seen[0, 0, 1] = False
    return seen if kind == "bools" else np.where(seen, rng.normal(size=seen.shape), -np.inf)


def told(how, rng):
    return {**how, "mask": seen_or_added(how["mask"], rng)} if "mask" in how else how


def grouped(rng, kv_heads):
    shapes = ((QUERIES, HEADS * 3), (KEYS, kv_heads * 3), (KEYS, kv_heads * 2))
    return [rng.normal(size=(BATCH, *shape)) for shape in shapes]


@pytest.mark.parametrize("largest", [1, 1000])
@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_masks_windows_and_shared_keys_are_as_in_plain_numpy(how, kv_heads, largest):
    rng = np.random.default_rng(0)
    q, k, v = grouped(rng, kv_heads)
    how = {"num_heads": HEADS, "num_kv_heads": kv_heads, **told(how, rng)}
    y = ops.attention(q * largest, k, v, **how)
    np.testing.assert_allclose(y.data, numpys_attention(q * largest, k, v, **how), atol=1e-12)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_opened_and_of_values_it_is_the_same_in_results_and_gradients(how, kv_heads):
    rng = np.random.default_rng(1)
    how = {"num_heads": HEADS, "num_kv_heads": kv_heads, **told(how, rng)}
    operands = [Tensor(array) for array in grouped(rng, kv_heads)]
    y = ops.attention(*operands, **how)
    upstream = rng.normal(size=y.shape)
    y.backward(upstream)
    inside = opened(y, upstream)
    values = y.to_values()
    total = sum((value * up for value, up in zip(values.flat, upstream.flat, strict=True)), 0.0)
    total.backward()
    numbers_ = [value.data for value in values.flat]
    np.testing.assert_allclose(np.reshape(numbers_, y.shape), y.data, atol=1e-13)
    np.testing.assert_allclose(inside.data, y.data, atol=1e-13)


@pytest.mark.parametrize("mask", [[[True], [False]], [[0.0], [-np.inf]]], ids=["bools", "floats"])
@pytest.mark.parametrize("largest", [1.0, 1e4])
def test_a_query_that_sees_nothing_gets_zeros_and_sends_none(mask, largest):
    q, k, v = (Tensor(np.full((2, 1), largest)) for _ in range(3))
    y = ops.attention(q, k, v, mask=mask)
    y.backward(np.ones((2, 1)))
    assert y.data.tolist() == [[largest], [0.0]]
    assert v.grad.tolist() == [[0.5], [0.5]]
    assert q.grad[1] == 0
    assert [value.data for value in y.to_values()[1]] == [0.0]
    assert opened(y, np.ones((2, 1))).data.tolist() == y.data.tolist()


def test_heads_may_be_an_axis_before_time_as_in_pytorch():
    rng = np.random.default_rng(2)
    q, k, v = grouped(rng, 2)
    mask = seen_or_added("bools", rng, heads=1)
    side_by_side = ops.attention(q, k, v, num_heads=HEADS, num_kv_heads=2, mask=mask).data

    def as_axis(x, heads):
        return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)

    whole = [as_axis(q, 4), *(as_axis(x, 2).repeat(2, axis=1) for x in (k, v))]
    y = ops.attention(*whole, mask=mask).data
    np.testing.assert_allclose(y.swapaxes(1, 2).reshape(side_by_side.shape), side_by_side)
    shared = [as_axis(q, 4).reshape(BATCH, 2, 2, QUERIES, -1)]
    shared += [as_axis(x, 2)[:, :, None] for x in (k, v)]
    again = ops.attention(*shared, mask=mask[:, :, None]).data
    np.testing.assert_allclose(again.reshape(y.shape), y)


def test_one_head_that_was_asked_for_has_an_axis_in_the_mask():
    rng = np.random.default_rng(3)
    q, k, v = rng.normal(size=(3, BATCH, KEYS, 4))
    mask = rng.random((BATCH, 1, KEYS, KEYS)) < 0.7
    y = ops.attention(q, k, v, num_heads=1, mask=mask).data
    np.testing.assert_array_equal(y, ops.attention(q, k, v, mask=mask[:, 0]).data)
    with pytest.raises(ValueError, match=r"mask is \(2, 1, 6, 6\) and the scores are \(2, 6, 6\)"):
        ops.attention(q, k, v, mask=mask)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"mask": np.ones((4, 3))}, ValueError, r"mask is \(4, 3\) and the scores are \(2, 3, 3\)"),
        ({"mask": np.ones((3, 3), int)}, TypeError, "mask must be bools, .*, not int64"),
        ({"mask": [[True], [True, False]]}, ValueError, "rows of mask are not of one length"),
        ({"mask": Tensor(np.ones((3, 3)))}, TypeError, "mask gets no gradient"),
        ({"window": 2}, ValueError, "a window ends at the query: give causal=True, or a mask"),
        ({"window": 0, "causal": True}, ValueError, "window must be at least 1, not 0"),
        ({"num_kv_heads": 3}, ValueError, "num_heads 2 is not divisible by num_kv_heads 3"),
        (
            {"num_kv_heads": 1},
            ValueError,
            r"q is \(3, 4\) and k is \(3, 4\): widths of a head, 2 and 4, differ",
        ),
    ],
)
def test_what_hides_and_shares_is_refused_where_it_does_not_fit(how, error, message):
    with pytest.raises(error, match=f"^attention: {message}"):
        ops.attention(*np.ones((3, 3, 4)), num_heads=2, **how)


def test_a_mask_that_requires_no_gradient_may_be_a_tensor():
    q, k, v = np.random.default_rng(0).normal(size=(3, 3, 4))
    mask = np.tri(3) * 2.5
    y = ops.attention(q, k, v, mask=Tensor(mask, requires_grad=False)).data
    np.testing.assert_array_equal(y, ops.attention(q, k, v, mask=mask).data)


@pytest.mark.parametrize("infinite", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("mask", [[True, False], [0.0, -np.inf]])
def test_what_a_mask_hides_does_not_leak(infinite, mask):
    q, k, v = (np.ones((2, 3)) for _ in range(3))
    k[1] = infinite
    assert ops.attention(q, k, v, mask=mask).data.tolist() == [[1, 1, 1], [1, 1, 1]]


def test_half_precision_holds_scores_whose_exponentials_it_does_not():
    x = np.full((2, 1), 5, "float16")
    assert ops.attention(x, x, x).data.tolist() == [[5], [5]]


@pytest.mark.parametrize("added", [1000.0, -1000.0, -1e9])
def test_floats_in_a_mask_may_be_far_from_what_exponentials_hold(added):
    q, k, v = np.random.default_rng(4).normal(size=(3, 3, 2))
    shifted = ops.attention(q, k, v, mask=np.full((3, 3), added)).data
    np.testing.assert_allclose(shifted, ops.attention(q, k, v).data, rtol=1e-6)


def test_opened_it_shows_scores_mask_weights_and_heads():
    q, k, v = np.random.default_rng(5).normal(size=(3, 4, 6))
    how = {"num_heads": 2, "causal": True, "window": 2, "mask": np.ones((4, 4))}
    inside = opened(ops.attention(Tensor(q), k, v, **how))
    names = {node.name for node in topological_order(inside)}
    assert names >= {"scores", "bias", "biased_scores", "mask", "masked_scores", "weights", "heads"}
    (weights,) = (node for node in topological_order(inside) if node.name == "weights")
    band = np.tril(np.ones((4, 4), bool)) & ~np.tril(np.ones((4, 4), bool), -2)
    assert ((weights.data > 0) == band).all()


@pytest.mark.parametrize("order", [*itertools.permutations(range(4))])
def test_how_operands_lie_in_memory_changes_nothing(order):
    rng = np.random.default_rng(6)
    arrays = [rng.normal(size=(2, 3, time, width)) for time, width in ((4, 8), (5, 4), (5, 4))]
    laid = [np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order)) for x in arrays]
    for how in ({"num_kv_heads": 2}, {"num_kv_heads": 1, "num_heads": 2}, {"num_kv_heads": 4}):
        if how["num_kv_heads"] == 4:
            arrays[1:], laid[1:] = (np.repeat(arrays[1:], 2, -1), np.repeat(laid[1:], 2, -1))
        how = {"num_heads": 4, "causal": True, "window": 3, **how}
        y = ops.attention(*laid, **how).data
        np.testing.assert_allclose(y, numpys_attention(*arrays, **how), atol=1e-13)
