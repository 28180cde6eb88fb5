"""Look into a computation: walk it, draw it, explain it, find where it went wrong (floor 2)."""

from autolm.walking.walk import Backprop
from autolm.walking.blame import Blame, blame_nonfinite
from autolm.drawing.drawing import Drawing, draw, render
from autolm.walking.what_if import Edit, edit
from autolm.walking.explanation import Explanation, explain
from autolm.pages.player_page import player
from autolm.debugger.stop_backward import debug, set_trace

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
