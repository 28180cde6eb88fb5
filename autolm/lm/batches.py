"""Batches of inputs and targets for training, drawn from token ids.

In a row, ``targets[t]`` is the token that follows ``inputs[t]``. `StreamBatches` cuts random
windows from one long text; `LineBatches` packs documents into rows, each after a boundary token.
The position in the data is a few integers, so that an interrupted run can resume with exactly the
same batches.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autolm.ops.array_arguments import read_integers
from autolm.outside.arguments import quote, read_int, read_items, read_size
from autolm.outside.message import message

IntArray: TypeAlias = NDArray[np.int64]
Batch: TypeAlias = tuple[IntArray, IntArray]
"""Inputs and targets, each of shape ``(rows, block_size)``."""

IGNORE_INDEX = -1
"""The target of padding, which the loss ignores."""


class Batches(Protocol):
    """An endless, resumable sequence of batches."""

    def next_batch(self) -> Batch:
        """Return inputs and targets, new arrays of shape ``(batch_size, block_size)``."""

    def state(self) -> dict[str, int]:
        """Return the position in the sequence, as JSON data."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a position that `state` returned."""


class StreamBatches:
    """Windows of one continuous text, at random positions.

    Every position from which a whole window fits is equally likely. The n-th batch depends only on
    ``seed`` and n.

    Parameters
    ----------
    token_ids
        Shape ``(length,)``.
    block_size, batch_size
        Tokens in a row, rows in a batch.
    seed
        Not negative.

    Raises
    ------
    ValueError
        If the text is too short for one row, or a size is less than one.

    Examples
    --------
    >>> batches = StreamBatches(range(100), block_size=4, batch_size=2, seed=0)
    >>> inputs, targets = batches.next_batch()
    >>> inputs.shape, bool(np.all(targets == inputs + 1)), batches.state()
    ((2, 4), True, {'batch': 1})
    """

    def __init__(self, token_ids: ArrayLike, block_size: int, batch_size: int, seed: int) -> None:
        self._block_size, self._batch_size = _sizes("StreamBatches", block_size, batch_size)
        self._token_ids = as_token_ids(token_ids)
        if len(self._token_ids) <= block_size:
            raise ValueError(
                message(
                    "the text has {count} tokens, too few for a context of {block_size} "
                    "and one more to predict: give a longer text or a smaller context",
                    count=len(self._token_ids),
                    block_size=block_size,
                )
            )
        self._seed = read_int("StreamBatches", "seed", seed, low=0)
        self._batch = 0

    def next_batch(self) -> Batch:
        """Return the next random windows."""
        rng = np.random.default_rng((self._seed, self._batch))
        self._batch += 1
        starts = rng.integers(len(self._token_ids) - self._block_size, size=self._batch_size)
        windows = starts[:, np.newaxis] + np.arange(self._block_size)
        return self._token_ids[windows], self._token_ids[windows + 1]

    def state(self) -> dict[str, int]:
        """Return how many batches have been drawn."""
        return {"batch": self._batch}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue after the number of batches in ``state``.

        Raises
        ------
        ValueError
            If ``state`` does not come from `state`.
        """
        (self._batch,) = _counters(state, "batch")


class LineBatches:
    """Documents packed into rows, in a new random order in each epoch.

    `full_rows` describes the rows. A batch that is incomplete at the end of an epoch is completed
    from the next one. The order in an epoch depends only on ``seed`` and the epoch.

    Parameters
    ----------
    documents
        Token ids of each document, shape ``(length,)``, without boundaries.
    boundary_id
        The token between documents.
    block_size, batch_size
        Tokens in a row, rows in a batch.
    seed
        Not negative.

    Raises
    ------
    ValueError
        If the list is empty, or a size is less than one.

    Examples
    --------
    >>> batches = LineBatches([[1, 2]], boundary_id=0, block_size=3, batch_size=1, seed=0)
    >>> batches.next_batch()
    (array([[0, 1, 2]]), array([[1, 2, 0]]))
    >>> batches.state()
    {'epoch': 0, 'row': 1}
    """

    def __init__(
        self,
        documents: Sequence[ArrayLike],
        boundary_id: int,
        block_size: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self._block_size, self._batch_size = _sizes("LineBatches", block_size, batch_size)
        self._documents = _documents("LineBatches", documents)
        if not self._documents:
            raise ValueError(message("the text has no documents: give one with at least one line"))
        self._boundary_id = read_size("LineBatches", "boundary_id", boundary_id, low=0)
        self._seed = read_int("LineBatches", "seed", seed, low=0)
        self._begin(epoch=0)

    def next_batch(self) -> Batch:
        """Return the next rows of this epoch, and of the next one when it ends."""
        pieces = [self._take(self._batch_size)]
        while missing := self._batch_size - sum(len(inputs) for inputs, _ in pieces):
            self._begin(self._epoch + 1)
            pieces.append(self._take(missing))
        inputs, targets = zip(*pieces, strict=True)
        return np.concatenate(inputs), np.concatenate(targets)

    def state(self) -> dict[str, int]:
        """Return the epoch, and how many of its rows have been taken."""
        return {"epoch": self._epoch, "row": self._row}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue at the epoch and row in ``state``.

        Raises
        ------
        ValueError
            If ``state`` does not come from `state`.
        """
        epoch, row = _counters(state, "epoch", "row")
        self._begin(epoch)
        if row > len(self._inputs):
            raise ValueError(f"row {row} is beyond the {len(self._inputs)} rows of epoch {epoch}")
        self._row = row

    def _begin(self, epoch: int) -> None:
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._documents))
        shuffled = [self._documents[index] for index in order]
        self._inputs, self._targets = full_rows(shuffled, self._boundary_id, self._block_size)
        self._epoch, self._row = epoch, 0

    def _take(self, count: int) -> Batch:
        rows = slice(self._row, self._row + count)
        inputs, targets = self._inputs[rows], self._targets[rows]
        self._row += len(inputs)
        return inputs, targets


def packed_rows(documents: Sequence[IntArray], boundary_id: int, block_size: int) -> Batch:
    """Pack documents into rows, in their order, so that each token is a target exactly once.

    A document has a boundary before it, as the first input, and one after it, as the last target.
    A row takes as many whole documents as fit; the rest is padding with target `IGNORE_INDEX`. A
    document longer than a row is cut: each piece except the first begins with the token before it
    instead of a boundary, so that no piece looks like the beginning of a document.

    Returns
    -------
    inputs, targets
        Shape ``(rows, block_size)``.

    Examples
    --------
    >>> inputs, targets = packed_rows([np.array([1, 2]), np.array([3]), np.array([4])], 0, 5)
    >>> print(inputs)
    [[0 1 2 0 3]
     [0 4 0 0 0]]
    >>> print(targets)
    [[ 1  2  0  3  0]
     [ 4  0 -1 -1 -1]]
    """
    inputs: list[IntArray] = []
    targets: list[IntArray] = []
    used = block_size
    for document in documents:
        framed = np.concatenate(([boundary_id], document, [boundary_id]))
        for start in range(0, len(framed) - 1, block_size):
            piece = framed[start : start + block_size + 1]
            size = len(piece) - 1
            if used + size > block_size:
                inputs.append(np.full(block_size, boundary_id, dtype=np.int64))
                targets.append(np.full(block_size, IGNORE_INDEX, dtype=np.int64))
                used = 0
            inputs[-1][used : used + size] = piece[:-1]
            targets[-1][used : used + size] = piece[1:]
            used += size
    return np.array(inputs), np.array(targets)


def full_rows(documents: Sequence[IntArray], boundary_id: int, block_size: int) -> Batch:
    """Fill rows with documents for training; the last document in a row is cut at its end.

    Only the end of the last row is padding. The end of a document does not depend on the end of its
    row, as it would if documents were chosen to fit. The rest of a cut document is dropped until
    another epoch with another order. Only a document longer than a row continues in the next row,
    which then begins with the token before it instead of a boundary.

    Returns
    -------
    inputs, targets
        Shape ``(rows, block_size)``.

    Examples
    --------
    >>> print(*full_rows([np.array([1, 2]), np.array([3, 4]), np.array([5])], 0, 4))
    [[0 1 2 0]
     [0 5 0 0]] [[ 1  2  0  3]
     [ 5  0 -1 -1]]
    """
    inputs: list[IntArray] = []
    targets: list[IntArray] = []
    used = block_size
    for document in documents:
        framed = np.concatenate(([boundary_id], document, [boundary_id]))
        start = 0
        while start < len(framed) - 1:
            if used == block_size:
                inputs.append(np.full(block_size, boundary_id, dtype=np.int64))
                targets.append(np.full(block_size, IGNORE_INDEX, dtype=np.int64))
                used = 0
            piece = framed[start : start + block_size - used + 1]
            end = used + len(piece) - 1
            inputs[-1][used:end], targets[-1][used:end] = piece[:-1], piece[1:]
            start, used = start + len(piece) - 1, end
            if len(framed) - 1 <= block_size:
                break
    return np.array(inputs), np.array(targets)


def stream_evaluation_batches(
    token_ids: ArrayLike, block_size: int, batch_size: int
) -> Iterator[Batch]:
    """Yield consecutive windows of a stream, in which each token but the first is a target once.

    The last row may be padded, with `IGNORE_INDEX` as target; the last batch may have fewer rows.

    Raises
    ------
    ValueError
        If there are fewer than two tokens, or a size is less than one.

    Examples
    --------
    >>> for inputs, targets in stream_evaluation_batches(range(6), block_size=4, batch_size=2):
    ...     print(targets)
    [[ 1  2  3  4]
     [ 5 -1 -1 -1]]
    """
    block_size, batch_size = _sizes("stream_evaluation_batches", block_size, batch_size)
    ids = as_token_ids(token_ids)
    if len(ids) < 2:
        raise ValueError(
            message("the text has {count} tokens: there is nothing to predict", count=len(ids))
        )
    padding = -(len(ids) - 1) % block_size
    inputs = np.pad(ids[:-1], (0, padding)).reshape(-1, block_size)
    targets = np.pad(ids[1:], (0, padding), constant_values=IGNORE_INDEX).reshape(-1, block_size)
    return _in_batches(inputs, targets, batch_size)


def line_evaluation_batches(
    documents: Sequence[ArrayLike], boundary_id: int, block_size: int, batch_size: int
) -> Iterator[Batch]:
    """Yield all documents in order, packed by `packed_rows`; the last batch may have fewer rows.

    Raises
    ------
    ValueError
        If the list is empty, or a size is less than one.
    """
    name = "line_evaluation_batches"
    block_size, batch_size = _sizes(name, block_size, batch_size)
    boundary_id = read_size(name, "boundary_id", boundary_id, low=0)
    lines = _documents(name, documents)
    if not lines:
        raise ValueError(message("the text has no documents: there is nothing to predict"))
    rows = packed_rows(lines, boundary_id, block_size)
    return _in_batches(*rows, batch_size)


def as_token_ids(token_ids: ArrayLike) -> IntArray:
    """Return ``token_ids`` as an int64 array of shape ``(length,)``.

    Raises
    ------
    TypeError, ValueError
        If they are not integers, or not one-dimensional.
    """
    array = read_integers("token ids", "token_ids", token_ids)
    if array.ndim != 1:
        raise ValueError(f"token ids: token_ids must be one sequence, not {array.shape}")
    return array.astype(np.int64)


def _in_batches(inputs: IntArray, targets: IntArray, batch_size: int) -> Iterator[Batch]:
    for start in range(0, len(inputs), batch_size):
        rows = slice(start, start + batch_size)
        yield inputs[rows], targets[rows]


def _sizes(name: str, block_size: int, batch_size: int) -> tuple[int, int]:
    return read_size(name, "block_size", block_size), read_size(name, "batch_size", batch_size)


def _documents(name: str, documents: Sequence[ArrayLike]) -> list[IntArray]:
    lines = read_items(name, "documents", documents, "a list of lists of token ids")
    return [as_token_ids(document) for document in lines]


def _counters(state: Mapping[str, Any], *names: str) -> list[int]:
    """Return the counts of a saved state, in the order of ``names``."""
    if not isinstance(state, Mapping):
        raise TypeError(f"the data cursor: state must be a dictionary, not {quote(state)}")
    if set(state) != set(names) or not all(
        type(count) is int and count >= 0 for count in state.values()
    ):
        raise ValueError(f"the data cursor must hold the counts {', '.join(names)}, not {state}")
    return [state[name] for name in names]
