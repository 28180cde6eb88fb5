"""Look into a computation: pictures of it, and where numbers went wrong (floor 2)."""

from autolm.inspect.blame import Blame, blame_nonfinite
from autolm.inspect.draw import Drawing, draw, render
from autolm.inspect.player import player

__all__ = ["Blame", "Drawing", "blame_nonfinite", "draw", "player", "render"]
