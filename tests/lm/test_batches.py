"""Batches show each token where it belongs, as often as promised, and resume exactly."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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
documents_of_any_length = st.lists(
    st.lists(st.integers(1, 99), max_size=12), min_size=1, max_size=12
)
Rows = list[list[tuple[int, int]]]  # each an input and its target


def pairs_of(document: list[int]) -> list[tuple[int, int]]:
    framed = [BOUNDARY, *document, BOUNDARY]
    return list(pairwise(framed))


def packed(documents: list[list[int]], block_size: int) -> Rows:
    """Put each piece of a document on the last row if it fits there, else on a new row."""
    rows: Rows = []
    for pairs in map(pairs_of, documents):
        for start in range(0, len(pairs), block_size):
            piece = pairs[start : start + block_size]
            if not rows or len(rows[-1]) + len(piece) > block_size:
                rows.append([])
            rows[-1] += piece
    return rows


def full(documents: list[list[int]], block_size: int) -> Rows:
    """Fill each row; drop the rest of a document that would have fit on a row of its own."""
    rows: Rows = []
    for pairs in map(pairs_of, documents):
        fits_alone = len(pairs) <= block_size
        while pairs:
            if not rows or len(rows[-1]) == block_size:
                rows.append([])
            room = block_size - len(rows[-1])
            rows[-1] += pairs[:room]
            pairs = [] if fits_alone else pairs[room:]
    return rows


@given(documents_of_any_length, sizes)
@example([[], [1], [2, 3, 4, 5]], 2)  # the second is exactly as long as a row
@pytest.mark.parametrize(("fill", "expected"), [(packed_rows, packed), (full_rows, full)])
def test_rows_hold_the_documents_in_order_and_then_padding(
    fill: Any, expected: Any, documents: list[list[int]], block_size: int
) -> None:
    inputs, targets = fill([np.array(d, dtype=np.int64) for d in documents], BOUNDARY, block_size)
    rows = expected(documents, block_size)
    padded = [row + [(BOUNDARY, IGNORE_INDEX)] * (block_size - len(row)) for row in rows]
    assert np.stack([inputs, targets], axis=-1).tolist() == [list(map(list, row)) for row in padded]


def test_documents_come_in_another_order_in_each_epoch_also_within_a_batch() -> None:
    documents = [np.array([token]) for token in range(1, 21)]
    batches = LineBatches(documents, BOUNDARY, block_size=2, batch_size=50, seed=0)
    _, targets = batches.next_batch()
    first, second = targets[:20, 0].tolist(), targets[20:40, 0].tolist()
    assert sorted(first) == sorted(second) == list(range(1, 21))
    assert first != second != list(range(1, 21)) != first
    assert batches.state() == {"epoch": 2, "row": 10}


@given(st.integers(2, 40), sizes, sizes, st.integers(0, 3))
def test_stream_windows_are_contiguous_and_shifted_by_one(
    length: int, block_size: int, batch_size: int, seed: int
) -> None:
    if length <= block_size:
        return
    inputs, targets = StreamBatches(np.arange(length), block_size, batch_size, seed).next_batch()
    assert inputs.shape == targets.shape == (batch_size, block_size)
    assert inputs.dtype == targets.dtype == np.int64
    assert np.all(targets == inputs[:, :1] + np.arange(1, block_size + 1))
    assert np.all(targets == inputs + 1)
    assert inputs.min() >= 0
    assert targets.max() < length


def test_stream_windows_start_everywhere_from_which_they_fit() -> None:
    batches = StreamBatches(np.arange(10), block_size=4, batch_size=200, seed=0)
    assert set(batches.next_batch()[0][:, 0]) == set(range(6))


def supply(kind: str, batch_size: int, seed: int) -> Batches:
    if kind == "stream":
        return StreamBatches(np.arange(50), 5, batch_size, seed)
    return LineBatches([np.arange(n) for n in range(1, 12)], BOUNDARY, 8, batch_size, seed)


@given(sizes, st.integers(0, 3), st.integers(0, 12))
@pytest.mark.parametrize("kind", ["stream", "lines"])
def test_a_restored_supply_continues_identically_even_if_batches_are_overwritten(
    kind: str, batch_size: int, seed: int, before: int
) -> None:
    uninterrupted, resumed = supply(kind, batch_size, seed), supply(kind, batch_size, seed)
    for _ in range(before):
        for array in uninterrupted.next_batch():
            array[:] = 99
    resumed.restore(json.loads(json.dumps(uninterrupted.state())))
    for _ in range(8):
        np.testing.assert_array_equal(resumed.next_batch(), uninterrupted.next_batch())
        assert resumed.state() == uninterrupted.state()
    assert np.any([supply(kind, 5, 1).next_batch()] != np.array(supply(kind, 5, 2).next_batch()))


@given(st.integers(2, 60), sizes, sizes)
def test_evaluation_of_a_stream_predicts_each_token_but_the_first_once(
    length: int, block_size: int, batch_size: int
) -> None:
    batches = list(stream_evaluation_batches(np.arange(length), block_size, batch_size))
    assert all(len(inputs) == batch_size for inputs, _ in batches[:-1])
    inputs, targets = (np.concatenate(arrays).ravel() for arrays in zip(*batches, strict=True))
    predicted = targets != IGNORE_INDEX
    assert targets[predicted].tolist() == list(range(1, length))
    assert np.all(targets[predicted] == inputs[predicted] + 1)


@given(documents_of_any_length, sizes, sizes)
def test_evaluation_of_lines_is_the_packed_rows_in_batches(
    documents: list[list[int]], block_size: int, batch_size: int
) -> None:
    batches = list(line_evaluation_batches(documents, BOUNDARY, block_size, batch_size))
    assert all(len(inputs) == batch_size for inputs, _ in batches[:-1])
    rows = packed_rows([np.array(d, dtype=np.int64) for d in documents], BOUNDARY, block_size)
    for joined, expected in zip(map(np.concatenate, zip(*batches, strict=True)), rows, strict=True):
        np.testing.assert_array_equal(joined, expected)


WRONG: list[tuple[Any, str]] = [
    (
        lambda: StreamBatches(range(8), 8, 1, 0),
        r"^the text has 8 tokens, too few for a context of 8.*$",
    ),
    (lambda: LineBatches([], BOUNDARY, 4, 1, 0), "no documents"),
    (lambda: line_evaluation_batches([], BOUNDARY, 4, 1), "nothing to predict"),
    (lambda: stream_evaluation_batches([7], 4, 1), "nothing to predict"),
    (lambda: StreamBatches(range(9), 0, 1, 0), "block_size must be at least 1, not 0"),
    (lambda: LineBatches([[1]], BOUNDARY, 1, 0, 0), "batch_size must be at least 1, not 0"),
    (lambda: stream_evaluation_batches(range(9), -1, 1), "block_size must be at least 1, not -1"),
    (lambda: StreamBatches([0.5, 1.0], 1, 1, 0), "token_ids must be integers, not"),
    (lambda: StreamBatches([[1, 2], [3, 4]], 1, 1, 0), "token_ids must be one sequence, not"),
    *(
        (lambda state=state: supply("stream", 1, 0).restore(state), "must hold the counts batch")
        for state in ({}, {"batch": -1}, {"batch": "3"}, {"batch": 1.0}, {"epoch": 0, "row": 0})
    ),
    *(
        (lambda state=state: supply("lines", 1, 0).restore(state), "the counts epoch, row")
        for state in ({}, {"batch": 1}, {"epoch": 0}, {"epoch": 0, "row": True})
    ),
    (
        lambda: supply("lines", 1, 0).restore({"epoch": 0, "row": 1000}),
        "row 1000 is beyond the .* rows of epoch 0",
    ),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_wrong_texts_sizes_and_states_are_refused(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()
