"""Look into a computation: walk it, draw it, explain it, find where it went wrong (floor 2)."""

from autolm.inspect.backprop import Backprop
from autolm.inspect.blame import Blame, blame_nonfinite
from autolm.inspect.draw import Drawing, draw, render
from autolm.inspect.edit import Edit, edit
from autolm.inspect.explain import Explanation, explain
from autolm.inspect.player import player
from autolm.inspect.stop_backward import debug, set_trace

__all__ = [
    "Backprop",
    "Blame",
    "Drawing",
    "Edit",
    "Explanation",
    "blame_nonfinite",
    "debug",
    "draw",
    "edit",
    "explain",
    "player",
    "render",
    "set_trace",
]
