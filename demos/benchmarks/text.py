"""Workload: byte-pair encoding, learned from a text and applied to it.

The textbook counts all pairs anew for each merge; autolm counts them once, and then only what a
merge changes. So the textbook is given few merges. rustbpe and Hugging Face's tokenizers learn many
too, with GPT-2's splitting; of equally frequent pairs each takes another one, so what must agree is
the length of all tokens together, to 5 %. For encoding, all have the same merges, and the ids must
be the same. One thread each.
"""

import json
import os
import pydoc_data.topics
import sysconfig
from collections import Counter
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from autolm.lm.tokenizers import BPETokenizer
from benchmarks.race import Contestant, Race, enter

BYTES = 256
GPT2_SPLIT = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
TRAINERS = ("autolm", "rustbpe", "tokenizers")
ENCODERS = ("autolm", "tiktoken", "tokenizers")


def build(path: Path | None, size: int, few: int, many: int, apart: bool = True) -> list[Race]:
    """Prepare the races on the first `size` bytes of a text, or else of Python's library."""
    length = f"{size / 1e6:.2g} MB"
    source = (str(path) if path else None, size)

    def raced(title: str, function: str, names: tuple[str, ...], merges: int, **how: Any) -> Race:
        contestants, absent = [], []
        for name in names:
            try:
                contestants.append(enter("text", function, name, *source, merges, apart=apart))
            except ImportError:
                absent.append(f"{name} is not installed")
        return Race(f"BPE of {length}, {title}", contestants, absent=absent, **how)

    split = f"{many} merges, split like GPT"
    return [
        raced(f"{few} merges", "unsplit", ("the textbook's loop", "autolm"), few),
        raced(f"{split}: learning", "trainer", TRAINERS, many, tolerance=0.05),
        raced(f"{split}: encoding", "encoder", ENCODERS, many),
    ]


@cache
def text_of(path: str | None, size: int) -> str:
    """Return the first bytes of a text."""
    text = Path(path).read_text(encoding="utf-8") if path else python_library(size)
    return text.encode()[:size].decode(errors="ignore")


def python_library(size: int) -> str:
    """Return Python's documentation and, where that is short, its library, again and again."""
    text = "\n".join(pydoc_data.topics.topics.values())
    if len(text) < size:
        files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
        text += "".join(file.read_text(encoding="utf-8", errors="ignore") for file in files)
    return text * (size // len(text) + 1)


def unsplit(name: str, path: str | None, size: int, merges: int) -> Contestant:
    """Learn a few merges of the text as a whole."""
    text = text_of(path, size)
    if name == "autolm":
        return Contestant(name, lambda: digest(BPETokenizer.train(text, merges).merges))
    return Contestant(name, lambda: digest(textbook_merges(text, merges)))


def trainer(name: str, path: str | None, size: int, merges: int) -> Contestant:
    """Learn many merges."""
    one_thread()
    text, learned = text_of(path, size), []

    def learn() -> list[bytes]:
        if name == "autolm":
            tokenizer = BPETokenizer.train(text, merges, split="gpt")
            return [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
        if name == "rustbpe":
            rust: Any = import_module("rustbpe").Tokenizer()
            rust.train_from_iterator([text], BYTES + merges, pattern=GPT2_SPLIT)
            return [bytes(token) for token, _ in rust.get_mergeable_ranks()]
        return hugging_face_learns(text, merges)

    def run() -> float:
        learned[:] = learn()
        return 0.0

    def count() -> float:
        return float(sum(map(len, learned)))

    import_module(name)
    return Contestant(name, run, digest=count)


def hugging_face_learns(text: str, merges: int) -> list[bytes]:
    """Return the tokens that Hugging Face's library learns, each as its characters' bytes."""
    library: Any = import_module("tokenizers")
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = library.pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        [text],
        library.trainers.BpeTrainer(
            vocab_size=BYTES + merges, initial_alphabet=alphabet, show_progress=False
        ),
    )
    return [bytes(len(token)) for token in tokenizer.get_vocab()]


def encoder(name: str, path: str | None, size: int, merges: int) -> Contestant:
    """Encode with merges learned by autolm."""
    one_thread()
    text = text_of(path, size)
    ours = BPETokenizer.train(text, merges, split="gpt")
    tokens = [ours.token_bytes(token) for token in range(ours.vocab_size)]
    if name == "tiktoken":
        ranks = {token: rank for rank, token in enumerate(tokens)}
        theirs: Any = import_module(name).Encoding(
            "raced", pat_str=GPT2_SPLIT, mergeable_ranks=ranks, special_tokens={}
        )
        return Contestant(name, lambda: digest(theirs.encode_ordinary(text)))
    if name == "tokenizers":
        from autolm.lm.huggingface_export import tokenizer_json

        content = json.dumps(tokenizer_json(ours))
        hugging: Any = import_module(name).Tokenizer.from_str(content)
        return Contestant(name, lambda: digest(hugging.encode(text).ids))
    return Contestant(name, lambda: digest(ours.encode(text)))


def one_thread() -> None:
    """Keep the libraries that are written in Rust to one thread."""
    os.environ |= {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def digest(numbers: object) -> float:
    return float(hash(tuple(numbers)))  # type: ignore[call-overload]


def textbook_merges(text: str, count: int) -> list[tuple[int, int]]:
    """Merge the most frequent pair repeatedly; ties go to the pair that occurs first."""
    tokens, merges = list(text.encode()), []
    for new in range(BYTES, BYTES + count):
        counts = Counter(pairwise(tokens))
        pair = max(counts, key=counts.__getitem__)
        merges.append(pair)
        tokens = merged(tokens, pair, new)
    return merges


def merged(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """Replace each occurrence of a pair."""
    result, i = [], 0
    while i < len(tokens):
        if tokens[i] == pair[0] and tokens[i + 1 : i + 2] == [pair[1]]:
            result.append(new)
            i += 2
        else:
            result.append(tokens[i])
            i += 1
    return result
