"""Modules, layers, optimizers and schedules: the parts of a model (layer 3).

They use the public operations of Tensors and define no backward rules. Each name is loaded when it
is first used, so that the networks of Values in `scalar.py` load no NumPy.
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
