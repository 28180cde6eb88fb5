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
from autolm.nn.optimizers import Adam as Adam
from autolm.nn.optimizers import AdamW as AdamW
from autolm.nn.optimizers import Optimizer as Optimizer
from autolm.nn.optimizers import SGD as SGD
from autolm.nn.optimizers import clip_gradients as clip_gradients
from autolm.nn.optimizers import gradient_norm as gradient_norm
from autolm.nn.scalar import MLP as MLP
from autolm.nn.schedules import schedule as schedule

__all__ = [
    "Adam",
    "AdamW",
    "Block",
    "Embedding",
    "FeedForward",
    "KeyValueCache",
    "LayerNorm",
    "Linear",
    "MLP",
    "Module",
    "MultiHeadAttention",
    "Optimizer",
    "RMSNorm",
    "SGD",
    "clip_gradients",
    "gradient_norm",
    "schedule",
    "sinusoidal_positions",
]
