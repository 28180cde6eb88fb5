"""A text cut into words, and each distinct word counted, as loops over its bytes.

`lm/tokenizers/splitting.py` says by a pattern what a word is, and why; here the same cuts are found
from the kind of each character. Without numba the file runs as plain Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autolm.compiled.merge_loops import NONE, room

OTHER, LETTER, NUMBER, SPACE = range(4)  # the kinds of characters
APOSTROPHE, BLANK = ord("'"), ord(" ")
HASH_SEED, HASH_FACTOR, HASH_BITS = 0x811C9DC5, 0x01000193, 0x3FFFFFFF
START, STOP, COUNT, HASH = range(4)  # what is known of a word: columns of a table


def distinct_words(text: Any, kinds: Any) -> Any:
    """Cut a text into words.

    Parameters
    ----------
    text
        UTF-8, in which a surrogate is three bytes, (bytes,).
    kinds
        The kind of every character that there is, by its number.

    Returns
    -------
    words : (words, 4) array
        Each distinct word, in the order of first places: where it begins and ends there, and how
        often it is in the text. (The last column is its hash.)
    sequence : array
        The text as these words, by their number.
    """
    words, known = np.empty((1024, 4), np.int64), 0
    slots = np.full(4096, NONE, np.int32)
    sequence, read = np.empty(len(text), np.int32), 0
    start = 0
    while start < len(text):
        stop = word_end(text, start, kinds)
        number = HASH_SEED
        for i in range(start, stop):
            number = ((number ^ int(text[i])) * HASH_FACTOR) & HASH_BITS
        slot = (number ^ (number >> 15)) & (len(slots) - 1)
        while slots[slot] != NONE and not is_word(text, words[slots[slot]], number, start, stop):
            slot = (slot + 1) & (len(slots) - 1)
        if slots[slot] == NONE:
            words = room(words, known)
            words[known, START], words[known, STOP] = start, stop
            words[known, COUNT], words[known, HASH] = 0, number
            slots[slot] = known
            known += 1
        word = slots[slot]
        words[word, COUNT] += 1
        sequence[read] = word
        read += 1
        if 2 * known > len(slots):
            slots = filed(words, known, 2 * len(slots))
        start = stop
    return words[:known], sequence[:read]


def is_word(text: Any, word: Any, number: int, start: int, stop: int) -> bool:
    """Whether a word that is known has this hash and these bytes."""
    if word[HASH] != number or word[STOP] - word[START] != stop - start:
        return False
    same = 0
    while start + same < stop and text[word[START] + same] == text[start + same]:
        same += 1
    return start + same == stop


def filed(words: Any, known: int, size: int) -> Any:
    """Return slots, a power of two of them, in which every word is found by its hash."""
    slots = np.full(size, NONE, np.int32)
    for word in range(known):
        number = words[word, HASH]
        slot = (number ^ (number >> 15)) & (size - 1)
        while slots[slot] != NONE:
            slot = (slot + 1) & (size - 1)
        slots[slot] = word
    return slots


def word_end(text: Any, start: int, kinds: Any) -> int:
    """Return where the word ends that begins at a byte."""
    first, after = decoded(text, start)
    if first == APOSTROPHE:
        end = contraction_end(text, after)
        if end:
            return end
    kind = kinds[first]
    if first == BLANK and after < len(text):  # it belongs to what follows, if that can be seen
        following, _ = decoded(text, after)
        kind = kinds[following]
    last, end = start, after
    while end < len(text):
        character, beyond = decoded(text, end)
        if kinds[character] != kind:
            break
        last, end = end, beyond
    # The last of several white spaces is left to the word after it.
    return last if kind == SPACE and end < len(text) and last > start else end


def contraction_end(text: Any, at: int) -> int:
    """Return where an English contraction ends, of which the apostrophe is read; 0 if none is."""
    if at == len(text):
        return 0
    letter, next_letter = text[at], text[at + 1] if at + 1 < len(text) else 0
    if letter == ord("s") or letter == ord("d") or letter == ord("m") or letter == ord("t"):
        return at + 1
    is_long = (
        (letter == ord("l") and next_letter == ord("l"))
        or (letter == ord("v") and next_letter == ord("e"))
        or (letter == ord("r") and next_letter == ord("e"))
    )
    return at + 2 if is_long else 0


def decoded(text: Any, at: int) -> tuple[int, int]:
    """Decode a character, and return where the next begins."""
    byte = int(text[at])
    if byte < 0x80:
        return byte, at + 1
    if byte < 0xE0:
        return ((byte & 0x1F) << 6) | (int(text[at + 1]) & 0x3F), at + 2
    if byte < 0xF0:
        tail = ((int(text[at + 1]) & 0x3F) << 6) | (int(text[at + 2]) & 0x3F)
        return ((byte & 0x0F) << 12) | tail, at + 3
    tail = ((int(text[at + 1]) & 0x3F) << 12) | ((int(text[at + 2]) & 0x3F) << 6)
    return ((byte & 0x07) << 18) | tail | (int(text[at + 3]) & 0x3F), at + 4


def spelled(sequence: Any, ids: Any, begins: Any) -> Any:
    """Return the ids of a text, given the ids of its distinct words, one after another."""
    size = 0
    for word in sequence:
        size += begins[word + 1] - begins[word]
    result, written = np.empty(size, np.int32), 0
    for word in sequence:
        for i in range(begins[word], begins[word + 1]):
            result[written] = ids[i]
            written += 1
    return result
