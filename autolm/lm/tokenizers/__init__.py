"""Tokenizers convert text to token ids and back.

`CharacterTokenizer` has one token per character, `BPETokenizer` learns longer ones from bytes.
`load_tokenizer` reads either from disk.
"""

from autolm.lm.tokenizers.bpe import BPETokenizer
from autolm.lm.tokenizers.characters import CharacterTokenizer
from autolm.lm.tokenizers.loading import load_tokenizer, tokenizer_from_json
from autolm.lm.tokenizers.tokenizer import Tokenizer

__all__ = [
    "BPETokenizer",
    "CharacterTokenizer",
    "Tokenizer",
    "load_tokenizer",
    "tokenizer_from_json",
]
