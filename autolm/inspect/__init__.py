"""Look into a computation: walk it, debug it, explain it, find where it went wrong (floor 2)."""

from autolm.inspect.backprop import Backprop
from autolm.inspect.blame import Blame, blame_nonfinite
from autolm.inspect.edit import Edit, edit
from autolm.inspect.explain import Explanation, explain
from autolm.inspect.stop_backward import debug, set_trace

__all__ = [
    "Backprop",
    "Blame",
    "Edit",
    "Explanation",
    "blame_nonfinite",
    "debug",
    "edit",
    "explain",
    "set_trace",
]
