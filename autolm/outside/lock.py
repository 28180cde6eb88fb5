"""A lock file that one process holds at a time; the system frees it when the process ends."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from autolm.outside.message import message
from autolm.outside.untrusted_file import open_untrusted

# Errors of file systems without locks, such as NFS without its lock daemon.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
PATIENCE = 0.1  # seconds to wait for a holder that is about to end


class Busy(OSError):
    """Another process holds the lock.

    Attributes
    ----------
    holder
        Its process id; None if it is not known.
    """

    def __init__(self, path: Path, holder: int | None) -> None:
        super().__init__(errno.EBUSY, os.strerror(errno.EBUSY), str(path))
        self.holder = holder


class NoLocks(OSError):
    """The file system does not support locks; `strerror` is its error."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; it contains the process id, and is removed at the end.

    Raises
    ------
    Busy
        If another process holds it.
    NoLocks
        If the file system cannot lock files.
    OSError
        If the file cannot be created or locked, or its name is in use.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "process.lock"
    ...     with locked(path):
    ...         int(path.read_text()) == os.getpid()
    ...     path.exists()
    True
    False
    """
    from filelock import FileLock, Timeout

    _require_own_file(path)
    lock = FileLock(path, PATIENCE, fallback_to_soft=False, on_acquired=_write_process_id)
    try:
        lock.acquire(poll_interval=PATIENCE / 5)
    except Timeout:
        raise Busy(path, _holder(path)) from None
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise NoLocks(error.errno, error.strerror, str(path)) from None
        raise
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes it when it is closed
            path.unlink()  # before it is released, so that no other holder's file is removed
        lock.release()


def _require_own_file(path: Path) -> None:
    """Raise an error if the path is a link or another file, which would be overwritten."""
    with suppress(FileNotFoundError):
        state = path.lstat()
        if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1:
            raise OSError(errno.EEXIST, message("not a file of its own"), str(path))


def _write_process_id(descriptor: int) -> None:
    with suppress(OSError):  # on a full disk the lock is held without a process id
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())


def _holder(path: Path) -> int | None:
    try:
        with open_untrusted(path) as file:
            word = file.read(20).strip()
    except OSError:  # on Windows a locked file cannot be read
        return None
    return int(word) if word.isdigit() else None
