"""Modules, layers, optimizers and schedules: the parts that a model is built of (floor 2)."""

from autolm.nn.key_value_cache import KeyValueCache
from autolm.nn.layers import (
    Block,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    RMSNorm,
    sinusoidal_positions,
)
from autolm.nn.module import Module
from autolm.nn.optimizers import SGD, Adam, AdamW, Optimizer, clip_gradients, gradient_norm
from autolm.nn.schedules import schedule

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Block",
    "FeedForward",
    "KeyValueCache",
    "LayerNorm",
    "Module",
    "MultiHeadAttention",
    "Optimizer",
    "RMSNorm",
    "clip_gradients",
    "gradient_norm",
    "schedule",
    "sinusoidal_positions",
]
