"""The function that a debugger puts in place of `backward`."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from typing import Any

Backward = Callable[[Any, Any, bool | None], None]

# None if no debugger is attached; unset until one is, or is explicitly not.
backward_pass: ContextVar[Backward | None] = ContextVar("autolm_backward_pass")


def watching_pass() -> Backward | None:
    """Return the function that replaces `backward`, or None if no debugger is attached."""
    try:
        return backward_pass.get()
    except LookupError:
        return _debugger_of_environment()


@cache
def _debugger_of_environment() -> Backward | None:
    """Read AUTOLM_DAP (an editor) and AUTOLM_DEBUG (the prompt) at the first pass."""
    if os.getenv("AUTOLM_DAP"):
        from autolm.debugger.dap import attached_program

        return attached_program.stopped_backward
    if os.getenv("AUTOLM_DEBUG") == "1":
        from autolm.debugger import stop_backward

        return stop_backward.stopped_backward
    return None
