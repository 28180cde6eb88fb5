from autolm.lm.baselines import EntropyBaselines as EntropyBaselines
from autolm.lm.baselines import entropy_baselines as entropy_baselines
from autolm.lm.corpora import Corpus as Corpus
from autolm.lm.corpora import python_documentation_corpus as python_documentation_corpus
from autolm.lm.corpora import text_file_corpus as text_file_corpus
from autolm.lm.corpora import toy_language_corpus as toy_language_corpus
from autolm.lm.pretrained import load_pretrained as load_pretrained
from autolm.lm.tinylm import TinyLM as TinyLM
from autolm.lm.tokenizers import BPETokenizer as BPETokenizer
from autolm.lm.tokenizers import CharacterTokenizer as CharacterTokenizer
from autolm.lm.tokenizers import Tokenizer as Tokenizer
from autolm.lm.tokenizers import load_tokenizer as load_tokenizer
from autolm.lm.toy_language import TOY_LANGUAGE as TOY_LANGUAGE

__all__ = [
    "BPETokenizer",
    "CharacterTokenizer",
    "Corpus",
    "EntropyBaselines",
    "TOY_LANGUAGE",
    "TinyLM",
    "Tokenizer",
    "entropy_baselines",
    "load_pretrained",
    "load_tokenizer",
    "python_documentation_corpus",
    "text_file_corpus",
    "toy_language_corpus",
]
