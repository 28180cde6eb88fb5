"""Byte-pair encoding as loops over flat arrays: learning merges, and applying them to words.

`lm/tokenizers/merging.py` says it once more, to be read: the same merges, the same ids. Here a
token is known by the position of its first byte. A *place* is an occurrence of a pair, which keeps
its places as a chain in text order; a place whose tokens have changed since is dead. Without numba
the file runs as plain Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np

NUM_BYTES = 256
BOUNDARY = -1  # stands before and after each chunk
ABSORBED = -2  # was the right half of a merged pair
NONE = -1
LEFT, RIGHT, COUNT, FIRST, LAST = range(5)  # what is known of a pair: columns of a table
LOW_HALF = 0xFFFFFFFF
MIXER = 0x5BD1E995  # odd: by it, near keys fall on slots far apart


def learn(tokens: Any, weights: Any, num_merges: int) -> Any:
    """Return the merges, (merges, 2), of chunks of tokens between boundaries.

    A position counts as often as its weight says. The most frequent pair goes first, of several the
    one that occurs first in the text as it is at that moment. `tokens`, (positions,) of 32 bits, is
    overwritten.
    """
    size = len(tokens)
    following, preceding = np.empty(size, np.int32), np.empty(size, np.int32)
    pair_at = np.empty(size, np.int32)
    pairs, known = np.empty((1024, 5), np.int64), 0
    places, placed = np.empty((size + 2, 2), np.int32), 0  # a position, and the next place
    heap, waiting = np.empty((1024, 2), np.int64), 0

    of_bytes = np.full((NUM_BYTES, NUM_BYTES), NONE, np.int32)
    for position in range(size):
        following[position], preceding[position] = position + 1, position - 1
        pair_at[position] = NONE
    for position in range(size - 1):
        left, right = tokens[position], tokens[position + 1]
        if left == BOUNDARY or right == BOUNDARY:
            continue
        if of_bytes[left, right] == NONE:
            pairs = new_pair(pairs, known, left, right)
            of_bytes[left, right] = known
            known += 1
        pair = of_bytes[left, right]
        put_place(pairs, places, placed, pair, position, weights[position])
        pair_at[position] = pair
        placed += 1
    for pair in range(known):
        heap = room(heap, waiting)
        waiting = wait(heap, waiting, pairs, places, pair)

    num_merges = min(num_merges, size)  # each makes the text shorter
    merges, done = np.empty((num_merges, 2), np.int64), 0
    made_with = np.full((2, NUM_BYTES + num_merges), NONE, np.int32)  # the newest after, before it
    while done < num_merges and waiting:
        count, pair = -heap[0, 0], int(heap[0, 1]) & LOW_HALF
        waiting = pop(heap, waiting)
        if pairs[pair, COUNT] < count:  # it has lost places: its entry was too high, never too low
            if pairs[pair, COUNT] > 0:
                while pair_at[places[pairs[pair, FIRST], 0]] != pair:
                    pairs[pair, FIRST] = places[pairs[pair, FIRST], 1]
                waiting = wait(heap, waiting, pairs, places, pair)
            continue
        newest, oldest = NUM_BYTES + done, known
        merges[done, 0], merges[done, 1] = pairs[pair, LEFT], pairs[pair, RIGHT]
        done += 1
        place = pairs[pair, FIRST]
        while place != NONE:
            position, place = places[place, 0], places[place, 1]
            if pair_at[position] != pair:  # dead, or it shares a token with the place before
                continue
            absorbed, before = following[position], preceding[position]
            after, weight = following[absorbed], weights[position]
            tokens[position], tokens[absorbed] = newest, ABSORBED
            following[position], preceding[after] = after, position
            if pair_at[absorbed] != NONE:
                pairs[pair_at[absorbed], COUNT] -= weight
            pair_at[position] = pair_at[absorbed] = NONE
            for side in range(2):
                start = before if side == 0 else position
                neighbour = tokens[before if side == 0 else after]
                # Where the pair comes once more, that place makes the pair of two newest.
                if neighbour == BOUNDARY or (side == 1 and pair_at[after] == pair):
                    continue
                if pair_at[start] != NONE:
                    pairs[pair_at[start], COUNT] -= weight
                if made_with[side, neighbour] < oldest:
                    left, right = (neighbour, newest) if side == 0 else (newest, neighbour)
                    pairs = new_pair(pairs, known, left, right)
                    made_with[side, neighbour] = known
                    known += 1
                made = made_with[side, neighbour]
                places = room(places, placed)
                put_place(pairs, places, placed, made, start, weight)
                pair_at[start] = made
                placed += 1
        for made in range(oldest, known):
            heap = room(heap, waiting)
            waiting = wait(heap, waiting, pairs, places, made)
    return merges[:done]


def new_pair(pairs: Any, known: int, left: int, right: int) -> Any:
    """Enter a pair that has no place yet."""
    pairs = room(pairs, known)
    pairs[known, LEFT], pairs[known, RIGHT] = left, right
    pairs[known, COUNT], pairs[known, FIRST], pairs[known, LAST] = 0, NONE, NONE
    return pairs


def put_place(pairs: Any, places: Any, placed: int, pair: int, position: int, weight: int) -> None:
    """Enter a place, later in the text than all that its pair has."""
    places[placed, 0], places[placed, 1] = position, NONE
    if pairs[pair, LAST] == NONE:
        pairs[pair, FIRST] = placed
    else:
        places[pairs[pair, LAST], 1] = placed
    pairs[pair, LAST] = placed
    pairs[pair, COUNT] += weight


def wait(heap: Any, waiting: int, pairs: Any, places: Any, pair: int) -> int:
    """Let a pair wait for its turn: the more frequent first, of equals the earlier."""
    earliest = int(places[pairs[pair, FIRST], 0])
    return push(heap, waiting, -pairs[pair, COUNT], (earliest << 32) | pair)


def room(rows: Any, index: int) -> Any:
    """Return the array, twice as long if it has no row of that index."""
    if index < len(rows):
        return rows
    longer = np.empty((2 * len(rows), rows.shape[1]), rows.dtype)
    for i in range(len(rows)):
        for column in range(rows.shape[1]):
            longer[i, column] = rows[i, column]
    return longer


def push(heap: Any, size: int, first: int, second: int) -> int:
    """Put two numbers into a heap of rows, smallest on top, and return its new size."""
    i = size
    while i > 0:
        above = (i - 1) >> 1
        if heap[above, 0] < first or (heap[above, 0] == first and heap[above, 1] <= second):
            break
        heap[i, 0], heap[i, 1] = heap[above, 0], heap[above, 1]
        i = above
    heap[i, 0], heap[i, 1] = first, second
    return size + 1


def pop(heap: Any, size: int) -> int:
    """Take the top off a heap of rows, and return its new size."""
    size -= 1
    first, second = heap[size, 0], heap[size, 1]
    i, below = 0, 1
    while below < size:
        other = below + 1
        if other < size and (
            heap[other, 0] < heap[below, 0]
            or (heap[other, 0] == heap[below, 0] and heap[other, 1] < heap[below, 1])
        ):
            below = other
        if first < heap[below, 0] or (first == heap[below, 0] and second <= heap[below, 1]):
            break
        heap[i, 0], heap[i, 1] = heap[below, 0], heap[below, 1]
        i, below = below, 2 * below + 1
    heap[i, 0], heap[i, 1] = first, second
    return size


def pair_table(pairs: Any) -> Any:
    """Return a table, (slots, 2), that finds the rank of a pair: its two ids as one, its rank."""
    slots = 16
    while slots < 2 * len(pairs):
        slots *= 2
    table = np.full((slots, 2), NONE, np.int64)
    for rank in range(len(pairs)):
        key = (int(pairs[rank, 0]) << 32) | int(pairs[rank, 1])
        slot = slot_of(table, key)
        if table[slot, 0] == NONE:
            table[slot, 0], table[slot, 1] = key, rank
    return table


def slot_of(table: Any, key: int) -> int:
    """Return the slot in which a key is, or would be."""
    last = len(table) - 1
    slot = ((((key >> 29) ^ key) & (LOW_HALF >> 1)) * MIXER >> 15) & last
    while table[slot, 0] != key and table[slot, 0] != NONE:
        slot = (slot + 1) & last
    return slot


def merge_words(text: Any, words: Any, table: Any, byte_ids: Any, merged: Any) -> Any:
    """Return the token ids of some words, one after another, and where each word's begin.

    Parameters
    ----------
    text
        Bytes.
    words
        (words, 2): where each begins in the text, and where it ends.
    table
        Of the merges: see `pair_table`.
    byte_ids, merged
        The id of each byte, (256,), and of what each merge makes, (merges,).
    """
    longest = 0
    for word in range(len(words)):
        longest = max(longest, words[word, 1] - words[word, 0])
    tokens = np.empty(longest + 1, np.int64)
    following, preceding = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    heap = np.empty((3 * longest + 1, 2), np.int64)
    begins = np.zeros(len(words) + 1, np.int64)
    ids, written = np.empty((1024, 1), np.int32), 0
    for word in range(len(words)):
        start, length = words[word, 0], words[word, 1] - words[word, 0]
        waiting = 0
        for i in range(length):
            tokens[i] = byte_ids[text[start + i]]
            following[i], preceding[i] = i + 1, i - 1
        for i in range(length - 1):
            waiting = wait_to_merge(heap, waiting, table, tokens, i, i + 1)
        while waiting:
            rank, i = heap[0, 0], heap[0, 1]
            waiting = pop(heap, waiting)
            j = following[i]
            if j == length or rank_of(table, tokens[i], tokens[j]) != rank:
                continue  # one of the two has been merged with its other neighbour
            tokens[i], tokens[j] = merged[rank], ABSORBED
            after = following[j]
            following[i] = after
            if preceding[i] >= 0:
                waiting = wait_to_merge(heap, waiting, table, tokens, preceding[i], i)
            if after < length:
                preceding[after] = i
                waiting = wait_to_merge(heap, waiting, table, tokens, i, after)
        i = 0
        while i < length:
            ids = room(ids, written)
            ids[written, 0] = tokens[i]
            written += 1
            i = following[i]
        begins[word + 1] = written
    return ids[:written, 0], begins


def wait_to_merge(heap: Any, waiting: int, table: Any, tokens: Any, i: int, j: int) -> int:
    """Let two neighbours wait for their turn, if a merge joins them: low ranks go first."""
    rank = rank_of(table, tokens[i], tokens[j])
    return waiting if rank == NONE else push(heap, waiting, rank, i)


def rank_of(table: Any, left: int, right: int) -> int:
    """Return the rank of the merge of two neighbours, or NONE."""
    return table[slot_of(table, (int(left) << 32) | int(right)), 1]
