"""Read a file that somebody else made: only if it is one, where it seems to be, and not too large.

A pipe waits for ever, a device gives for ever, and a link may lead to what is none of our business:
each is refused before a byte of it is read.
"""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from autolm.outside.message import message

LONGEST_JSON = 1 << 20  # bytes of a config, a state, or a line of metrics
LONGEST_TOKENIZER = 1 << 26
LONGEST_HEADER = 1 << 26  # of a file of weights
KINDS = {
    stat.S_IFIFO: message("a pipe"),
    stat.S_IFSOCK: message("a socket"),
    stat.S_IFCHR: message("a device"),
}


def open_given(path: Path, within: Path | None = None) -> BinaryIO:
    """Open a regular file for reading.

    Parameters
    ----------
    path
        The file.
    within
        The folder that it must lie in, links followed.

    Raises
    ------
    OSError
        When it cannot be read, is no regular file, or lies elsewhere; `strerror` says which.
    """
    require_file(path, within)
    waits_not = getattr(os, "O_NONBLOCK", 0)  # should a pipe have taken its place meanwhile
    binary = getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, os.O_RDONLY | waits_not | binary), "rb")
    try:
        _require_regular(os.fstat(file.fileno()).st_mode, path)
    except OSError:
        file.close()
        raise
    return file


def read_own(path: Path, limit: int) -> bytes:
    """Read a file that is trusted because of its owner: this user or the system.

    It is opened first and checked by its descriptor, so nobody can put another file in its place
    in between. A link is not followed, and a pipe is not waited for.

    Raises
    ------
    OSError
        When it cannot be read, is not a regular file, has another owner, may be written by others,
        or has more than `limit` bytes; `strerror` says which.
    """
    flags = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    try:
        descriptor = os.open(path, os.O_RDONLY | flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, message("it is a link"), str(path)) from None
        raise
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _require_regular(status.st_mode, path)
        if hasattr(os, "getuid") and status.st_uid not in (os.getuid(), 0):
            raise PermissionError(errno.EPERM, message("another user owns it"), str(path))
        if os.name == "posix" and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(errno.EPERM, message("other users may write to it"), str(path))
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(
            errno.EFBIG, message("it has more than {limit} bytes", limit=limit), str(path)
        )
    return content


def require_file(path: Path, within: Path | None = None) -> None:
    """Refuse, as `open_given` does, what is no file or lies elsewhere; what is not there, too."""
    if within is not None and path.is_symlink():
        folder = os.path.realpath(within)
        if os.path.dirname(os.path.realpath(path)) != folder:
            raise OSError(errno.ELOOP, message("a link that leads out of its folder"), str(path))
    _require_regular(os.stat(path).st_mode, path)


def _require_regular(mode: int, path: Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), message("a device"))
        raise OSError(errno.EINVAL, message("{kind}, and not a file", kind=kind), str(path))


def read_given(path: Path, limit: int | None = None, within: Path | None = None) -> bytes:
    """Read a file, of at most `limit` bytes if there is one; for the rest see `open_given`."""
    with open_given(path, within) as file:
        size = os.fstat(file.fileno()).st_size
        if limit is None or size <= limit:
            return file.read(size)
    raise OSError(
        errno.EFBIG,
        message("larger than the {limit} bytes that it may have", limit=limit),
        str(path),
    )


def parse_json(content: str | bytes) -> Any:
    """Read JSON that may be anything.

    Raises
    ------
    ValueError
        For what is no JSON, or such JSON as nobody writes, in one line that says where.

    Examples
    --------
    >>> parse_json(b'{"step": 1')
    Traceback (most recent call last):
        ...
    ValueError: not JSON: Expecting ',' delimiter: line 1 column 11 (char 10)
    """
    try:
        return json.loads(content, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError(message("not JSON that is meant: it is nested too deeply")) from None
    except ValueError as error:  # also of bytes that are no text, and numbers of 5000 digits
        raise ValueError(
            message("not JSON: {reason}", reason=str(error).partition("; use sys.")[0])
        ) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its names and values; what stands twice could be meant in two ways."""
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise ValueError(message("{name!r} stands there twice", name=name))
        made[name] = value
    return made
