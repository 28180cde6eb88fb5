"""autolm: the mathematics of training a language model, to watch, draw and prove.

What README, lessons and documentation use stands here, and is imported when it is first asked for:
`from autolm import Value` loads no NumPy. Nothing is set, patched or started by importing. What
would hide a builtin is not brought by `from autolm import *`: `autolm.open` is here, and `sum`,
`abs`, `max`, `min` and `pow` are left in `autolm.ops`.
"""

from autolm.outside.lazy import ALL, lazily

__version__ = "0.1.0"

_HOMES = {
    "autolm.engine.value": "Value",
    "autolm.engine.graph": "Node topological_order",
    "autolm.engine.recording": "no_grad record_locations scope",
    "autolm.tensor.tensor": "Tensor",
    "autolm.ops.primitive": "primitive",
    "autolm.ops": ALL,
    "autolm.compiled.tape": "Tape",
    "autolm.compiled.recorded_step": "recorded",
    "autolm.nn": "Module SGD Adam AdamW",
    "autolm.walking.walk": "Walk",
    "autolm.walking.blame": "blame_nonfinite",
    "autolm.walking.what_if": "edit",
    "autolm.walking.explanation": "explain",
    "autolm.walking.decomposition": "open",
    "autolm.drawing.drawing": "Drawing draw render",
    "autolm.pages.player_page": "player",
    "autolm.debugger.stop_backward": "debug post_mortem set_trace",
    "autolm.debugger.notebook": "load_ipython_extension",
    "autolm.lm.tinylm": "TinyLM",
    "autolm.lm.tokenizers": "BPETokenizer CharacterTokenizer",
    "autolm.lm.config": "TrainingConfig",
    "autolm.lm.corpora": "toy_language_corpus",
    "autolm.lm.training": "Training train_tokenizer",
    "autolm.lm.sampling": "stream_text",
    "autolm.testing.operation_checks": "check_op",
    "autolm.testing.gradient_checks": "assert_gradients check_gradient check_graph",
}
_SUBPACKAGES = ("lm", "nn", "ops", "testing", "torch")
__getattr__, __dir__ = lazily(globals(), _HOMES, _SUBPACKAGES)
