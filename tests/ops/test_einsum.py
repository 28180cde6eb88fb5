"""Einstein's summation, of subscripts of every form: NumPy's results and PyTorch's gradients."""

import importlib.util
import string

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autolm import Tensor, ops

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="no torch: pip install 'autolm[torch]'"
)
LETTERS = "iBja"


@st.composite
def calls(draw):
    """Draw subscripts of one to three operands, and arrays that fit, some of them stretched."""
    lengths = {letter: draw(st.integers(0, 3)) for letter in LETTERS}
    dots = draw(st.lists(st.integers(1, 2), max_size=2))
    words, arrays = [], []
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    for _ in range(draw(st.integers(1, 3))):
        word = draw(st.text(LETTERS, max_size=3))
        own = {x: 1 if draw(st.integers(0, 5)) == 0 else lengths[x] for x in word}
        shape = [own[x] for x in word]
        if draw(st.booleans()):
            place = draw(st.integers(0, len(word)))
            some = dots[draw(st.integers(0, len(dots))) :]
            word = f"{word[:place]}...{word[place:]}"
            shape[place:place] = [n if draw(st.booleans()) else 1 for n in some]
        words.append(word)
        arrays.append(rng.normal(size=shape))
    subscripts = ",".join(words)
    if draw(st.booleans()):
        letters = sorted({x for x in subscripts if x in string.ascii_letters})
        output_letters = draw(st.permutations(letters))[: draw(st.integers(0, len(letters)))]
        if "..." in subscripts:
            output_letters.insert(draw(st.integers(0, len(output_letters))), "...")
        subscripts += "->" + "".join(output_letters)
    return subscripts, arrays


@given(calls())
def test_the_result_is_numpys(call):
    subscripts, arrays = call
    expected = np.einsum(subscripts, *arrays)
    result = ops.einsum(subscripts, *arrays)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result.data, expected, rtol=1e-12, atol=1e-12)
    values = ops.einsum(subscripts, *map(Tensor, arrays)).to_values()
    np.testing.assert_allclose(
        np.vectorize(lambda v: v.data, [float])(values), expected, atol=1e-12
    )


RNG = np.random.default_rng(1)
DIAGONAL = ("iij->ji", [RNG.normal(size=(3, 3, 2))])
DIAGONAL_TIMES = ("iBi,i->iB", [RNG.normal(size=(2, 3, 2)), RNG.normal(size=2)])
STRETCHED = ("ij,ij->i", [RNG.normal(size=(1, 3)), RNG.normal(size=(2, 3))])
ALONE = ("ij,jk->k", [RNG.normal(size=(2, 3)), RNG.normal(size=(3, 2))])


@needs_torch
@given(calls())
@example(DIAGONAL)
@example(DIAGONAL_TIMES)
@example(STRETCHED)
@example(ALONE)
def test_the_gradients_are_pytorchs(call):
    import torch

    subscripts, arrays = call
    tensors = [Tensor(array) for array in arrays]
    leaves = [torch.tensor(array, requires_grad=True) for array in arrays]
    y, expected = ops.einsum(subscripts, *tensors), torch.einsum(subscripts, *leaves)
    upstream = np.asarray(np.random.default_rng(0).normal(size=y.shape))
    y.backward(upstream)
    expected.backward(torch.tensor(upstream))
    for tensor, leaf in zip(tensors, leaves, strict=True):
        np.testing.assert_allclose(tensor.grad, leaf.grad.numpy(), rtol=1e-11, atol=1e-12)


MALFORMED = [
    ("ij,jk", [(2, 3)], "are of 2 operands, not 1"),
    ("ij", [(2, 3), (3,)], "are of 1 operands, not 2"),
    ("ij", [(2,)], "'ij' name 2 axes, and operand 0 is (2,)"),
    ("i", [(2, 3)], "'i' name 1 axis, and operand 0 is (2, 3)"),
    ("ij...", [(2,)], "'ij...' name 2 axes, and operand 0 is (2,)"),
    ("ij,jk", [(2, 3), (4, 2)], "operand 1 is (4, 2): 'j' is 4 here, and 3 in an operand before"),
    ("...,...", [(2,), (3,)], "operand 1 is (3,): "),
    ("ii", [(2, 3)], "operand 0 is (2, 3): 'i' names axes of lengths 2 and 3"),
    ("ii", [(1, 3)], "operand 0 is (1, 3): 'i' names axes of lengths 1 and 3"),
    ("i->j", [(2,)], "the result's 'j' no operand has"),
    ("i->ii", [(2,)], "the result's 'i' stands there twice"),
    ("i..j", [(2, 3)], "'.' is no letter"),
    ("...i...", [(2, 3)], "'.' is no letter"),
    ("i->i->i", [(2,)], "'-' is no letter"),
    ("i>i", [(2,)], "'>' is no letter"),
    ("i1", [(2, 3)], "'1' is no letter"),
    ("ié", [(2, 3)], "'é' is no letter"),
    ("i,->i,", [(2,), ()], "',' is no letter"),
]


@pytest.mark.parametrize(("subscripts", "shapes", "message"), MALFORMED)
def test_malformed_subscripts_are_refused_and_named(subscripts, shapes, message):
    with pytest.raises(ValueError, match=r"^einsum: ") as caught:
        ops.einsum(subscripts, *map(np.ones, shapes))
    assert message in str(caught.value)


def test_operands_come_one_by_one_or_in_a_list_and_the_text_first_or_by_name():
    a, b = Tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor([[0.0, 1.0], [1.0, 0.0]])
    ways = [
        ops.einsum("ij,jk->ik", a, b),
        ops.einsum("ij,jk->ik", [a, b]),
        ops.einsum(a, b, subscripts="ij,jk->ik"),
    ]
    for way in ways:
        assert way.data.tolist() == [[2.0, 1.0], [4.0, 3.0]]
    assert ops.einsum("ij->ji", a).data.tolist() == [[1.0, 3.0], [2.0, 4.0]]


def test_dots_that_the_result_has_not_are_summed():
    x = Tensor(np.arange(6.0).reshape(2, 3))
    assert ops.einsum("...i->i", x).data.tolist() == [3.0, 5.0, 7.0]
