"""Call hooks and user-defined `backward` functions once in a pass that is walked.

A walk computes each step, and PyTorch's own backward computes it again at the end. What a hook
prints, counts or draws must not happen twice. So during a walk each hook is replaced, where PyTorch
looks it up, by a `ReplayedHook`: it calls the original once for each distinct gradient, and later
returns the stored result. It also restores the random state that the original left behind, so the
program draws the same random numbers as in a run without a walk.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from autolm.torch.random_state import State, random_state, set_random_state
from autolm.torch.recording_pause import is_recording_paused
from autolm.torch.tensor_adapter import TensorAdapter


class HookReplays:
    """The replaced hooks of one walk.

    Attributes
    ----------
    state
        The random state for the next original that is called; None before the first.
    """

    def __init__(self) -> None:
        self._replaced: list[tuple[MutableMapping[Any, Any], Any, Any]] = []
        self.state: State | None = None

    def replace(self, table: MutableMapping[Any, Any], key: Any, function: Any) -> Any:
        """Replace a function in the table where PyTorch looks it up, and return the replacement."""
        present = table.get(key)
        if isinstance(present, ReplayedHook):
            return present
        self._replaced.append((table, key, present))  # None: the function belongs to the class
        table[key] = ReplayedHook(function, self)
        return table[key]

    def restore(self) -> None:
        """Put the originals back."""
        while self._replaced:
            table, key, original = self._replaced.pop()
            if not isinstance(table.get(key), ReplayedHook):
                continue  # the program removed the hook in the meantime
            if original is None:
                del table[key]
            else:
                table[key] = original


class ReplayedHook:
    """A function of gradients that is called once for each distinct set of arguments."""

    def __init__(self, original: Callable[..., Any], replays: HookReplays) -> None:
        self.original, self._replays = original, replays
        self._runs: list[tuple[list[Any], Any, State]] = []  # arguments, result, random state after

    def __call__(self, *args: Any) -> Any:
        """Return the stored result for these arguments, or call the original."""
        leaves = tree_leaves(args)
        for earlier_leaves, result, state in self._runs:
            if len(earlier_leaves) == len(leaves) and all(map(_is_same, earlier_leaves, leaves)):
                if not is_recording_paused():
                    set_random_state(state)
                return result
        copies = [leaf.clone() if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        if is_recording_paused() and self._replays.state is not None:
            set_random_state(self._replays.state)
        result = self.original(*args)
        self._replays.state = random_state()
        self._runs.append((copies, result, self._replays.state))
        return result


def _is_same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return TensorAdapter(a).equals(b)
    return a is b


_current: list[HookReplays] = []


def begin_replay() -> None:
    """Call each hook once from now on, until `end_replay`."""
    _current.append(HookReplays())


def end_replay() -> None:
    """Restore the hooks that were replaced since the latest `begin_replay`."""
    if _current:
        _current.pop().restore()


def replayed(table: MutableMapping[Any, Any], key: Any, function: Any) -> Any:
    """Return the replacement of a function during a walk, else the function itself."""
    return _current[-1].replace(table, key, function) if _current else function
