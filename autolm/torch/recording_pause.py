"""Pause the recording while autolm itself calls PyTorch.

Calls that autolm makes must not appear in the graph, and must not advance the random number
generators of the program.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

import torch

from autolm.torch.random_state import random_state, set_random_state

_paused: ContextVar[bool] = ContextVar("autolm_torch_recording_paused", default=False)
is_recording_paused = _paused.get


def begin_pause() -> Token[bool]:
    """Pause the recording until `end_pause`: faster than `recording_paused`, for every call."""
    return _paused.set(True)


end_pause = _paused.reset


@contextmanager
def recording_paused() -> Iterator[None]:
    """Do not record PyTorch calls in this block."""
    token = _paused.set(True)
    try:
        yield
    finally:
        _paused.reset(token)


@contextmanager
def recording_resumed() -> Iterator[None]:
    """Record PyTorch calls in this block, even inside `recording_paused`."""
    token = _paused.set(False)
    try:
        yield
    finally:
        _paused.reset(token)


@contextmanager
def isolated() -> Iterator[None]:
    """Compute in this block without a graph or a recording, and restore the random state."""
    state = random_state()
    try:
        with recording_paused(), torch.no_grad():
            yield
    finally:
        set_random_state(state)
