"""The operations, by family: arithmetic, reduce, shape, neural, probability, attending (floor 1).

Pure functions of arrays, each with its rule and its record. A Tensor may not enter, nor what must
be known of a graph: what makes a node of a result, and fits its gradients, stands in `tensor`.
"""

from autolm.ops.arithmetic import (
    abs,
    add,
    clip,
    cos,
    div,
    erf,
    exp,
    gelu,
    leaky_relu,
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
    softplus,
    sqrt,
    sub,
    swiglu,
    tanh,
    where,
)
from autolm.ops.array_operation import ArrayOperation, Case
from autolm.ops.attending import attention
from autolm.ops.composed import Composed, composed
from autolm.ops.neural import dropout, embedding, layer_norm, masked_fill, matmul, rms_norm
from autolm.ops.positions import rope
from autolm.ops.primitive import Primitive, primitive
from autolm.ops.probability import cross_entropy, log_softmax, softmax
from autolm.ops.reduce import logsumexp, max, mean, min, sum, var
from autolm.ops.shape import (
    broadcast_to,
    concatenate,
    getitem,
    reshape,
    stack,
    swapaxes,
    transpose,
)
from autolm.ops.varied import (
    Axis,
    Floats,
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
    *(softplus, leaky_relu, erf),
    *(maximum, minimum, where, clip),
    *(sum, mean, var, max, min, logsumexp),
    *(reshape, transpose, swapaxes, broadcast_to, getitem, concatenate, stack),
    *(matmul, softmax, log_softmax, layer_norm, rms_norm, embedding, masked_fill, dropout),
    *(attention, cross_entropy),
)
#: Those that are composed of them.
COMPOSED: tuple[Composed, ...] = (silu, swiglu, rope)
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
    "Floats",
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
    "attention",
    "broadcast_to",
    "clip",
    "composed",
    "concatenate",
    "cos",
    "cross_entropy",
    "div",
    "dropout",
    "embedding",
    "erf",
    "exp",
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
    "pow",
    "primitive",
    "relu",
    "reshape",
    "rms_norm",
    "rope",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "sqrt",
    "stack",
    "sub",
    "sum",
    "swapaxes",
    "swiglu",
    "tanh",
    "transpose",
    "var",
    "where",
]
