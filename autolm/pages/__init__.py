"""The player: a forward and backward pass as one HTML page, which makes no network requests."""

from autolm.pages.player_page import player

__all__ = ["player"]
