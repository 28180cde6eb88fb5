"""The prompt: backprop in the language of pdb, and in gdb's backwards (floor 5).

A face of `walking`, by its public names: what moves stands there, what is read and printed here.
"""

from autolm.debugger.stop_backward import debug, set_trace

__all__ = ["debug", "set_trace"]
