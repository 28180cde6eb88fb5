from autolm import lm as lm
from autolm import nn as nn
from autolm import ops as ops
from autolm import testing as testing
from autolm import torch as torch
from autolm.compiled.recorded_step import recorded as recorded
from autolm.compiled.tape import Tape as Tape
from autolm.debugger.notebook import load_ipython_extension as load_ipython_extension
from autolm.debugger.stop_backward import debug as debug
from autolm.debugger.stop_backward import post_mortem as post_mortem
from autolm.debugger.stop_backward import set_trace as set_trace
from autolm.drawing.drawing import Drawing as Drawing
from autolm.drawing.drawing import draw as draw
from autolm.drawing.drawing import render as render
from autolm.engine.graph import Node as Node
from autolm.engine.graph import topological_order as topological_order
from autolm.engine.recording import no_grad as no_grad
from autolm.engine.recording import record_locations as record_locations
from autolm.engine.recording import scope as scope
from autolm.engine.value import Value as Value
from autolm.lm.config import TrainingConfig as TrainingConfig
from autolm.lm.corpora import toy_language_corpus as toy_language_corpus
from autolm.lm.sampling import stream_text as stream_text
from autolm.lm.tinylm import TinyLM as TinyLM
from autolm.lm.tokenizers import BPETokenizer as BPETokenizer
from autolm.lm.tokenizers import CharacterTokenizer as CharacterTokenizer
from autolm.lm.training import Training as Training
from autolm.lm.training import train_tokenizer as train_tokenizer
from autolm.nn import Adam as Adam
from autolm.nn import AdamW as AdamW
from autolm.nn import Module as Module
from autolm.nn import SGD as SGD
from autolm.ops import add as add
from autolm.ops import astype as astype
from autolm.ops import attention as attention
from autolm.ops import broadcast_to as broadcast_to
from autolm.ops import chunk as chunk
from autolm.ops import clamp_max as clamp_max
from autolm.ops import clamp_min as clamp_min
from autolm.ops import clip as clip
from autolm.ops import concatenate as concatenate
from autolm.ops import conv1d as conv1d
from autolm.ops import cos as cos
from autolm.ops import cross_entropy as cross_entropy
from autolm.ops import cumsum as cumsum
from autolm.ops import div as div
from autolm.ops import dropout as dropout
from autolm.ops import einsum as einsum
from autolm.ops import embedding as embedding
from autolm.ops import erf as erf
from autolm.ops import erfc as erfc
from autolm.ops import erfinv as erfinv
from autolm.ops import exp as exp
from autolm.ops import flatten as flatten
from autolm.ops import flip as flip
from autolm.ops import gather as gather
from autolm.ops import gelu as gelu
from autolm.ops import getitem as getitem
from autolm.ops import layer_norm as layer_norm
from autolm.ops import leaky_relu as leaky_relu
from autolm.ops import log as log
from autolm.ops import log_softmax as log_softmax
from autolm.ops import logsumexp as logsumexp
from autolm.ops import masked_fill as masked_fill
from autolm.ops import matmul as matmul
from autolm.ops import maximum as maximum
from autolm.ops import mean as mean
from autolm.ops import minimum as minimum
from autolm.ops import mul as mul
from autolm.ops import neg as neg
from autolm.ops import norm as norm
from autolm.ops import ordered as ordered
from autolm.ops import pad as pad
from autolm.ops import prod as prod
from autolm.ops import relu as relu
from autolm.ops import reshape as reshape
from autolm.ops import rms_norm as rms_norm
from autolm.ops import roll as roll
from autolm.ops import rope as rope
from autolm.ops import sigmoid as sigmoid
from autolm.ops import silu as silu
from autolm.ops import sin as sin
from autolm.ops import softmax as softmax
from autolm.ops import softplus as softplus
from autolm.ops import sort as sort
from autolm.ops import split as split
from autolm.ops import sqrt as sqrt
from autolm.ops import squeeze as squeeze
from autolm.ops import stack as stack
from autolm.ops import std as std
from autolm.ops import sub as sub
from autolm.ops import swapaxes as swapaxes
from autolm.ops import swiglu as swiglu
from autolm.ops import tanh as tanh
from autolm.ops import topk as topk
from autolm.ops import transpose as transpose
from autolm.ops import tril as tril
from autolm.ops import triu as triu
from autolm.ops import unsqueeze as unsqueeze
from autolm.ops import var as var
from autolm.ops import where as where
from autolm.ops.primitive import primitive as primitive
from autolm.pages.player_page import player as player
from autolm.tensor.tensor import Tensor as Tensor
from autolm.testing.gradient_checks import assert_gradients as assert_gradients
from autolm.testing.gradient_checks import check_gradient as check_gradient
from autolm.testing.gradient_checks import check_graph as check_graph
from autolm.testing.operation_checks import check_op as check_op
from autolm.walking.blame import blame_nonfinite as blame_nonfinite
from autolm.walking.decomposition import open as open
from autolm.walking.explanation import explain as explain
from autolm.walking.walk import Walk as Walk
from autolm.walking.what_if import edit as edit

__version__: str

__all__ = [
    "Adam",
    "AdamW",
    "BPETokenizer",
    "CharacterTokenizer",
    "Drawing",
    "Module",
    "Node",
    "SGD",
    "Tape",
    "Tensor",
    "TinyLM",
    "Training",
    "TrainingConfig",
    "Value",
    "Walk",
    "add",
    "assert_gradients",
    "astype",
    "attention",
    "blame_nonfinite",
    "broadcast_to",
    "check_gradient",
    "check_graph",
    "check_op",
    "chunk",
    "clamp_max",
    "clamp_min",
    "clip",
    "concatenate",
    "conv1d",
    "cos",
    "cross_entropy",
    "cumsum",
    "debug",
    "div",
    "draw",
    "dropout",
    "edit",
    "einsum",
    "embedding",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "explain",
    "flatten",
    "flip",
    "gather",
    "gelu",
    "getitem",
    "layer_norm",
    "leaky_relu",
    "load_ipython_extension",
    "log",
    "log_softmax",
    "logsumexp",
    "masked_fill",
    "matmul",
    "maximum",
    "mean",
    "minimum",
    "mul",
    "neg",
    "no_grad",
    "norm",
    "ordered",
    "pad",
    "player",
    "post_mortem",
    "primitive",
    "prod",
    "record_locations",
    "recorded",
    "relu",
    "render",
    "reshape",
    "rms_norm",
    "roll",
    "rope",
    "scope",
    "set_trace",
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
    "stream_text",
    "sub",
    "swapaxes",
    "swiglu",
    "tanh",
    "topk",
    "topological_order",
    "toy_language_corpus",
    "train_tokenizer",
    "transpose",
    "tril",
    "triu",
    "unsqueeze",
    "var",
    "where",
]
