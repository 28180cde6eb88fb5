"""The compiled twins of fused primitives are those primitives, also in their errors."""

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, native, ops
from autolm.compiled import fused as compiled
from autolm.testing import Verdict, check_op
from tests.compiled.tapes import needs_numba

pytestmark = needs_numba
TWINS = list(compiled.FORWARDS)
each_twin = pytest.mark.parametrize("op", TWINS, ids=lambda op: op.name)
dtypes = st.sampled_from(["float32", "float64"])
TOLERANCE = {"float32": 2e-6, "float64": 1e-13}  # of sums of a few numbers around 1
ATTENTION, EMBEDDING, CROSS_ENTROPY = ops.attention, ops.embedding, ops.cross_entropy


def both(op, arrays, upstream=None, **attributes):
    """Run a primitive and its twin: for each, the result and the contributions."""
    results = []
    with np.errstate(all="ignore"):
        for forward in (op.forward, compiled.FORWARDS[op]):
            y, backward = forward(*arrays, **attributes)
            grad = np.ones_like(y) if upstream is None else upstream
            results.append([np.asarray(y), *backward(grad)])
    return results


def assert_same(plain, twin, dtype):
    for expected, found in zip(plain, twin, strict=True):
        assert (found.shape, found.dtype) == (expected.shape, np.dtype(dtype))
        size = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype] * size)


def laid_out(data, array):
    """Put the same numbers differently into memory."""
    way = data.draw(st.sampled_from(["as it is", "transposed", "every other", "read-only"]))
    if way == "transposed":
        return np.asfortranarray(array)
    if way == "every other" and array.ndim:
        return np.repeat(array, 2, axis=-1)[..., ::2]
    array = array.copy()
    array.flags.writeable = way != "read-only"
    return array


@pytest.mark.table(3)
@each_twin
@given(data=st.data())
def test_a_twin_computes_what_its_primitive_does_however_its_operands_lie(op, data):
    case, dtype = data.draw(st.sampled_from(op.cases)), data.draw(dtypes)
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    arrays = [laid_out(data, rng.normal(size=shape).astype(dtype)) for shape in case.shapes]
    before = [array.tobytes() for array in arrays]
    y = op.forward(*arrays, **case.attributes)[0]
    upstream = laid_out(data, rng.normal(size=np.shape(y)).astype(dtype))
    assert_same(*both(op, arrays, upstream, **case.attributes), dtype)
    assert [array.tobytes() for array in arrays] == before


@given(st.data())
def test_attention_is_the_same_for_all_shapes_heads_masks_and_scales(data):
    dtype = data.draw(dtypes)
    heads, queries, earlier = (data.draw(st.integers(low, 4)) for low in (1, 1, -3))
    batch = data.draw(st.sampled_from([(), (2,), (2, 3)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    size = data.draw(st.sampled_from([1.0, 100.0]))  # beyond what exponentials hold, too
    time, causal = max(1, queries + earlier), data.draw(st.booleans())
    shapes = (*batch, queries, 2 * heads), (*batch, time, 2 * heads), (*batch, time, 3 * heads)
    arrays = [(rng.normal(size=shape) * size).astype(dtype) for shape in shapes]
    arrays[2] /= size
    scale = data.draw(st.sampled_from([None, 0.5, np.float64(0.25)]))
    upstream = rng.normal(size=(*batch, queries, 3 * heads)).astype(dtype)
    how = {"num_heads": heads, "causal": causal, "scale": scale}
    plain, twin = both(ATTENTION, arrays, upstream, **how)
    for expected, found in zip(plain, twin, strict=True):
        # A score of thousands is itself off by the rounding of thousands.
        atol = 20 * TOLERANCE[dtype] * size**2 * np.abs(expected).max(initial=1.0)
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


@given(st.data())
def test_cross_entropy_is_the_same_for_all_targets_ignored_or_not(data):
    dtype, rng = data.draw(dtypes), np.random.default_rng(data.draw(st.integers(0, 999)))
    logits = rng.normal(size=(2, 5, 3)).astype(dtype)
    targets = rng.integers(-1, 3, size=(2, 5))
    targets[0, 0] = data.draw(st.integers(0, 2))
    targets = targets.astype(data.draw(st.sampled_from(["int64", "int32", "int8"])))
    assert_same(*both(CROSS_ENTROPY, [logits], targets=targets, ignore_index=-1), dtype)
    targets = np.where(targets < 0, 2, targets)
    upstream = np.asarray(-2.5, dtype)
    assert_same(*both(CROSS_ENTROPY, [logits], upstream, targets=targets), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, 1e30])
@each_twin
def test_what_is_not_finite_travels_as_it_does_through_the_primitive(op, special, dtype):
    rng = np.random.default_rng(0)
    for case in op.cases:
        arrays = [rng.normal(size=shape).astype(dtype) for shape in case.shapes]
        arrays[0].flat[0] = special
        plain, twin = both(op, arrays, **case.attributes)
        for expected, found in zip(plain, twin, strict=True):
            assert (np.isnan(found) == np.isnan(expected)).all()
        assert_same(plain[:1], twin[:1], dtype)


def test_rows_of_nothing_but_minus_infinity_see_nothing():
    q, k, v = np.full((1, 2), -np.inf), np.ones((3, 2)), np.ones((3, 2))
    y, _ = compiled.FORWARDS[ATTENTION](q, k, v)
    assert y.tolist() == [[0.0, 0.0]]
    logits = np.array([[-np.inf, -np.inf], [0.0, 1.0]])
    plain, twin = both(CROSS_ENTROPY, [logits], targets=[0, 1])
    np.testing.assert_allclose(twin[1], plain[1], rtol=1e-15)
    assert np.isnan(twin[1][0]).all() and np.isfinite(twin[1][1]).all()


@each_twin
@pytest.mark.parametrize("dtype", ["complex128", "longdouble", "float16"])
def test_other_kinds_of_numbers_are_left_to_the_primitive(op, dtype):
    case = op.cases[0]
    arrays = [np.ones(shape, dtype) for shape in case.shapes]
    (plain, *_), (twin, *_) = both(op, arrays, **case.attributes)
    assert plain.dtype == twin.dtype
    np.testing.assert_array_equal(twin, plain)


WRONG = {
    "an id too large": (EMBEDDING, [(4, 3)], {"token_ids": [0, 4]}),
    "an id below 0": (EMBEDDING, [(4, 3)], {"token_ids": [[-1]]}),
    "ids that are no integers": (EMBEDDING, [(4, 3)], {"token_ids": [0.5]}),
    "a target too large": (CROSS_ENTROPY, [(2, 3)], {"targets": [0, 3]}),
    "a target below 0": (CROSS_ENTROPY, [(2, 3)], {"targets": [-1, 0]}),
    "targets that are no integers": (CROSS_ENTROPY, [(2, 3)], {"targets": [0.5, 1.0]}),
    "too few targets": (CROSS_ENTROPY, [(2, 3)], {"targets": [0]}),
    "no target": (CROSS_ENTROPY, [(2, 3)], {"targets": [7, 7], "ignore_index": 7}),
    "a gain too short": (ops.layer_norm, [(2, 3), (2,), (3,)], {}),
    "a gain too long": (ops.rms_norm, [(2, 3), (4,)], {}),
    "heads that do not fit": (ATTENTION, [(2, 3), (2, 3), (2, 3)], {"num_heads": 2}),
}


@pytest.mark.parametrize("op, shapes, attributes", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_in_the_same_words(op, shapes, attributes):
    arrays, messages = [np.ones(shape) for shape in shapes], []
    for forward in (op.forward, compiled.FORWARDS[op]):
        with pytest.raises((ValueError, TypeError)) as caught:
            forward(*arrays, **attributes)
        messages.append((caught.type, str(caught.value)))
    assert messages[0] == messages[1]


def test_no_ids_at_all_are_no_rows():
    weight = np.ones((4, 3))
    for ids in (np.zeros((2, 0), int), []):
        y, backward = compiled.FORWARDS[EMBEDDING](weight, token_ids=ids)
        assert y.shape == (*np.shape(ids), 3)
        assert not backward(np.ones_like(y))[0].any()


@pytest.mark.table(3)
@each_twin
def test_rules_of_twins_pass_every_law(op):
    with native():
        report = check_op(op, max_examples=10)
    assert report.verdict is Verdict.CORRECT, report


@each_twin
def test_twins_take_their_place_inside_native_only(op):
    case = op.cases[0]
    tensors = [Tensor(np.ones(shape)) for shape in case.shapes]
    with native():
        inside = op(*tensors, **case.attributes)
    outside = op(*tensors, **case.attributes)
    assert inside.backward_rule.__module__ == "autolm.compiled.fused"
    assert outside.backward_rule.__module__ == op.forward.__module__


@pytest.mark.parametrize(
    "shapes",
    [[(3, 4), (3, 4), (2, 3, 4)], [(1, 3, 4)] * 2 + [(5, 3, 4)], [(2, 3, 4)] + [(3, 4)] * 2],
)
def test_attention_of_batches_that_broadcast_is_that_of_the_primitive(shapes):
    rng = np.random.default_rng(0)
    assert_same(*both(ATTENTION, [rng.normal(size=shape) for shape in shapes]), "float64")


def test_rows_of_a_table_may_have_axes_of_their_own():
    weight = np.random.default_rng(0).normal(size=(3, 2, 2))
    y, _ = compiled.FORWARDS[EMBEDDING](weight, token_ids=[2, 0])
    np.testing.assert_array_equal(y, weight[[2, 0]])


def test_the_least_of_all_integers_is_no_target():
    targets = np.array([np.iinfo(np.int64).min, 1])
    for forward in (CROSS_ENTROPY.forward, compiled.FORWARDS[CROSS_ENTROPY]):
        with pytest.raises(ValueError, match="outside the vocabulary"):
            forward(np.ones((2, 3)), targets=targets)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool"])
@pytest.mark.parametrize("numbers", ["ones", "random", "both signs"])
def test_fingerprint_changes_with_a_change_of_the_whole_array(numbers, dtype):
    array = np.random.default_rng(0).uniform(1, 2, size=(64, 64))
    array = {"ones": np.ones_like(array), "random": array, "both signs": array}[numbers]
    array = array.astype(dtype)
    if numbers == "both signs" and dtype != "bool":
        array[1] = -array[0]
    changes = [array * 0, array[::-1], np.where(array > 1.5, array, 0).astype(dtype)]
    if dtype != "bool":
        changes += [-array, array * 2, array / 2, array + 1]
        changes.append(np.concatenate([array[1::-1], array[2:]]))  # +x and −x exchanged
    before = compiled.fingerprint(array)
    for changed in map(np.ascontiguousarray, changes):
        assert (compiled.fingerprint(changed) == before) == np.array_equal(changed, array)


def test_fingerprint_changes_with_each_bit():
    array = np.zeros(64, np.uint64)
    before = compiled.fingerprint(array)
    for i in range(array.size):
        for bit in range(64):
            array[i] = np.uint64(1) << np.uint64(bit)
            assert compiled.fingerprint(array) != before
            array[i] = 0


@given(st.integers(0, 10**6), st.sampled_from([2, 4, 8]))
def test_fingerprint_changes_where_each_of_a_few_words_changes_alike(seed, size):
    array = np.random.default_rng(seed).normal(size=size)
    changed = {compiled.fingerprint(each) for each in (array, -array, array * 2, array * -2)}
    assert len(changed) == 4


@given(st.data())
def test_fingerprint_changes_with_any_one_element_and_any_swap(data):
    dtype = data.draw(st.sampled_from(["float32", "float64", "bool"]))
    shape = data.draw(st.sampled_from([(3,), (40, 3), (7, 11, 13), (1,)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    array = (rng.normal(size=shape) * 9).astype(dtype)
    before = compiled.fingerprint(array)
    assert compiled.fingerprint(array.copy()) == before
    i, j = (data.draw(st.integers(0, array.size - 1)) for _ in range(2))
    changed = array.copy()
    changed.flat[i] = not changed.flat[i]
    assert compiled.fingerprint(changed) != before
    swapped = array.copy()
    swapped.flat[i], swapped.flat[j] = array.flat[j], array.flat[i]
    assert (compiled.fingerprint(swapped) == before) == (array.flat[i] == array.flat[j])


def test_the_loops_that_are_compiled_are_all_the_loops():
    loops = importlib.import_module("autolm.compiled.fused_loops")
    own = {f for f in vars(loops).values() if getattr(f, "__module__", "") == loops.__name__}
    functions = {f for f in own if hasattr(f, "__code__")} - {loops.run}
    assert {*loops.LOOPS, *loops.LOOPS_OF_THE_MACHINE} == functions
    assert not {*loops.LOOPS} & {*loops.LOOPS_OF_THE_MACHINE}
