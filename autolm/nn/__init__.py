"""Modules, layers, optimizers and schedules: the parts that a model is built of (floor 3).

They use Tensors as a user does; no rule may enter, nor what reads texts or trains runs. Each is
loaded when it is first used, so that the networks of single numbers in `scalar.py` load no NumPy.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names, for type checkers and editors
    from autolm.nn.key_value_cache import KeyValueCache as KeyValueCache
    from autolm.nn.layers import Block as Block
    from autolm.nn.layers import Embedding as Embedding
    from autolm.nn.layers import FeedForward as FeedForward
    from autolm.nn.layers import LayerNorm as LayerNorm
    from autolm.nn.layers import Linear as Linear
    from autolm.nn.layers import MultiHeadAttention as MultiHeadAttention
    from autolm.nn.layers import RMSNorm as RMSNorm
    from autolm.nn.layers import sinusoidal_positions as sinusoidal_positions
    from autolm.nn.module import Module as Module
    from autolm.nn.optimizers import SGD as SGD
    from autolm.nn.optimizers import Adam as Adam
    from autolm.nn.optimizers import AdamW as AdamW
    from autolm.nn.optimizers import Optimizer as Optimizer
    from autolm.nn.optimizers import clip_gradients as clip_gradients
    from autolm.nn.optimizers import gradient_norm as gradient_norm
    from autolm.nn.schedules import schedule as schedule
else:
    from autolm.engine.lazy import lazily

    __getattr__, __dir__, __all__ = lazily(
        globals(),
        {
            "autolm.nn.key_value_cache": "KeyValueCache",
            "autolm.nn.layers": "Block Embedding FeedForward LayerNorm Linear MultiHeadAttention "
            "RMSNorm sinusoidal_positions",
            "autolm.nn.module": "Module",
            "autolm.nn.optimizers": "SGD Adam AdamW Optimizer clip_gradients gradient_norm",
            "autolm.nn.schedules": "schedule",
        },
    )
