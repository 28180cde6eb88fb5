from autolm.ops.along_axes import chunk as chunk
from autolm.ops.along_axes import flip as flip
from autolm.ops.along_axes import pad as pad
from autolm.ops.along_axes import roll as roll
from autolm.ops.along_axes import split as split
from autolm.ops.arithmetic import abs as abs
from autolm.ops.arithmetic import add as add
from autolm.ops.arithmetic import astype as astype
from autolm.ops.arithmetic import clamp_max as clamp_max
from autolm.ops.arithmetic import clamp_min as clamp_min
from autolm.ops.arithmetic import clip as clip
from autolm.ops.arithmetic import cos as cos
from autolm.ops.arithmetic import div as div
from autolm.ops.arithmetic import erf as erf
from autolm.ops.arithmetic import erfc as erfc
from autolm.ops.arithmetic import exp as exp
from autolm.ops.arithmetic import gelu as gelu
from autolm.ops.arithmetic import leaky_relu as leaky_relu
from autolm.ops.arithmetic import log as log
from autolm.ops.arithmetic import maximum as maximum
from autolm.ops.arithmetic import minimum as minimum
from autolm.ops.arithmetic import mul as mul
from autolm.ops.arithmetic import neg as neg
from autolm.ops.arithmetic import pow as pow
from autolm.ops.arithmetic import relu as relu
from autolm.ops.arithmetic import sigmoid as sigmoid
from autolm.ops.arithmetic import silu as silu
from autolm.ops.arithmetic import sin as sin
from autolm.ops.arithmetic import softplus as softplus
from autolm.ops.arithmetic import sqrt as sqrt
from autolm.ops.arithmetic import sub as sub
from autolm.ops.arithmetic import swiglu as swiglu
from autolm.ops.arithmetic import tanh as tanh
from autolm.ops.arithmetic import where as where
from autolm.ops.array_operation import ArrayOperation as ArrayOperation
from autolm.ops.array_operation import Case as Case
from autolm.ops.attention import attention as attention
from autolm.ops.call_patterns import OneOf as OneOf
from autolm.ops.call_patterns import Pattern as Pattern
from autolm.ops.composed import Composed as Composed
from autolm.ops.composed import composed as composed
from autolm.ops.convolution import conv1d as conv1d
from autolm.ops.einsum import einsum as einsum
from autolm.ops.indexing import gather as gather
from autolm.ops.indexing import ordered as ordered
from autolm.ops.indexing import sort as sort
from autolm.ops.indexing import topk as topk
from autolm.ops.indexing import tril as tril
from autolm.ops.indexing import triu as triu
from autolm.ops.neural import dropout as dropout
from autolm.ops.neural import embedding as embedding
from autolm.ops.neural import layer_norm as layer_norm
from autolm.ops.neural import masked_fill as masked_fill
from autolm.ops.neural import matmul as matmul
from autolm.ops.neural import rms_norm as rms_norm
from autolm.ops.positions import rope as rope
from autolm.ops.primitive import Primitive as Primitive
from autolm.ops.primitive import primitive as primitive
from autolm.ops.probability import cross_entropy as cross_entropy
from autolm.ops.probability import log_softmax as log_softmax
from autolm.ops.probability import softmax as softmax
from autolm.ops.reduce import cumsum as cumsum
from autolm.ops.reduce import logsumexp as logsumexp
from autolm.ops.reduce import max as max
from autolm.ops.reduce import mean as mean
from autolm.ops.reduce import min as min
from autolm.ops.reduce import norm as norm
from autolm.ops.reduce import prod as prod
from autolm.ops.reduce import std as std
from autolm.ops.reduce import sum as sum
from autolm.ops.reduce import var as var
from autolm.ops.shape import broadcast_to as broadcast_to
from autolm.ops.shape import concatenate as concatenate
from autolm.ops.shape import flatten as flatten
from autolm.ops.shape import getitem as getitem
from autolm.ops.shape import reshape as reshape
from autolm.ops.shape import squeeze as squeeze
from autolm.ops.shape import stack as stack
from autolm.ops.shape import swapaxes as swapaxes
from autolm.ops.shape import transpose as transpose
from autolm.ops.shape import unsqueeze as unsqueeze
from types import ModuleType as ModuleType

FAMILIES: tuple[ModuleType, ...]
PRIMITIVES: tuple[Primitive, ...]
COMPOSED: tuple[Composed, ...]
OPERATIONS: tuple[ArrayOperation, ...]
erfinv: Primitive

__all__ = [
    "abs",
    "add",
    "astype",
    "attention",
    "broadcast_to",
    "chunk",
    "clamp_max",
    "clamp_min",
    "clip",
    "concatenate",
    "conv1d",
    "cos",
    "cross_entropy",
    "cumsum",
    "div",
    "dropout",
    "einsum",
    "embedding",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "flatten",
    "flip",
    "gather",
    "gelu",
    "getitem",
    "layer_norm",
    "leaky_relu",
    "log",
    "log_softmax",
    "logsumexp",
    "masked_fill",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mul",
    "neg",
    "norm",
    "ordered",
    "pad",
    "pow",
    "prod",
    "relu",
    "reshape",
    "rms_norm",
    "roll",
    "rope",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "sort",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "std",
    "sub",
    "sum",
    "swapaxes",
    "swiglu",
    "tanh",
    "topk",
    "transpose",
    "tril",
    "triu",
    "unsqueeze",
    "var",
    "where",
]
