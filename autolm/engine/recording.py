"""How new nodes are recorded: with parents or as constants, in which scope, and from which line.

`no_grad`, `scope` and `record_locations` change this for a block or for a function. The state is a
context variable, so every thread has its own.
"""

from __future__ import annotations

import os
import sys
from collections import namedtuple
from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar
from types import FrameType
from typing import Any, TypeVar, overload

from autolm.engine.location import RUNS_LATER, Entered, Locations, calling_location

Function = TypeVar("Function", bound=Callable[..., Any])

# Where a node was created. Nodes of one place share their note, so a note is never changed.
Note = namedtuple("Note", "scope name location entered", defaults=("", "", None, ()))
NO_NOTE = Note()


class Recording:
    """The state of recording.

    Attributes
    ----------
    enabled
        Whether results get parents; False inside `no_grad`.
    scope, entered
        The path of the current scope, and the scopes around this point of the program.
    locations
        The locations recorded so far, which nodes share; None where no locations are recorded.
    constants
        Whether results that need no gradient get parents, too.
    """

    __slots__ = ("constants", "enabled", "entered", "locations", "note", "scope")

    def __init__(
        self,
        enabled: bool = True,
        scope: str = "",
        locations: Locations | None = None,
        entered: tuple[Entered, ...] = (),
        constants: bool = False,
    ) -> None:
        self.enabled, self.scope, self.entered, self.locations = enabled, scope, entered, locations
        self.constants = constants
        self.note = Note(scope, "", None, entered) if scope else None

    def note_here(self, frame: FrameType | None = None) -> Note | None:
        """Return the note of a node that is created here, or by the call of a frame."""
        if self.locations is None:
            return self.note
        location = calling_location(self.locations, self.entered, frame)
        note: Note | None = location.note
        if note is None or note.scope != self.scope:
            note = location.note = Note(self.scope, "", location, self.entered)
        return note


class _Unread(Recording):
    """The state before the first node, which reads the environment variables."""

    __slots__ = ()

    def note_here(self, frame: FrameType | None = None) -> Note | None:
        """Read the environment, and return the note of the first node."""
        return read_environment().note_here(frame)


_UNREAD = _Unread()
# None is the usual state: results get parents, and nodes get no note.
recorder: ContextVar[Recording | None] = ContextVar("autolm_recording", default=_UNREAD)
current_recording = recorder.get


def read_environment() -> Recording:
    """Record locations if AUTOLM_LOCATIONS=1 is set, or a variable that starts a debugger."""
    wanted = "1" in (os.getenv("AUTOLM_LOCATIONS"), os.getenv("AUTOLM_DEBUG"))
    state = Recording(locations=Locations() if wanted or os.getenv("AUTOLM_DAP") else None)
    recorder.set(None if state.locations is None else state)
    return state


def recording_here() -> Recording:
    """Return the current state."""
    state = current_recording()
    return read_environment() if state is _UNREAD else state or Recording()


def note_here(frame: FrameType | None = None) -> Note | None:
    """Return the note of a node that is created now, or by the call of a frame."""
    state = current_recording()
    return None if state is None else state.note_here(frame)


def is_recording() -> bool:
    """Whether results get parents: False inside `no_grad`."""
    state = current_recording()
    return state is None or state.enabled


class _Decorator(ContextDecorator):
    """A `with` block that also decorates functions, except generators and coroutines."""

    def __call__(self, function: Function) -> Function:
        kind = type(self).__name__
        if not callable(function):
            raise TypeError(f"{kind} can only decorate a function, not {function!r}")
        code = getattr(function, "__code__", None)
        if code is not None and code.co_flags & RUNS_LATER:
            raise TypeError(
                f"{kind} cannot decorate {function.__name__}, which runs after it is called: "
                "write a `with` block in it, without a yield or await inside the block"
            )
        return super().__call__(function)


class recording(_Decorator):
    """Change the state of recording for a `with` block or a decorated function."""

    def __init__(
        self,
        *,
        enabled: bool | None = None,
        scope: str | None = None,
        locations: bool | None = None,
        constants: bool | None = None,
    ) -> None:
        self._enabled, self._scope = enabled, scope
        self._locations, self._constants = locations, constants

    def _recreate_cm(self) -> recording:
        return recording(
            enabled=self._enabled,
            scope=self._scope,
            locations=self._locations,
            constants=self._constants,
        )

    def __enter__(self) -> None:
        now = recording_here()
        locations = now.locations
        if self._locations is not None:
            locations = (locations or Locations(sys._getframe(1))) if self._locations else None
        state = Recording(
            now.enabled if self._enabled is None else self._enabled,
            now.scope if self._scope is None else self._scope,
            locations,
            now.entered if self._scope is None else (),
            now.constants if self._constants is None else self._constants,
        )
        self._token = recorder.set(state)

    def __exit__(self, *_: object) -> None:
        recorder.reset(self._token)


@overload
def no_grad() -> recording: ...
@overload
def no_grad(function: Function, /) -> Function: ...
def no_grad(function: Any = None, /) -> Any:
    """Record nothing in a block or a function: its results are constants without parents.

    ``with no_grad():`` or, on top of a function, ``@no_grad()`` or ``@no_grad``.

    >>> from autolm import Value
    >>> x = Value(3.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y.data, y.parents
    (9.0, ())
    """
    block = recording(enabled=False)
    return block if function is None else block(function)


@overload
def record_locations() -> recording: ...
@overload
def record_locations(function: Function, /) -> Function: ...
def record_locations(function: Any = None, /) -> Any:
    """Record the line of the program that creates each node, in a block or a function.

    Write ``with record_locations():`` around a block, or ``@record_locations`` above a function.
    """
    block = recording(locations=True)
    return block if function is None else block(function)


class scope(_Decorator):
    """Name the part of a model that a block computes: `with scope("attention"):`. Scopes nest."""

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"scope: name must be a str, not {type(name).__name__}")
        self._name = name

    def _recreate_cm(self) -> scope:
        return scope(self._name)  # one per call, so that a decorated function may call itself

    def __enter__(self) -> None:
        now = recording_here()
        path = f"{now.scope}.{self._name}" if now.scope and self._name else now.scope or self._name
        entered = now.entered
        if now.locations is not None and self._name:
            entered = now.locations.entering(
                entered, path, calling_location(now.locations, entered)
            )
        self._token = recorder.set(
            Recording(now.enabled, path, now.locations, entered, now.constants)
        )

    def __exit__(self, *_: object) -> None:
        recorder.reset(self._token)
