"""Workload: byte-pair encoding learnt from a megabyte of text.

The textbook counts all pairs anew for each merge; autolm counts them once, and then only what a
merge changes. So the textbook is given few merges, and both must have learnt the same; a vocabulary
of use is for autolm alone.
"""

import pydoc_data.topics
from collections import Counter
from itertools import pairwise
from pathlib import Path

from autolm.lm.tokenizers import BPETokenizer
from benchmarks.race import Contestant, Race

BYTES = 256


def build(path: Path | None, size: int, few: int, many: int) -> list[Race]:
    """Prepare the races on the first `size` bytes of a text, or else of Python's documentation."""
    text = path.read_text(encoding="utf-8") if path else python_documentation(size)
    text = text.encode()[:size].decode(errors="ignore")
    length = f"{len(text.encode()) / 1e6:.2g} MB"
    short = Race(
        f"BPE of {length}, {few} merges",
        [
            Contestant("the textbook's loop", lambda: digest(textbook_merges(text, few))),
            Contestant("autolm", lambda: digest(BPETokenizer.train(text, few).merges)),
        ],
    )
    alone = Contestant("autolm", lambda: digest(BPETokenizer.train(text, many, split="gpt").merges))
    return [short, Race(f"BPE of {length}, {many} merges, split like GPT", [alone])]


def python_documentation(size: int) -> str:
    """Return as much of the documentation in Python as there is, from the start again if short."""
    text = "\n".join(pydoc_data.topics.topics.values())
    return text * (size // len(text) + 1)


def digest(merges: object) -> float:
    return float(hash(tuple(merges)))  # type: ignore[call-overload]


def textbook_merges(text: str, count: int) -> list[tuple[int, int]]:
    """Merge the most frequent pair, again and again; of several, the first that occurs."""
    tokens, merges = list(text.encode()), []
    for new in range(BYTES, BYTES + count):
        counts = Counter(pairwise(tokens))
        pair = max(counts, key=counts.__getitem__)
        merges.append(pair)
        tokens = merged(tokens, pair, new)
    return merges


def merged(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """Replace a pair wherever it occurs."""
    result, i = [], 0
    while i < len(tokens):
        if tokens[i] == pair[0] and tokens[i + 1 : i + 2] == [pair[1]]:
            result.append(new)
            i += 2
        else:
            result.append(tokens[i])
            i += 1
    return result
