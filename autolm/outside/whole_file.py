"""Write files atomically: the old content survives a full disk, a kill and Ctrl-C.

The new content is written to a temporary file in the same folder, synced to disk, and renamed. All
files that autolm writes for a user are written here.
"""

import errno
import os
import secrets
import stat
from pathlib import Path

PARTIAL = ".autolm-*.partial"  # left over if the process is killed during a write


class NotSaved(OSError):
    """A file could not be written; the old content is unchanged."""

    def __init__(self, path: str | os.PathLike[str], error: OSError) -> None:
        super().__init__(error.errno, error.strerror, os.fspath(path))

    def __str__(self) -> str:
        return f"{self.filename}: cannot be written: {self.strerror}"


def write_whole(path: str | os.PathLike[str], content: bytes, *, mode: int | None = None) -> None:
    """Replace the content of ``path`` atomically; on failure the old content remains.

    Links and permissions are preserved. A pipe or a device is written to directly.

    Parameters
    ----------
    path
        The file.
    content
        The new content.
    mode
        The permissions of a new file; by default those of the umask.

    Raises
    ------
    NotSaved
        If the file cannot be written (missing folder, no permission, full disk); one line.

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
        if not os.access(target, os.W_OK):  # replacing would bypass the permissions
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        mode = stat.S_IMODE(target.stat().st_mode)
    partial = target.with_name(PARTIAL.replace("*", f"{os.getpid()}-{secrets.token_hex(4)}"))
    try:
        with partial.open("xb") as file:
            if mode is not None:  # before others could read the content
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
    """Sync the entries of a folder to disk, on POSIX systems."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
