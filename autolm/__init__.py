"""autolm: the mathematics of training a language model, to watch, draw and prove."""

from autolm.graph import no_grad, record_sites, scope
from autolm.inspect import Backprop, blame_nonfinite, debug, edit, explain, set_trace
from autolm.ops.compiled import native
from autolm.ops.primitive import primitive
from autolm.replay import Tape
from autolm.tensor import Tensor
from autolm.value import Value

__all__ = [
    "Backprop",
    "Tape",
    "Tensor",
    "Value",
    "blame_nonfinite",
    "debug",
    "edit",
    "explain",
    "native",
    "no_grad",
    "primitive",
    "record_sites",
    "scope",
    "set_trace",
]
