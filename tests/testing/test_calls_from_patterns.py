"""What is drawn from the patterns of a record: every kind of attribute, in every form."""

from array import array
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autolm import Tensor, ops, primitive
from autolm.ops import (
    Axis,
    Case,
    Floats,
    Ids,
    Index,
    Length,
    NewShape,
    OneOf,
    Order,
    Pattern,
    Varied,
)
from autolm.ops.call_patterns import Mask, WiderShape
from autolm.testing import Call, GradientError, Verdict, calls, check_op
from autolm.testing.calls_from_patterns import repeats_an_index
from autolm.testing.subject import Subject
from tests.calls import each_operation


@cache
def drawn(shape, kind, count=60, edge=False):
    """Draw operand shapes and the attribute of one kind, again and again."""

    @primitive(patterns=(Pattern(shape if isinstance(shape, tuple) else (shape,), {"it": kind}),))
    def op(*arrays, it):
        return arrays[0], lambda grad: (grad,)

    actual = []

    @settings(max_examples=count, database=None)
    @given(Subject.of(op).ways_to_call(edge=edge))
    def note(way):
        actual.append((way[0], way[1]["it"]))

    note()
    return actual


def kinds_of(index):
    """Name what an index is made of."""
    for part in index if isinstance(index, tuple) else (index,):
        if part is None or part is ... or isinstance(part, bool | int):
            yield {None: "None", ...: "Ellipsis", True: "True"}.get(part, "int")
        elif isinstance(part, slice):
            yield "negative step" if (part.step or 1) < 0 else "slice"
        else:
            form = type(part).__name__
            yield f"mask, {form}" if np.asarray(part).dtype == bool else form
    if repeats_an_index({"index": index}):
        yield "repeats"
    if isinstance(index, tuple) and len(index) > 1:
        yield "mixture"


def test_an_index_is_of_every_kind_and_form():
    actual = {kind for _, index in drawn("…", Index(), 300) for kind in kinds_of(index)}
    forms = {"ndarray", "list", "tuple", "Tensor", "memoryview", "array"}
    masks = {"mask, ndarray", "mask, list", "mask, Tensor"}
    plain = {"int", "slice", "negative step", "None", "Ellipsis", "True", "repeats", "mixture"}
    assert actual >= forms | masks | plain


@pytest.mark.parametrize("form", [list, tuple, array, Tensor, memoryview, np.ndarray])
def test_an_index_repeats_in_every_form(form):
    parts = [
        part
        for _, index in drawn("…", Index(), 900)
        for part in (index if isinstance(index, tuple) else (index,))
        if isinstance(part, form)
    ]
    assert any(repeats_an_index({"index": (part,)}) for part in parts)


def test_an_index_takes_something():
    assert all(np.empty(shapes[0])[index].size for shapes, index in drawn("…", Index()))


def test_an_axis_is_counted_from_either_end():
    actual = drawn("… n", Axis())
    assert all(-len(shape) <= axis < len(shape) for (shape,), axis in actual)
    assert {np.sign(axis) for _, axis in actual} == {-1, 0, 1}


def test_several_axes_are_none_one_or_a_tuple_and_none_twice():
    actual = drawn("…", Axis(several=True))
    assert {type(axis) for _, axis in actual} == {type(None), int, tuple}
    for (shape,), axis in actual:
        if isinstance(axis, tuple):
            assert len({i % len(shape) for i in axis}) == len(axis)


def test_a_new_axis_has_a_place_at_both_ends():
    actual = [axis for _, axis in drawn(("n", "n"), Axis(new=True))]
    assert set(actual) == {-2, -1, 0, 1}


def test_an_order_names_every_axis_once():
    actual = drawn("…", Order())
    assert any(order is None for _, order in actual)
    for (shape,), order in actual:
        if order is not None:
            np.empty(shape).transpose(order)


def test_a_new_shape_holds_the_same_elements():
    actual = drawn("…", NewShape())
    assert any(-1 in new for _, new in actual)
    for (shape,), new in actual:
        np.empty(shape).reshape(new)


def test_a_wider_shape_is_one_that_the_operand_broadcasts_to():
    actual = drawn("…", WiderShape())
    assert any(len(wider) > len(shape) for (shape,), wider in actual)
    for (shape,), wider in actual:
        np.broadcast_to(np.empty(shape), wider)


def test_a_mask_broadcasts_to_the_operand():
    actual = drawn("…", Mask())
    assert any(mask.shape != shape for (shape,), mask in actual)
    for (shape,), mask in actual:
        assert np.broadcast_shapes(shape, mask.shape) == shape


def test_a_mask_broadcasts_to_a_shape_in_letters_and_may_be_floats_that_hide():
    actual = drawn(("… q d", "… k d"), Mask("… q k", added=True), 120)
    for (of_q, of_k), mask in actual:
        scores = (*np.broadcast_shapes(of_q[:-2], of_k[:-2]), of_q[-2], of_k[-2])
        assert np.broadcast_shapes(scores, mask.shape) == scores
    kinds = {mask.dtype.kind for _, mask in actual}
    assert kinds == {"b", "f"}
    numbers = {x for _, mask in actual if mask.dtype.kind == "f" for x in mask.flat}
    assert {-np.inf, 0.0, -40.0} <= numbers


def test_floats_are_above_0_and_of_the_shape_that_letters_tell():
    for (shape,), floats in drawn("… n", Floats("… n")):
        assert floats.shape == shape
        assert (floats > 0).all()


def test_a_digit_is_the_length_that_it_says_and_is_never_emptied():
    for (shape,), length in drawn("… 2·d", Length("d"), edge=True):
        assert shape[-1] == 2 * length


def test_a_length_may_be_a_product_of_letters():
    for (one, other), length in drawn(("h·r", "h"), Length("h·r")):
        assert one == (length,)
        assert length % other[0] == 0


def test_ids_are_of_the_shape_and_the_range_that_letters_tell():
    for (shape,), ids in drawn("… n", Ids("n", "…")):
        assert np.shape(ids) == shape[:-1]
        assert ((np.asarray(ids) >= 0) & (np.asarray(ids) < shape[-1])).all()


def test_a_length_is_that_of_its_letter_and_a_product_of_letters_is_divisible():
    for (shape,), length in drawn("n h·d", Length("h")):
        assert shape[1] % length == 0


def test_one_of_some_values_is_each_of_them():
    assert {value for _, value in drawn("n", OneOf(None, 0.5, "a"))} == {None, 0.5, "a"}
    with pytest.raises(ValueError, match="give at least one"):
        OneOf()


@given(calls(ops.matmul))
def test_a_letter_is_one_length_wherever_it_stands(call):
    a, b = call.inputs
    assert a.shape[-1] == b.shape[-2 if b.ndim > 1 else -1]


def test_on_an_edge_there_are_operands_without_elements_and_without_axes():
    shapes = [shapes[0] for shapes, _ in drawn("…", Axis(several=True), edge=True)]
    assert any(0 in shape for shape in shapes)
    assert () in shapes


def test_off_the_edges_every_operand_has_elements():
    assert all(np.prod(shape) for (shape,), _ in drawn("… n", Axis()))


@pytest.mark.parametrize(**each_operation)
def test_patterns_of_a_record_say_of_every_attribute_what_it_may_be(op):
    written = {name for case in op.cases for name in case.attributes}
    if op.patterns:
        assert {name for pattern in op.patterns for name in pattern.attributes} >= written
    else:
        assert not written


def test_attributes_of_an_operation_of_ones_own_are_drawn_for_any_shapes():
    met = set()

    @primitive
    def scaled(a, *, by):
        met.add(by)
        return a * by, lambda grad: (grad * by,)

    assert (
        check_op(scaled, attributes={"by": OneOf(2, 0.5)}, max_examples=6).verdict
        is Verdict.CORRECT
    )
    assert met == {2, 0.5}


def test_a_strategy_will_do_for_an_attribute():
    met = set()

    def scaled(a, *, by):
        met.add(by)
        return a * by, lambda grad: (grad * by,)

    check_op(scaled, attributes={"by": st.integers(1, 3)}, max_examples=20)
    assert met == {1, 2, 3}


def test_a_kind_that_is_not_known_says_what_will_do():
    class Colour(Varied):
        """A kind of somebody's own."""

    with pytest.raises(TypeError, match="a hypothesis strategy will do"):
        check_op(lambda a, *, it: (a, lambda grad: (grad,)), attributes={"it": Colour()})


def test_what_is_told_goes_before_the_pattern():
    axes = set()

    def summed(a, *, axis):
        axes.add(axis)
        shape = a.shape
        return a.sum(axis=axis), lambda grad: (np.broadcast_to(grad, shape),)

    pattern = Pattern(("… n",), {"axis": Axis()})
    check_op(summed, cases=[pattern], attributes={"axis": 0}, max_examples=10)
    assert axes == {0}


@pytest.mark.parametrize("only_lists", [True, False])
def test_an_index_that_loses_a_contribution_is_named(only_lists):
    def careful(part):
        return isinstance(part, list | np.ndarray) and only_lists

    @primitive(patterns=(Pattern(("…",), {"index": Index()}),))
    def taken(a, *, index):
        shape = a.shape
        parts = index if isinstance(index, tuple) else (index,)

        def backward(grad):
            scattered = np.zeros(shape)
            if not grad.size:  # where np.add.at has mistakes of its own
                return (scattered,)
            if any(map(careful, parts)):
                np.add.at(scattered, index, grad)
            else:
                scattered[index] = grad
            return (scattered,)

        return a[index], backward

    with pytest.raises(GradientError) as caught:
        check_op(taken)
    diagnosis = caught.value.report.failure.diagnosis
    assert "a repeated index keeps one contribution" in diagnosis


@pytest.mark.parametrize(
    "index",
    [
        [0, 0],
        (..., (0, 0)),
        array("q", [1, 1]),
        Tensor(np.array([[0], [0]])),
        np.array([2, 2]),
        memoryview(np.array([1, 1])),
        ([0, 1], [1, 1]),
    ],
)
def test_a_repeated_index_is_known_and_printed_as_it_is_written(index):
    call = Call([1.0, 2.0, 3.0], index=index)
    names = {"Call": Call, "np": np, "Tensor": Tensor, "array": array}
    again = eval(repr(call), names)
    assert repeats_an_index(again.attributes)
    assert repr(again) == repr(call)


@pytest.mark.parametrize("value", [(0, 0), 1, (1, 1, 1), ..., slice(1, 1), [0, 1], np.array([0.5])])
def test_ints_in_a_tuple_are_places_and_repeat_nothing(value):
    assert not repeats_an_index({"index": value, "shape": (2, 2)})


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (Case("ab"), "must have a shape per operand"),
        (Case(((-1,),)), "negative length"),
        (Pattern(("… …",)), 'as "… n k"'),
        (Pattern(("n 2",)), 'as "… n k"'),
        (Pattern(((2, 3),)), 'as "… n k"'),
        (Pattern(("n",), {1: 2}), "attributes must be a dict"),
    ],
)
def test_a_case_that_is_written_wrongly_is_refused(case, words):
    with pytest.raises((TypeError, ValueError), match=words):
        check_op(ops.exp, cases=[case])
