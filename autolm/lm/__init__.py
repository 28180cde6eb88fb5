"""The language model: tokenizers, corpora, TinyLM, training and sampling (floor 5).

One use of all that stands below, which knows nothing of it. Pictures, prompts and what a terminal
shows may not enter, but for the report of a run.
"""

from autolm.outside.lazy import lazily

_HOMES = {
    "autolm.lm.corpora": "Corpus python_documentation_corpus text_file_corpus toy_language_corpus",
    "autolm.lm.baselines": "EntropyBaselines entropy_baselines",
    "autolm.lm.pretrained": "load_pretrained",
    "autolm.lm.tinylm": "TinyLM",
    "autolm.lm.tokenizers": "BPETokenizer CharacterTokenizer Tokenizer load_tokenizer",
    "autolm.lm.toy_language": "TOY_LANGUAGE",
}
__getattr__, __dir__ = lazily(globals(), _HOMES)
