"""What holds while we ask PyTorch something that the program did not: it leaves no trace.

Nothing is recorded, no graph is made of it, and the random numbers go on as if nobody had asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

import torch

from autolm.torch.random_state import random_state, set_random_state

_asked: ContextVar[bool] = ContextVar("autolm_torch_asked", default=False)
is_asked = _asked.get  # whether what PyTorch does just now is on our behalf


def begin_unseen() -> Token[bool]:
    """Begin what `unseen` does in a block; faster, for each call that is recorded."""
    return _asked.set(True)


end_unseen = _asked.reset


@contextmanager
def unseen() -> Iterator[None]:
    """Let what PyTorch does in this block not be recorded."""
    token = _asked.set(True)
    try:
        yield
    finally:
        _asked.reset(token)


@contextmanager
def seen() -> Iterator[None]:
    """Let what PyTorch does in this block be recorded, whoever asked."""
    token = _asked.set(False)
    try:
        yield
    finally:
        _asked.reset(token)


@contextmanager
def asking() -> Iterator[None]:
    """Compute in this block without a graph, a record, or a change of random numbers."""
    state = random_state()
    try:
        with unseen(), torch.no_grad():
            yield
    finally:
        set_random_state(state)
