"""The operations, a family a file: arithmetic, reductions, shapes, choices, layers (floor 1).

Pure functions of arrays, each with its rule and its record. A Tensor may not enter, nor what must
be known of a graph: what makes a node of a result, and fits its gradients, stands in `tensor`.
"""

from autolm.ops.along_axes import chunk, flip, pad, roll, split
from autolm.ops.arithmetic import (
    abs,
    add,
    astype,
    clip,
    cos,
    div,
    exp,
    gelu,
    log,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    relu,
    sigmoid,
    silu,
    sin,
    sqrt,
    sub,
    tanh,
    where,
)
from autolm.ops.array_operation import ArrayOperation, Case
from autolm.ops.choosing import gather, sort, topk, tril, triu
from autolm.ops.composed import Composed, composed
from autolm.ops.convolution import conv1d
from autolm.ops.einsum import einsum
from autolm.ops.neural import dropout, embedding, layer_norm, masked_fill, matmul, rms_norm
from autolm.ops.primitive import Primitive, primitive
from autolm.ops.probability import attention, cross_entropy, log_softmax, softmax
from autolm.ops.reduce import cumsum, logsumexp, max, mean, min, norm, prod, std, sum, var
from autolm.ops.shape import (
    broadcast_to,
    concatenate,
    flatten,
    getitem,
    reshape,
    squeeze,
    stack,
    swapaxes,
    transpose,
    unsqueeze,
)
from autolm.ops.varied import (
    Axis,
    Ids,
    Index,
    Length,
    Mask,
    NewShape,
    OneOf,
    Order,
    Pattern,
    Varied,
    WiderShape,
)

#: The operations with a rule of their own, in the order of the table that `autolm ops` prints.
PRIMITIVES: tuple[Primitive, ...] = (
    *(add, sub, mul, div, pow, neg, abs, exp, log, sqrt, sin, cos, tanh, sigmoid, relu, gelu),
    *(maximum, minimum, where, clip, astype),
    *(sum, prod, cumsum, mean, var, max, min, norm, logsumexp),
    *(reshape, transpose, swapaxes, broadcast_to, getitem, concatenate, stack),
    *(matmul, einsum, softmax, log_softmax, layer_norm, rms_norm, embedding, masked_fill, dropout),
    *(attention, cross_entropy),
)
#: Those that are composed of them.
COMPOSED: tuple[Composed, ...] = (
    silu,
    *(std, squeeze, unsqueeze, flatten, flip, roll, pad, split, chunk),
    *(gather, sort, topk, tril, triu, conv1d),
)
#: Every operation that autolm has.
OPERATIONS: tuple[ArrayOperation, ...] = (*PRIMITIVES, *COMPOSED)

__all__ = [
    "COMPOSED",
    "OPERATIONS",
    "PRIMITIVES",
    "ArrayOperation",
    "Axis",
    "Case",
    "Composed",
    "Ids",
    "Index",
    "Length",
    "Mask",
    "NewShape",
    "OneOf",
    "Order",
    "Pattern",
    "Primitive",
    "Varied",
    "WiderShape",
    "abs",
    "add",
    "astype",
    "attention",
    "broadcast_to",
    "chunk",
    "clip",
    "composed",
    "concatenate",
    "conv1d",
    "cos",
    "cross_entropy",
    "cumsum",
    "div",
    "dropout",
    "einsum",
    "embedding",
    "exp",
    "flatten",
    "flip",
    "gather",
    "gelu",
    "getitem",
    "layer_norm",
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
    "pad",
    "pow",
    "primitive",
    "prod",
    "relu",
    "reshape",
    "rms_norm",
    "roll",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "sort",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "std",
    "sub",
    "sum",
    "swapaxes",
    "tanh",
    "topk",
    "transpose",
    "tril",
    "triu",
    "unsqueeze",
    "var",
    "where",
]
