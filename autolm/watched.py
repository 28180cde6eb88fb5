"""What the engine leaves for those who watch it: an order, a memory of one root, and a way in.

Each costs it next to nothing: a number for each result, and for each backward pass two looks at a
context variable, so that each thread is watched by itself.
"""

from collections.abc import Callable
from contextvars import ContextVar
from itertools import count
from typing import Any

#: Counts results, so that they can be put in the order in which they were made.
next_made = count().__next__

#: What `backward()` runs in place of the engine's own pass: a debugger's, that stops.
backward_pass: ContextVar[Callable[..., Any] | None] = ContextVar("autolm_pass", default=None)

_latest_root: ContextVar[Callable[[], Any]] = ContextVar("autolm_root", default=lambda: None)


#: Notes the root of a backward pass that is done, by a weak reference.
remember_root = _latest_root.set


def latest_root() -> Any:
    """Return the root of the latest backward pass; None if there was none, or it is gone."""
    return _latest_root.get()()
