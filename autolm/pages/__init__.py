"""The player: a pass through a graph as one HTML page (floor 5).

A face of `walking` and `drawing`, by their public names. The page fetches nothing.
"""

from autolm.pages.player_page import player

__all__ = ["player"]
