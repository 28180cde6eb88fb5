"""Write a file whole or not at all: what was there survives a full disk, a kill, and Ctrl-C.

The new content goes to a neighbouring file first, and takes the place of the old one only when it
is complete and on the disk. Everything that autolm writes for a user is written here.
"""

import errno
import os
import secrets
import stat
from pathlib import Path

PARTIAL = ".autolm-*.partial"  # what a kill in the middle of a write leaves


class NotSaved(OSError):
    """A file could not be written, as on a full disk; what was there before is there still."""

    def __init__(self, path: str | os.PathLike[str], error: OSError) -> None:
        super().__init__(error.errno, error.strerror, os.fspath(path))

    def __str__(self) -> str:
        return f"{self.filename}: cannot be written: {self.strerror}"


def write_whole(path: str | os.PathLike[str], content: bytes, *, mode: int | None = None) -> None:
    """Put ``content`` at ``path``, replacing what was there; on any failure, leave that as it was.

    A link goes on leading where it led, and a file keeps its permissions. What is no file, as a
    pipe or a device, cannot be replaced, and is written to.

    Parameters
    ----------
    path
        The file.
    content
        All of its bytes.
    mode
        The permissions of a new file; by default those that the system gives to any.

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
            _replace(target, content, mode)
    except OSError as error:
        raise NotSaved(path, error) from None


def _replace(target: Path, content: bytes, mode: int | None) -> None:
    if target.exists():
        if not os.access(target, os.W_OK):  # which replacing it would get around
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        mode = stat.S_IMODE(target.stat().st_mode)
    partial = target.with_name(PARTIAL.replace("*", f"{os.getpid()}-{secrets.token_hex(4)}"))
    try:
        with partial.open("xb") as file:
            if mode is not None:  # before there is content that others could read
                partial.chmod(mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, on systems that can do that."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
