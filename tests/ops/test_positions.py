"""Rotary positions: products depend on distance alone, and what cannot be turned is refused."""

import numpy as np
import pytest

from autolm import Tensor, ops, topological_order
from tests.ops.test_small_shapes import numpys_rope

WAYS = [(heads, interleaved) for heads in (None, 1, 2) for interleaved in (False, True)]


@pytest.mark.parametrize(("heads", "interleaved"), WAYS)
def test_it_is_a_product_of_complex_numbers(heads, interleaved):
    x = np.random.default_rng(0).normal(size=(2, 5, 8))
    for positions in (None, [3, 1, 4, 1, 5], np.arange(10).reshape(2, 5)):
        how = {"num_heads": heads, "interleaved": interleaved, "positions": positions, "base": 50.0}
        np.testing.assert_allclose(ops.rope(x, **how).data, numpys_rope(x, **how), atol=1e-14)


@pytest.mark.parametrize(("heads", "interleaved"), WAYS)
def test_products_of_queries_and_keys_depend_on_how_far_they_are_apart(heads, interleaved):
    q, k = np.random.default_rng(1).normal(size=(2, 1, 8))
    how = {"num_heads": heads, "interleaved": interleaved}

    def product(of_q, of_k):
        turned = [ops.rope(x, positions=[at], **how).data for x, at in ((q, of_q), (k, of_k))]
        return float(np.vdot(*turned))

    assert product(9, 5) == pytest.approx(product(104, 100), rel=1e-10)
    assert product(9, 5) != pytest.approx(product(9, 6), rel=1e-3)


def test_what_goes_on_after_a_cache_is_turned_as_if_all_were_there():
    x = np.random.default_rng(2).normal(size=(6, 4))
    np.testing.assert_array_equal(ops.rope(x[4:], positions=[4, 5]).data, ops.rope(x).data[4:])


def test_heads_may_be_an_axis_before_time():
    x = np.random.default_rng(3).normal(size=(2, 5, 3, 4))
    apart = ops.rope(x.swapaxes(1, 2)).data.swapaxes(1, 2)
    np.testing.assert_array_equal(
        apart.reshape(2, 5, 12), ops.rope(x.reshape(2, 5, 12), num_heads=3)
    )


def test_its_graph_has_a_textbooks_names_and_keeps_float32():
    y = ops.rope(Tensor(np.ones((3, 4), "float32"), name="q"))
    names = {node.name for node in topological_order(y)}
    assert names >= {"q", "a", "b", "cos", "sin", "a_cos", "b_sin", "turned_a", "turned_b"}
    assert {node.dtype for node in topological_order(y)} == {np.dtype("float32")}


@pytest.mark.parametrize(
    ("shape", "how", "error", "message"),
    [
        ((4,), {}, ValueError, r"x is \(4,\); it must be \(…, time, width\)"),
        ((3, 5), {}, ValueError, r"x is \(3, 5\): its width 5 does not part into pairs"),
        (
            (3, 6),
            {"num_heads": 2},
            ValueError,
            r"x is \(3, 6\): its width 6 does not part into pairs in each of num_heads 2",
        ),
        (
            (2, 3, 4),
            {"positions": [0, 1]},
            ValueError,
            r"positions are \(2,\) and the rows of x are \(2, 3\): they do not broadcast to them",
        ),
        ((3, 4), {"positions": "a"}, TypeError, "positions must be real numbers, not 'a'"),
        ((3, 4), {"base": 0}, ValueError, "base must be finite and above 0, not 0"),
        ((3, 4), {"interleaved": 1}, TypeError, "interleaved must be True or False, not 1"),
    ],
)
def test_what_cannot_be_turned_is_refused(shape, how, error, message):
    with pytest.raises(error, match=f"^rope: {message}"):
        ops.rope(np.ones(shape), **how)
