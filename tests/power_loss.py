"""Every state of a folder that a power loss could leave, from a record of what was done in it.

The model is POSIX's: the content of a file is on the disk after `fsync` of the file, and a name
(made, renamed or removed) after `fsync` of its folder. Until then any subset of the changes of
names may have reached the disk, and a file may have its old content, its new one, or a part of it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

Change = tuple[str, int | None]  # a name, and the number of its file; None if it is removed


class Crash(NamedTuple):
    """The durable names and contents at a moment, and the changes that may be lost."""

    names: dict[str, int]
    contents: dict[int, tuple[bytes, ...]]  # by file: every content that it can have
    pending: tuple[tuple[Change, ...], ...]

    def states(self) -> Iterator[dict[str, bytes]]:
        """Yield the contents of the folder by name, for every subset of what may be lost."""
        for kept in product((False, True), repeat=len(self.pending)):
            names = dict(self.names)
            for change in (c for c, is_kept in zip(self.pending, kept, strict=True) if is_kept):
                for name, number in change:
                    names.pop(name, None)
                    if number is not None:
                        names[name] = number
            choices = (self.contents[number] for number in names.values())
            for chosen in product(*choices):
                yield dict(zip(names, chosen, strict=True))


class Recorder:
    """Follow a folder through operations of the system, whoever calls them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.durable: dict[str, int] = {}
        self.synced: dict[int, bytes] = {}  # of each file that was ever brought to the disk
        self.seen: dict[str, int] = {}  # the names as the running system has them
        self.written: dict[int, bytes] = {}  # the last content of each file, removed or not
        self.pending: list[tuple[Change, ...]] = []
        self.open_files: list[int] = []  # so that no number is given to another file
        self.crashes: list[Crash] = []
        self.look()
        self.durable, self.synced = dict(self.seen), dict(self.written)
        self.pending.clear()

    def look(self) -> None:
        """Note new files and new content."""
        for path in self.folder.iterdir() if self.folder.exists() else ():
            number = path.stat().st_ino
            if path.name not in self.seen:
                self.open_files.append(os.open(path, os.O_RDONLY))
                self.pending.append(((path.name, number),))
            self.seen[path.name] = number
            self.written[number] = path.read_bytes()

    def crash(self) -> None:
        """Note what a power loss at this moment could leave."""
        self.look()
        contents: dict[int, tuple[bytes, ...]] = {n: (c,) for n, c in self.synced.items()}
        for number, content in self.written.items():
            if contents.get(number) != (content,):
                old = contents.get(number, (b"",))[-1]
                begin = len(old) if content.startswith(old) else 0  # an append keeps what was there
                half = content[: (begin + len(content)) // 2]
                contents[number] = (old, half, content)
        self.crashes.append(Crash(dict(self.durable), contents, tuple(self.pending)))

    def done(self, operation: str, *arguments: Any) -> None:
        """Follow an operation that has been done."""
        match operation:
            case "fsync" if os.path.samestat(os.fstat(arguments[0]), self.folder.stat()):
                self.look()
                self.durable = dict(self.seen)
                self.pending.clear()
            case "fsync":
                self.look()
                number = os.fstat(arguments[0]).st_ino
                if number in self.written:
                    self.synced[number] = self.written[number]
            case "replace" | "rename":
                old, new = (Path(path).name for path in arguments[:2])
                self.seen[new] = self.seen.pop(old)
                self.pending.append(((old, None), (new, self.seen[new])))
            case "unlink" | "remove":
                del self.seen[Path(arguments[0]).name]
                self.pending.append(((Path(arguments[0]).name, None),))


@contextmanager
def recorded(folder: Path) -> Iterator[Recorder]:
    """Record what is done in a folder, with a crash before and after every operation."""
    recorder = Recorder(folder)

    def following(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*arguments: Any, **keywords: Any) -> Any:
            is_here = name == "fsync" or Path(arguments[0]).parent == folder
            if not (is_here and folder.exists()):
                return plain(*arguments, **keywords)
            recorder.crash()
            result = plain(*arguments, **keywords)
            recorder.done(name, *arguments)
            recorder.crash()
            return result

        return operation

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "replace", "rename", "unlink", "remove"):
            patch.setattr(os, name, following(name, getattr(os, name)))
        yield recorder
    recorder.crash()
    for descriptor in recorder.open_files:
        os.close(descriptor)


def states_after(recorder: Recorder) -> list[dict[str, bytes]]:
    """Return every state that a power loss at any moment could leave, each once."""
    every = {tuple(sorted(s.items())): s for crash in recorder.crashes for s in crash.states()}
    return list(every.values())
