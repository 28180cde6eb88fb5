"""Notices on standard error about calls and passes that autolm does not record.

Recording must not change how a program runs. An error in the recorder is therefore printed in one
line, and the call is left out of the graph. AUTOLM_STRICT=1 raises such an error instead; autolm's
own tests set it.
"""

from __future__ import annotations

import os
import sys

import torch

from autolm.engine.location import Locations, calling_location
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

_printed: list[str] = []
_unwalked: list[str] = []  # backward passes that ran without being walked


def notice(message: str) -> None:
    """Print a message, once per recording."""
    if message not in _printed:
        _printed.append(message)
        print_safely(f"autolm: {say(message)}", sys.stderr)


def reset_notices() -> None:
    """Forget the notices of the previous recording."""
    _printed.clear()
    _unwalked.clear()


def report_unwalked(backward_pass: str, reason: str) -> None:
    """Report a backward pass that ran without being walked, with the reason."""
    notice(f"not walked: {backward_pass}; {reason}")
    _unwalked.append(backward_pass)


def note_possible_pass(event: str) -> None:
    """Note an event, such as a new process, that may have run a backward pass unseen."""
    _unwalked.append(event)


def passes_not_walked() -> list[str]:
    """List the passes of this recording that were not walked."""
    return list(dict.fromkeys(_unwalked))


def report_unrecorded(name: str, error: Exception) -> None:
    """Report a call that is left out of the graph because the recorder failed.

    Raises
    ------
    Exception
        The error itself, if AUTOLM_STRICT is 1.
    """
    if os.getenv("AUTOLM_STRICT") == "1":
        raise error
    details = in_a_line(f"{type(error).__name__}: {words_of(error)}")
    notice(
        f"{name} at {program_location()} is not recorded, by an error of autolm ({details}); "
        "the program goes on"
    )


def program_location() -> str:
    """Return FILE:LINE of the user's call that is running."""
    return str(calling_location(Locations()))


def is_unrecordable() -> bool:
    """Whether torch.func or torch.jit is tracing, which cannot be recorded; print a notice once."""
    if torch._C._functorch.peek_interpreter_stack() is not None:
        notice(TRANSFORMED)
        return True
    if torch._C._get_tracing_state() is not None:
        notice(TRACED)
        return True
    return False
