"""Modules, layers, optimizers and schedules: the parts that a model is built of (floor 3).

They use Tensors as a user does; no rule may enter, nor what reads texts or trains runs. Each is
loaded when it is first used, so that the networks of single numbers in `scalar.py` load no NumPy.
"""

from autolm.outside.lazy import lazily

_HOMES = {
    "autolm.nn.key_value_cache": "KeyValueCache",
    "autolm.nn.layers": "Block Embedding FeedForward LayerNorm Linear MultiHeadAttention "
    "RMSNorm sinusoidal_positions",
    "autolm.nn.module": "Module",
    "autolm.nn.optimizers": "SGD Adam AdamW Optimizer clip_gradients gradient_norm",
    "autolm.nn.scalar": "MLP",
    "autolm.nn.schedules": "schedule",
}
__getattr__, __dir__ = lazily(globals(), _HOMES)
