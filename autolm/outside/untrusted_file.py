"""Read files from untrusted sources: only regular files, inside a given folder, of limited size.

A pipe can block forever, a device can return data forever, and a link can lead out of the folder.
Each is refused before a byte is read.
"""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from autolm.outside.message import message

MAX_JSON_BYTES = 1 << 20  # bytes of a config, a state, or a line of metrics
MAX_TOKENIZER_BYTES = 1 << 26
MAX_HEADER_BYTES = 1 << 26  # header of a safetensors file
KINDS = {
    stat.S_IFIFO: message("a pipe"),
    stat.S_IFSOCK: message("a socket"),
    stat.S_IFCHR: message("a device"),
}


def open_untrusted(path: Path, within: Path | None = None) -> BinaryIO:
    """Open a regular file for reading.

    Parameters
    ----------
    path
        The file.
    within
        The folder that must contain the file after links are resolved.

    Raises
    ------
    OSError
        If it cannot be read, is not a regular file, or is outside `within`; `strerror` gives the
        reason.
    """
    require_file(path, within)
    nonblocking = getattr(os, "O_NONBLOCK", 0)  # a pipe may replace the file after the check
    binary = getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, os.O_RDONLY | nonblocking | binary), "rb")
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
    """Raise OSError if a file is missing, not a regular file, or outside `within`."""
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


def read_untrusted(path: Path, limit: int | None = None, within: Path | None = None) -> bytes:
    """Read a file of at most `limit` bytes, opened by `open_untrusted`."""
    with open_untrusted(path, within) as file:
        size = os.fstat(file.fileno()).st_size
        if limit is None or size <= limit:
            return file.read(size)
    raise OSError(
        errno.EFBIG,
        message("larger than the {limit} bytes that it may have", limit=limit),
        str(path),
    )


def parse_json(content: str | bytes) -> Any:
    """Parse JSON from an untrusted source.

    Raises
    ------
    ValueError
        If it is not valid JSON, is nested too deeply, or repeats a name; one line with the
        position.

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
    except ValueError as error:  # also for invalid UTF-8 and integers that are too long
        raise ValueError(
            message("not JSON: {reason}", reason=str(error).partition("; use sys.")[0])
        ) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; a repeated name is ambiguous, and is refused."""
    content: dict[str, Any] = {}
    for name, value in pairs:
        if name in content:
            raise ValueError(message("{name!r} stands there twice", name=name))
        content[name] = value
    return content
