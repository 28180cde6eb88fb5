"""The `autolm` command, one file a command: each parses, joins rooms, and prints (top floor).

What computes does not enter. And nothing heavy is imported before a command runs, so that
`autolm --help` comes at once.
"""

from autolm.cli.command import main

__all__ = ["main"]
