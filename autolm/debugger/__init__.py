"""The debugger: a prompt with the commands of pdb, and of gdb for going back.

`walking` moves through a pass; this package reads commands and prints.
"""

from autolm.debugger.stop_backward import debug, set_trace

__all__ = ["debug", "set_trace"]
