"""What autolm does not see of a program, said in one line each, and never raised into the program.

A program that is watched must run as it does by itself. So an error of autolm's own while it
records is a line on standard error, and the call is left out of the record. With AUTOLM_STRICT=1
such an error is raised: that is for autolm's own tests.
"""

from __future__ import annotations

import os
import sys

import torch

from autolm.engine.site import Sites, calling_site
from autolm.outside.language import say
from autolm.outside.terminal import in_a_line, print_safely, words_of

COMPILED = "torch.compile: while autolm records, the model runs as it is written, uncompiled"
TRANSFORMED = (
    "torch.func: what runs inside grad, vmap and the like is not recorded; the steps of its "
    "result have shapes and no numbers"
)
TRACED = (
    "torch.jit: what runs while a model is traced is not recorded; the steps of a traced or "
    "scripted model have shapes and no numbers"
)
MULTI_GRAD = (
    "register_multi_grad_hook: these hooks are not called in a walk; PyTorch calls them when the "
    "pass is done"
)

_said: list[str] = []
_unwalked: list[str] = []  # backward passes that were only named, and not walked


def notice(message: str) -> None:
    """Print a line for the user, unless it was printed before in this recording."""
    if message not in _said:
        _said.append(message)
        print_safely(f"autolm: {say(message)}", sys.stderr)


def forget_notices() -> None:
    """Let every line be printed again: a recording begins."""
    _said.clear()
    _unwalked.clear()


def not_walked(what: str, why: str) -> None:
    """Name a backward pass of the program that was run plainly, and say why."""
    notice(f"not walked: {what}; {why}")
    _unwalked.append(what)


def started(what: str) -> None:
    """Note something that may have done a backward pass where autolm does not look."""
    _unwalked.append(what)


def passes_not_walked() -> list[str]:
    """List the passes of the program that were only named, in this recording."""
    return list(dict.fromkeys(_unwalked))


def not_recorded(name: str, error: Exception) -> None:
    """Say that a call is left out of the record because of an error of autolm's own.

    Raises
    ------
    Exception
        The error itself, where AUTOLM_STRICT is 1.
    """
    if os.getenv("AUTOLM_STRICT") == "1":
        raise error
    told = in_a_line(f"{type(error).__name__}: {words_of(error)}")
    notice(
        f"{name} at {place_of_program()} is not recorded, by an error of autolm ({told}); "
        "the program goes on"
    )


def place_of_program() -> str:
    """Return FILE:LINE of the program's running call."""
    return str(calling_site(Sites()))


def is_unwatchable() -> bool:
    """Whether what runs now cannot be recorded: tensors stand for others; say so once."""
    if torch._C._functorch.peek_interpreter_stack() is not None:
        notice(TRANSFORMED)
        return True
    if torch._C._get_tracing_state() is not None:
        notice(TRACED)
        return True
    return False
