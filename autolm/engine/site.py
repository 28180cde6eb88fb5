"""Where a node was made: the calls of the program that were running, down to line and column.

Recording a site must be cheap, since every node has one. So it keeps only which code was running
and how far it had come; paths, lines and columns are worked out when somebody asks.
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

# One call of a site. Columns count UTF-8 bytes from 0, as in `ast`; None where Python keeps none.
# `scope` is the scope that this call was in.
Frame = namedtuple("Frame", "path line end_line column end_column function scope")
# A scope of the moment: its path, where it was entered, and by how deep a call.
Entered = namedtuple("Entered", "scope site depth")

# CO_GENERATOR, CO_COROUTINE and CO_ASYNC_GENERATOR of `inspect`, which is slow to import: the body
# of such a function runs when its call is over.
RUNS_LATER = 0x20 | 0x80 | 0x200
_HOME = dirname(dirname(__file__))
_ENGINE = (join(_HOME, "engine", ""), contextlib.__file__)
# What records nodes for others. The layers, and the models written with them, are programs.
_ROOMS = [
    "ops",
    "tensor",
    "testing",
    "compiled",
    "outside",
    "walking",
    "drawing",
    "debugger",
    "pages",
    "torch",
]
_machinery = (
    *_ENGINE,
    *(join(_HOME, room, "") for room in _ROOMS),
    join(_HOME, "nn", "module.py"),
)


def is_machinery(path: str) -> bool:
    """Whether what runs in a file is no part of a program, but records or computes for it."""
    return path.startswith(_machinery)


def add_machinery(*paths: str) -> None:
    """Take what runs in these folders and files for machinery too, and not for a program."""
    global _machinery
    _machinery = (*_machinery, *(path for path in paths if path not in _machinery))


class Site:
    """The calls that made a node, the innermost first; `str` gives file:line of the program.

    Calls that many sites have in common are those of another site, their `base`.
    """

    __slots__ = ("__dict__", "_base", "_calls", "_entered", "note")

    def __init__(
        self,
        calls: tuple[tuple[CodeType, int], ...],
        entered: tuple[Entered, ...],
        base: Site | None = None,
    ) -> None:
        self._calls, self._entered, self._base = calls, entered, base
        self.note: Any = None  # what the nodes made here share

    def _all_calls(self) -> tuple[tuple[CodeType, int], ...]:
        calls, base = self._calls, self._base
        while base is not None:
            calls, base = calls + base._calls, base._base
        return calls

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        """Every call outside the engine, the innermost first."""
        frames, calls = [], self._all_calls()
        for depth, (code, last) in zip(range(len(calls), 0, -1), calls, strict=True):
            line, end_line, column, end_column = next(islice(code.co_positions(), last // 2, None))
            scopes = [each.scope for each in self._entered if each.depth <= depth]
            place = (code.co_filename, line, end_line, column, end_column)
            frames.append(Frame(*place, code.co_name, scopes[-1] if scopes else ""))
        return tuple(frames)

    @cached_property
    def user(self) -> Frame:
        """The innermost call of the program: of a user, a layer or a model, not of an operation."""
        outside = (each for each in self.frames if not is_machinery(each.path))
        return next(outside, self.frames[-1])

    @property
    def depth(self) -> int:
        """How many calls it has."""
        depth, base = len(self._calls), self._base
        while base is not None:
            depth, base = depth + len(base._calls), base._base
        return depth

    def __reduce__(self) -> Any:
        return _site_of, (self.frames,)  # no code can be pickled

    def __str__(self) -> str:
        return f"{self.user.path}:{self.user.line}"

    def __repr__(self) -> str:
        return f"<site {self}>"


def _site_of(frames: tuple[Frame, ...]) -> Site:
    site = Site((), ())
    site.__dict__["frames"] = frames
    return site


class Sites:
    """The sites recorded so far, to be shared by the nodes made there.

    What runs a program, a notebook's kernel or a command, may be dozens of calls deep. While the
    call `since` runs, nothing moves in those that wait for it: no site need look beyond it again.
    `base` is the site of those that wait, where it is known; `within` makes such a collection.
    """

    __slots__ = ("base", "found", "since")

    def __init__(self, since: FrameType | None = None) -> None:
        # For a generator another call may wait at every turn.
        self.since = None if since is None or since.f_code.co_flags & RUNS_LATER else since
        self.base: Site | None = None
        self.found: dict[tuple[Any, ...], Any] = {}

    def within(self, since: FrameType, base: Site) -> Sites:
        """Return the same sites, to be added to while the call `since` runs, whose site is base."""
        inner = Sites(since)
        inner.base = base if inner.since is since else None
        inner.found = self.found
        return inner

    def entering(self, entered: tuple[Entered, ...], scope: str, site: Site) -> tuple[Entered, ...]:
        """Return the scopes entered when one more is entered at a site: the same each time."""
        key = ("entered", id(entered), scope, id(site))
        found = self.found.get(key)
        if found is None or found[0] is not entered or found[1] is not site:
            inner = (*entered, Entered(scope, site, site.depth))
            self.found[key] = found = (entered, site, inner)
        inner_scopes: tuple[Entered, ...] = found[2]
        return inner_scopes


def calling_site(
    known: Sites, entered: tuple[Entered, ...] = (), frame: FrameType | None = None
) -> Site:
    """Return the site of a call, of whoever called the engine if none is given.

    Nodes of one site share what is `known`.
    """
    frame = sys._getframe(1) if frame is None else frame
    while frame and frame.f_code.co_filename.startswith(_ENGINE):
        frame = frame.f_back
    since, base = known.since, known.base
    codes, places = list[CodeType](), list[int]()
    while frame and frame is not since:
        codes.append(frame.f_code)
        places.append(frame.f_lasti)
        frame = frame.f_back
    if frame is None:
        base = None
    key = (id(entered), id(base), frame and frame.f_lasti, *map(id, codes), *places)
    site: Site | None = known.found.get(key)
    if site is None:  # its codes, base and scopes stay alive with it, so no other gets their ids
        while frame and base is None:
            codes.append(frame.f_code)
            places.append(frame.f_lasti)
            frame = frame.f_back
        site = Site(tuple(zip(codes, places, strict=True)), entered, base)
        known.found[key] = site
    return site
