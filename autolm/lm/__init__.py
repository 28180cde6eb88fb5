"""The language model: tokenizers, corpora, TinyLM, training and sampling (layer 5).

The packages below do not depend on it. It does not draw graphs or prompt the user; only `report`
writes to the terminal.
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
