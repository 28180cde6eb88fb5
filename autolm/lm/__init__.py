"""The language model: tokenizers, corpora, TinyLM, training and sampling (floor 3)."""

from autolm.lm.corpora import (
    Corpus,
    python_documentation_corpus,
    text_file_corpus,
    toy_language_corpus,
)
from autolm.lm.ladder import EntropyLadder, entropy_ladder
from autolm.lm.tinylm import TinyLM
from autolm.lm.tokenizers import BPETokenizer, CharacterTokenizer, Tokenizer, load_tokenizer
from autolm.lm.toy_language import TOY_LANGUAGE

__all__ = [
    "TOY_LANGUAGE",
    "BPETokenizer",
    "CharacterTokenizer",
    "Corpus",
    "EntropyLadder",
    "TinyLM",
    "Tokenizer",
    "entropy_ladder",
    "load_tokenizer",
    "python_documentation_corpus",
    "text_file_corpus",
    "toy_language_corpus",
]
