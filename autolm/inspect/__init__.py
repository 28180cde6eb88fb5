"""Look into a computation: where numbers went wrong, and (to come) steps and pictures (floor 2)."""

from autolm.inspect.blame import Blame, blame_nonfinite

__all__ = ["Blame", "blame_nonfinite"]
