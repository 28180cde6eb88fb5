"""Batches show each token where it belongs, as often as promised, and resume exactly."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from autolm.lm.batches import (
    IGNORE_INDEX,
    Batches,
    LineBatches,
    StreamBatches,
    full_rows,
    line_evaluation_batches,
    packed_rows,
    stream_evaluation_batches,
)

BOUNDARY = 0
sizes = st.integers(1, 9)
seeds = st.integers(0, 3)


@st.composite
def distinct_documents(draw: st.DrawFn) -> list[NDArray[np.int64]]:
    """Documents in which no token occurs twice: 1, 2, 3 ... cut at random."""
    lengths = draw(st.lists(st.integers(0, 12), min_size=1, max_size=12))
    ends = np.cumsum(lengths)
    return [np.arange(end - length, end) + 1 for length, end in zip(lengths, ends, strict=True)]


@given(distinct_documents(), sizes)
def test_each_document_token_is_a_packed_target_once(
    documents: list[NDArray[np.int64]], block_size: int
) -> None:
    _, targets = packed_rows(documents, BOUNDARY, block_size)
    found = targets[targets != IGNORE_INDEX]
    expected = np.concatenate([*documents, [BOUNDARY] * len(documents)])
    assert sorted(found) == sorted(expected)


@given(distinct_documents(), sizes)
def test_packed_inputs_are_the_tokens_before_their_targets(
    documents: list[NDArray[np.int64]], block_size: int
) -> None:
    inputs, targets = packed_rows(documents, BOUNDARY, block_size)
    before = {int(token): int(token) - 1 for document in documents for token in document[1:]}
    before |= {int(document[0]): BOUNDARY for document in documents if len(document)}
    last_tokens = {int(document[-1]) if len(document) else BOUNDARY for document in documents}
    for given_token, target in zip(inputs.flat, targets.flat, strict=True):
        if target == BOUNDARY:
            assert given_token in last_tokens
        elif target != IGNORE_INDEX:
            assert given_token == before[target]


@given(distinct_documents(), sizes)
def test_targets_are_inputs_shifted_by_one(
    documents: list[NDArray[np.int64]], block_size: int
) -> None:
    inputs, targets = packed_rows(documents, BOUNDARY, block_size)
    predicted = targets[:, :-1]
    assert np.all((inputs[:, 1:] == predicted) | (predicted == IGNORE_INDEX))


@given(distinct_documents(), sizes)
def test_rows_start_with_the_boundary_or_go_on_with_a_document_too_long_for_one_row(
    documents: list[NDArray[np.int64]], block_size: int
) -> None:
    inputs, _ = packed_rows(documents, BOUNDARY, block_size)
    continuations = {
        int(token)
        for document in documents
        for token in document[block_size - 1 :: block_size]
        if len(document) + 1 > block_size
    }
    assert {int(token) for token in inputs[:, 0]} <= continuations | {BOUNDARY}


@given(distinct_documents(), sizes)
def test_documents_that_fit_in_a_row_are_whole(
    documents: list[NDArray[np.int64]], block_size: int
) -> None:
    _, targets = packed_rows(documents, BOUNDARY, block_size)
    row_of = {int(token): row for row, tokens in enumerate(targets) for token in tokens}
    for document in documents:
        if len(document) + 1 <= block_size:
            assert len({row_of[int(token)] for token in document}) <= 1


@given(distinct_documents(), sizes)
def test_a_row_takes_all_documents_that_fit(
    documents: list[NDArray[np.int64]], block_size: int
) -> None:
    _, targets = packed_rows(documents, BOUNDARY, block_size)
    used = np.sum(targets != IGNORE_INDEX, axis=1)
    pending = [len(document) + 1 for document in documents]
    for filled, later in zip(used, targets[1:], strict=False):
        assert filled > 0
        starts_with = next(
            (len(d) + 1 for d in documents if len(d) and d[0] == later[0]), block_size
        )
        assert filled + min(starts_with, block_size) > block_size
    assert sum(used) == sum(pending)


@given(distinct_documents(), sizes)
def test_padding_is_a_boundary_to_be_ignored_at_the_end_of_a_row(
    documents: list[NDArray[np.int64]], block_size: int
) -> None:
    inputs, targets = packed_rows(documents, BOUNDARY, block_size)
    ignored = targets == IGNORE_INDEX
    assert np.all(inputs[ignored] == BOUNDARY)
    assert np.all(ignored[:, :-1] <= ignored[:, 1:])


@given(distinct_documents(), sizes)
def test_full_rows_hold_documents_in_order_each_cut_only_where_its_row_ends(
    documents: list[NDArray[np.int64]], block_size: int
) -> None:
    _, targets = full_rows(documents, BOUNDARY, block_size)
    tokens = targets.ravel().tolist()
    place = 0
    for document in documents:
        framed = [*document.tolist(), BOUNDARY]
        room = block_size - place % block_size
        held = framed if len(framed) > block_size else framed[:room]
        assert tokens[place : place + len(held)] == held
        place += len(held)
    assert all(token == IGNORE_INDEX for token in tokens[place:])
    assert len(tokens) - place < block_size


@given(distinct_documents(), sizes)
def test_full_rows_begin_with_the_boundary_or_the_token_before(
    documents: list[NDArray[np.int64]], block_size: int
) -> None:
    inputs, targets = full_rows(documents, BOUNDARY, block_size)
    assert np.all(
        inputs[:, 1:][targets[:, 1:] != IGNORE_INDEX]
        == targets[:, :-1][targets[:, 1:] != IGNORE_INDEX]
    )
    too_long = [document for document in documents if len(document) + 1 > block_size]
    inside = {int(token) for document in too_long for token in document}
    assert all(int(token) == BOUNDARY or int(token) in inside for token in inputs[:, 0])


def test_documents_come_in_another_order_in_each_epoch() -> None:
    documents = [np.array([token]) for token in range(1, 21)]
    batches = LineBatches(documents, BOUNDARY, block_size=2, batch_size=20, seed=0)
    first, second = (batches.next_batch()[1][:, 0] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(1, 21))
    assert list(first) != list(second) != list(range(1, 21)) != list(first)


def test_an_epoch_that_ends_within_a_batch_is_followed_by_the_next() -> None:
    documents = [np.array([1]), np.array([2]), np.array([3])]
    batches = LineBatches(documents, BOUNDARY, block_size=2, batch_size=7, seed=0)
    _, targets = batches.next_batch()
    assert sorted(targets[:3, 0]) == sorted(targets[3:6, 0]) == [1, 2, 3]
    assert batches.state() == {"epoch": 2, "row": 1}


@given(st.integers(2, 40), sizes, sizes, seeds)
def test_stream_windows_are_contiguous_and_shifted_by_one(
    length: int, block_size: int, batch_size: int, seed: int
) -> None:
    if length <= block_size:
        return
    inputs, targets = StreamBatches(np.arange(length), block_size, batch_size, seed).next_batch()
    assert inputs.shape == targets.shape == (batch_size, block_size)
    assert inputs.dtype == targets.dtype == np.int64
    assert np.all(targets == inputs + 1)
    assert np.all(np.diff(inputs) == 1)
    assert inputs.min() >= 0
    assert targets.max() < length


def test_stream_windows_start_everywhere_from_which_they_fit() -> None:
    batches = StreamBatches(np.arange(10), block_size=4, batch_size=1, seed=0)
    starts = {int(batches.next_batch()[0][0, 0]) for _ in range(200)}
    assert starts == set(range(6))


def supply(kind: str, batch_size: int, seed: int) -> Batches:
    if kind == "stream":
        return StreamBatches(np.arange(50), 5, batch_size, seed)
    return LineBatches([np.arange(n) for n in range(1, 12)], BOUNDARY, 8, batch_size, seed)


@given(st.sampled_from(["stream", "lines"]), sizes, seeds, st.integers(0, 12))
def test_a_restored_supply_goes_on_identically(
    kind: str, batch_size: int, seed: int, drawn: int
) -> None:
    uninterrupted = supply(kind, batch_size, seed)
    for _ in range(drawn):
        uninterrupted.next_batch()
    resumed = supply(kind, batch_size, seed)
    resumed.restore(json.loads(json.dumps(uninterrupted.state())))
    for _ in range(8):
        np.testing.assert_array_equal(resumed.next_batch(), uninterrupted.next_batch())
        assert resumed.state() == uninterrupted.state()


@pytest.mark.parametrize("kind", ["stream", "lines"])
def test_seeds_differ_and_repeat(kind: str) -> None:
    def batches(seed: int) -> NDArray[np.int64]:
        drawn = supply(kind, 3, seed)
        return np.array([drawn.next_batch() for _ in range(4)])

    np.testing.assert_array_equal(batches(1), batches(1))
    assert np.any(batches(1) != batches(2))


@pytest.mark.parametrize("kind", ["stream", "lines"])
def test_a_batch_may_be_overwritten(kind: str) -> None:
    overwritten, untouched = supply(kind, 3, 0), supply(kind, 3, 0)
    for _ in range(10):
        inputs, targets = overwritten.next_batch()
        last_inputs, last_targets = untouched.next_batch()
        np.testing.assert_array_equal(inputs, last_inputs)
        inputs[:] = 99
        np.testing.assert_array_equal(targets, last_targets)
        targets[:] = 99


@given(st.integers(2, 60), sizes, sizes)
def test_evaluation_of_a_stream_predicts_each_token_but_the_first_once(
    length: int, block_size: int, batch_size: int
) -> None:
    found: list[int] = []
    for inputs, targets in stream_evaluation_batches(np.arange(length), block_size, batch_size):
        assert inputs.shape == targets.shape
        assert 1 <= len(inputs) <= batch_size
        predicted = targets != IGNORE_INDEX
        assert np.all(targets[predicted] == inputs[predicted] + 1)
        found.extend(targets[predicted])
    assert found == list(range(1, length))


@given(distinct_documents(), sizes, sizes)
def test_evaluation_of_lines_predicts_each_token_once_in_order(
    documents: list[NDArray[np.int64]], block_size: int, batch_size: int
) -> None:
    batches = list(line_evaluation_batches(documents, BOUNDARY, block_size, batch_size))
    assert all(len(inputs) == batch_size for inputs, _ in batches[:-1])
    targets = np.concatenate([targets.ravel() for _, targets in batches])
    expected = [token for document in documents for token in [*document, BOUNDARY]]
    assert list(targets[targets != IGNORE_INDEX]) == expected


def test_a_text_shorter_than_the_context_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="the text has 8 tokens, too few for a context of 8") as e:
        StreamBatches(range(8), block_size=8, batch_size=1, seed=0)
    assert "\n" not in str(e.value)


def test_nothing_to_predict_is_refused() -> None:
    with pytest.raises(ValueError, match="no documents"):
        LineBatches([], BOUNDARY, 4, 1, 0)
    with pytest.raises(ValueError, match="nothing to predict"):
        line_evaluation_batches([], BOUNDARY, 4, 1)
    with pytest.raises(ValueError, match="nothing to predict"):
        stream_evaluation_batches([7], 4, 1)


@pytest.mark.parametrize(("block_size", "batch_size"), [(0, 1), (1, 0), (-1, 1)])
def test_sizes_below_one_are_refused(block_size: int, batch_size: int) -> None:
    with pytest.raises(ValueError, match="_size must be at least 1, not"):
        StreamBatches(range(9), block_size, batch_size, 0)
    with pytest.raises(ValueError, match="_size must be at least 1, not"):
        LineBatches([[1]], BOUNDARY, block_size, batch_size, 0)
    with pytest.raises(ValueError, match="_size must be at least 1, not"):
        stream_evaluation_batches(range(9), block_size, batch_size)


@pytest.mark.parametrize("token_ids", [[0.5, 1.0], [[1, 2], [3, 4]], ["a", "b"]])
def test_what_are_no_token_ids_is_refused(token_ids: Any) -> None:
    with pytest.raises(
        (TypeError, ValueError), match=r"token_ids must be (integers|one sequence), not"
    ):
        StreamBatches(token_ids, 1, 1, 0)


@pytest.mark.parametrize(
    "state", [{}, {"batch": -1}, {"batch": "3"}, {"batch": 1.0}, {"epoch": 0, "row": 0}]
)
def test_a_wrong_stream_state_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="data cursor must hold the counts batch"):
        supply("stream", 1, 0).restore(state)


@pytest.mark.parametrize("state", [{}, {"batch": 1}, {"epoch": 0}, {"epoch": 0, "row": True}])
def test_a_wrong_line_state_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="data cursor must hold the counts epoch, row"):
        supply("lines", 1, 0).restore(state)


def test_a_row_beyond_the_epoch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"row 1000 is beyond the .* rows of epoch 0"):
        supply("lines", 1, 0).restore({"epoch": 0, "row": 1000})
