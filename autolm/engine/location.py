"""The location of a node: the calls of the program that created it, with their lines and columns.

Every node may have one, so recording must be cheap: a location keeps the code objects of the calls
and the positions of their instructions. Paths, lines and columns are computed when they are read.
"""

from __future__ import annotations

import contextlib
import sys
from collections import namedtuple
from functools import cached_property
from itertools import islice
from os.path import dirname, join
from types import CodeType, FrameType
from typing import Any

# One call of a location, and the scope around it. Columns count UTF-8 bytes from 0, as in `ast`.
Frame = namedtuple("Frame", "path line end_line column end_column function scope")
# A scope around a node: its path, the location that entered it, and the number of calls there.
Entered = namedtuple("Entered", "scope location depth")

# CO_GENERATOR, CO_COROUTINE and CO_ASYNC_GENERATOR of `inspect`, which is slow to import.
RUNS_LATER = 0x20 | 0x80 | 0x200

_HOME = dirname(dirname(__file__))
_ENGINE = (join(_HOME, "engine", ""), contextlib.__file__)
# Packages that create nodes on behalf of a program. Layers and models count as programs.
_MACHINERY = (
    *("ops", "tensor", "testing", "compiled", "outside", "walking"),
    *("drawing", "debugger", "pages", "torch"),
)
_machinery = (
    *_ENGINE,
    *(join(_HOME, package, "") for package in _MACHINERY),
    join(_HOME, "nn", "module.py"),
)


def is_machinery(path: str) -> bool:
    """Whether a file belongs to autolm's or another library's internals, not to a program."""
    return path.startswith(_machinery)


def add_machinery(*paths: str) -> None:
    """Count these folders and files as internals of a library too."""
    global _machinery
    _machinery = (*_machinery, *(path for path in paths if path not in _machinery))


class Location:
    """The calls that created a node, innermost first; `str` gives file:line of the program.

    Outer calls that many locations share are those of another location, the `base`.
    """

    __slots__ = ("__dict__", "_base", "_calls", "_entered", "note")

    def __init__(
        self,
        calls: tuple[tuple[CodeType, int], ...],
        entered: tuple[Entered, ...],
        base: Location | None = None,
    ) -> None:
        self._calls, self._entered, self._base = calls, entered, base
        self.note: Any = None  # shared by the nodes created here

    def _all_calls(self) -> tuple[tuple[CodeType, int], ...]:
        calls, base = self._calls, self._base
        while base is not None:
            calls, base = calls + base._calls, base._base
        return calls

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        """Every call outside the engine, innermost first."""
        frames, calls = [], self._all_calls()
        for depth, (code, last) in zip(range(len(calls), 0, -1), calls, strict=True):
            line, end_line, column, end_column = next(islice(code.co_positions(), last // 2, None))
            scopes = [entered.scope for entered in self._entered if entered.depth <= depth]
            span = (code.co_filename, line, end_line, column, end_column)
            frames.append(Frame(*span, code.co_name, scopes[-1] if scopes else ""))
        return tuple(frames)

    @cached_property
    def user(self) -> Frame:
        """The innermost call in the program (a user's code, a layer or a model)."""
        outside = (frame for frame in self.frames if not is_machinery(frame.path))
        return next(outside, self.frames[-1])

    @property
    def depth(self) -> int:
        """The number of calls."""
        return len(self._all_calls())

    def __reduce__(self) -> Any:
        return _location_of, (self.frames,)  # code objects cannot be pickled

    def __str__(self) -> str:
        return f"{self.user.path}:{self.user.line}"

    def __repr__(self) -> str:
        return f"<location {self}>"


def _location_of(frames: tuple[Frame, ...]) -> Location:
    location = Location((), ())
    location.__dict__["frames"] = frames
    return location


class Locations:
    """The locations recorded so far, which nodes share.

    A program may run dozens of calls deep, inside a notebook's kernel or a command. While the call
    `since` runs, the calls around it do not change, so only the calls inside it are read.
    `base` is the location of the calls around `since`, if it is known.
    """

    __slots__ = ("base", "cache", "since")

    def __init__(self, since: FrameType | None = None) -> None:
        # A generator may be resumed by another call each time.
        self.since = None if since is None or since.f_code.co_flags & RUNS_LATER else since
        self.base: Location | None = None
        self.cache: dict[tuple[Any, ...], Any] = {}

    def within(self, since: FrameType, base: Location) -> Locations:
        """Return a view of these locations for use while the call `since`, made at `base`, runs."""
        inner = Locations(since)
        inner.base = base if inner.since is since else None
        inner.cache = self.cache
        return inner

    def entering(
        self, entered: tuple[Entered, ...], scope: str, location: Location
    ) -> tuple[Entered, ...]:
        """Return `entered` and one more scope; the same tuple for the same scope and location."""
        key = ("entered", id(entered), scope, id(location))
        entry = self.cache.get(key)
        if entry is None or entry[0] is not entered or entry[1] is not location:
            inner = (*entered, Entered(scope, location, location.depth))
            self.cache[key] = entry = (entered, location, inner)
        inner_scopes: tuple[Entered, ...] = entry[2]
        return inner_scopes


def calling_location(
    locations: Locations, entered: tuple[Entered, ...] = (), frame: FrameType | None = None
) -> Location:
    """Return the location of a call: of `frame`, or else of the call into the engine.

    Nodes created by the same calls share one location, which is looked up in `locations`.
    """
    frame = sys._getframe(1) if frame is None else frame
    while frame and frame.f_code.co_filename.startswith(_ENGINE):
        frame = frame.f_back
    since, base = locations.since, locations.base
    codes, instructions = list[CodeType](), list[int]()
    while frame and frame is not since:
        codes.append(frame.f_code)
        instructions.append(frame.f_lasti)
        frame = frame.f_back
    if frame is None:
        base = None
    key = (id(entered), id(base), frame and frame.f_lasti, *map(id, codes), *instructions)
    location: Location | None = locations.cache.get(key)
    if location is None:  # it keeps code, base and scopes alive, so that their ids stay unique
        while frame and base is None:
            codes.append(frame.f_code)
            instructions.append(frame.f_lasti)
            frame = frame.f_back
        location = Location(tuple(zip(codes, instructions, strict=True)), entered, base)
        locations.cache[key] = location
    return location
