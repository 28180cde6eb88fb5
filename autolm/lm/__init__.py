"""The language model: tokenizers, corpora, TinyLM, training and sampling (floor 5).

One use of all that stands below, which knows nothing of it. Pictures, prompts and what a terminal
shows may not enter, but for the report of a run.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names, for type checkers and editors
    from autolm.lm.corpora import Corpus as Corpus
    from autolm.lm.corpora import python_documentation_corpus as python_documentation_corpus
    from autolm.lm.corpora import text_file_corpus as text_file_corpus
    from autolm.lm.corpora import toy_language_corpus as toy_language_corpus
    from autolm.lm.ladder import EntropyLadder as EntropyLadder
    from autolm.lm.ladder import entropy_ladder as entropy_ladder
    from autolm.lm.pretrained import load_pretrained as load_pretrained
    from autolm.lm.tinylm import TinyLM as TinyLM
    from autolm.lm.tokenizers import BPETokenizer as BPETokenizer
    from autolm.lm.tokenizers import CharacterTokenizer as CharacterTokenizer
    from autolm.lm.tokenizers import Tokenizer as Tokenizer
    from autolm.lm.tokenizers import load_tokenizer as load_tokenizer
    from autolm.lm.toy_language import TOY_LANGUAGE as TOY_LANGUAGE
else:
    from autolm.engine.lazy import lazily

    __getattr__, __dir__, __all__ = lazily(
        globals(),
        {
            "autolm.lm.corpora": "Corpus python_documentation_corpus text_file_corpus "
            "toy_language_corpus",
            "autolm.lm.ladder": "EntropyLadder entropy_ladder",
            "autolm.lm.pretrained": "load_pretrained",
            "autolm.lm.tinylm": "TinyLM",
            "autolm.lm.tokenizers": "BPETokenizer CharacterTokenizer Tokenizer load_tokenizer",
            "autolm.lm.toy_language": "TOY_LANGUAGE",
        },
    )
