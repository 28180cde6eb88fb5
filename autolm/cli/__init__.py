"""The `autolm` command, with one file per command: parsing, calls to other packages, printing.

Commands import heavy libraries when they run, so that `autolm --help` answers immediately.
"""

from autolm.cli.command import main

__all__ = ["main"]
