"""Write a file whole or not at all: what was there survives a full disk, a kill, and Ctrl-C.

The new content goes to a neighbouring file first, and takes the place of the old one only when it
is complete and on the disk. Everything that autolm writes for a user is written here.
"""

import errno
import os
import secrets
import shutil
from pathlib import Path

PARTIAL = ".autolm-*.partial"  # what a kill in the middle of a write leaves


class NotSaved(OSError):
    """A file could not be written, as on a full disk; what was there before is there still."""

    def __init__(self, path: str | os.PathLike[str], error: OSError) -> None:
        super().__init__(error.errno, error.strerror, os.fspath(path))

    def __str__(self) -> str:
        return f"{self.filename}: cannot be written: {self.strerror}"


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Put ``content`` at ``path``, replacing what was there; on any failure, leave that as it was.

    A link goes on leading where it led, and a file keeps its permissions. What is no file, as a
    pipe or a device, cannot be replaced, and is written to.

    Raises
    ------
    NotSaved
        When the file cannot be written (missing folder, no permission, full disk); one line.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "state.json"
    >>> write_whole(path, b"{}")
    >>> path.read_bytes()
    b'{}'
    >>> folder.cleanup()
    """
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            target.write_bytes(content)
        else:
            _replace(target, content)
    except OSError as error:
        raise NotSaved(path, error) from None


def _replace(target: Path, content: bytes) -> None:
    exists = target.exists()
    if exists and not os.access(target, os.W_OK):  # which replacing it would get around
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    partial = target.with_name(PARTIAL.replace("*", f"{os.getpid()}-{secrets.token_hex(4)}"))
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if exists:
            shutil.copymode(target, partial)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Have the new name on the disk too, where the system has a way to ask for that."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
