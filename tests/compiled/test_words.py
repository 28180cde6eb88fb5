"""Compiled byte-pair encoding finds the words, merges and ids of the plain one, on any text."""

import unicodedata

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autolm.compiled import words as compiled
from autolm.compiled.merge_loops import pop, push
from autolm.compiled.word_loops import LETTER, NUMBER, OTHER, SPACE
from autolm.lm.tokenizers.merging import apply_merges, laid_out, learn_merges
from autolm.lm.tokenizers.splitting import character_kinds, split_like_gpt
from autolm.lm.tokenizers.tokenizer import bytes_of
from tests.compiled.tapes import needs_numba

any_text = st.text(st.characters(exclude_categories=()), max_size=40)
tricky_text = st.text(st.sampled_from(" \t\n\r\u00a0'’_s-llvetdm.,!?0٣²½aéßあ😀\u0301\ud800\0\x1c"))
repetitive_text = st.text(st.sampled_from("ab "), max_size=60) | st.text(
    st.sampled_from("aé"), max_size=40
)
# Python's own white space (str.isspace), but for the four controls that Unicode does not count.
SPACES = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | set(
    map(chr, range(0x2000, 0x200B))
)


@pytest.fixture(params=["plain", pytest.param("compiled", marks=needs_numba)], scope="module")
def loops(request):
    return compiled.PLAIN if request.param == "plain" else compiled.compiled_loops()


def test_the_kind_of_every_character_is_that_of_unicode():
    kinds = {"L": LETTER, "N": NUMBER}
    expected = [
        SPACE if c in SPACES else kinds.get(unicodedata.category(c)[0], OTHER)
        for c in map(chr, range(0x110000))
    ]
    assert character_kinds().tolist() == expected


def distinct(loops, text):
    data = bytes_of(text)
    words, sequence = loops.distinct_words(np.frombuffer(data, np.uint8), character_kinds())
    return [data[start:stop] for start, stop, *_ in words.tolist()], words, sequence


@given(any_text | tricky_text)
@example("it's I'll we've they're 'tis 'x ''s '")
@example("a   b \n  c  ")
def test_words_are_those_of_the_pattern(loops, text):
    words, _, sequence = distinct(loops, text)
    assert [words[i] for i in sequence] == list(map(bytes_of, split_like_gpt(text)))


def test_each_word_is_once_however_many_there_are(loops):
    text = "".join(f"{chr(0x4E00 + i % 3000)}," for i in range(7000))
    words, table, sequence = distinct(loops, text)
    assert len(set(words)) == len(words) == 3001
    assert np.array_equal(np.bincount(sequence), table[:, 2])
    assert table[:, 2].sum() == len(split_like_gpt(text))


@given(st.lists(repetitive_text | any_text, max_size=5), st.integers(0, 40))
@example(["aaaaa"], 4)
@example(["bbaabbbabbabbb"], 4)
@example(["abab", "baba"], 3)
@example(["abz", "bz", "cd", "ab", "bzbz"], 4)  # ab loses its first place, and so the tie
def test_merges_that_are_learnt_are_those_of_the_plain_way(loops, chunks, num_merges):
    chunks = list(map(bytes_of, chunks))
    tokens, weights = laid_out({chunk: 1 + len(chunk) % 3 for chunk in chunks})
    expected = learn_merges({chunk: 1 + len(chunk) % 3 for chunk in chunks}, num_merges)
    assert compiled.learnt(loops, tokens, weights, num_merges) == expected


def test_tables_grow_with_what_is_learnt(loops):
    rng = np.random.default_rng(0)
    chunks = [bytes(row) for row in rng.integers(0, 256, (300, 12), dtype=np.uint8)]
    merges = compiled.learnt(loops, *laid_out(dict.fromkeys(chunks, 1)), 1200)
    assert merges == learn_merges(chunks, 1200)


@given(repetitive_text, any_text | repetitive_text)
def test_ids_are_those_of_the_plain_way(loops, trained_on, text):
    pairs = learn_merges(map(bytes_of, split_like_gpt(trained_on)), 30)
    ranks = {pair: rank for rank, pair in enumerate(pairs)}
    merges = compiled.Merges(loops, pairs, range(256, 256 + len(pairs)), range(256))
    expected = [i for word in split_like_gpt(text) for i in apply_merges(bytes_of(word), ranks)]
    assert merges.ids_of_words(bytes_of(text), character_kinds()) == expected
    assert merges.ids_of_chunk(bytes_of(text)) == apply_merges(bytes_of(text), ranks)


def test_ids_of_bytes_and_merges_are_those_that_are_told(loops):
    byte_ids = [1000 + byte for byte in range(256)]
    pairs = [(1097, 1098), (7, 1099), (1097, 1098)]  # the later of two equal pairs has no say
    merges = compiled.Merges(loops, pairs, [7, 5, 6], byte_ids)
    assert merges.ids_of_chunk(b"abcab") == [5, 7]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30))
def test_the_heap_gives_the_smallest_first(rows):
    heap = np.empty((len(rows), 2), np.int64)
    size = 0
    for first, second in rows:
        size = push(heap, size, first, second)
    found = []
    while size:
        found.append((heap[0, 0], heap[0, 1]))
        size = pop(heap, size)
    assert found == sorted(rows)


def test_short_texts_do_without_what_is_compiled(monkeypatch):
    assert compiled.loops_for(1000) is None
    monkeypatch.setattr(compiled, "find_spec", lambda name: None)
    assert compiled.loops_for(1 << 20) is None
