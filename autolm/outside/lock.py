"""A file that one process holds at a time; the system takes it from a process that dies."""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FAR = 1 << 30  # where Windows locks a byte, which nobody else can then read
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL)  # of file systems that have none


class Busy(OSError):
    """Another process holds the file.

    Attributes
    ----------
    holder
        Its number; None if it has not written it yet.
    """

    def __init__(self, path: Path, holder: int | None) -> None:
        super().__init__(errno.EBUSY, os.strerror(errno.EBUSY), str(path))
        self.holder = holder


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a file, which is made for that, and goes with the end of it.

    Raises
    ------
    Busy
        When another process holds it.
    OSError
        When it cannot be made, or something else has its name.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "process.lock"
    ...     with held(path):
    ...         int(path.read_text()) == os.getpid()
    ...     path.exists()
    True
    False
    """
    descriptor = _locked(path)
    try:
        with suppress(OSError):  # a disk that is full: it is held, and does not say by whom
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        if sys.platform == "win32":  # which removes nothing that is open
            os.close(descriptor)
            with suppress(OSError):
                path.unlink()
        else:  # while it is held, so that nobody's next one is removed
            with suppress(OSError):
                path.unlink()
            os.close(descriptor)


def _locked(path: Path) -> int:
    """Open and lock the file; again, if its holder has removed it in between."""
    no_link = getattr(os, "O_NOFOLLOW", 0)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | no_link, 0o666)
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1:  # it will be overwritten
                raise OSError(errno.EINVAL, "not a file of its own", str(path))
            if not _lock(descriptor):
                raise Busy(path, _holder(descriptor))
            with suppress(FileNotFoundError):
                if os.path.samestat(state, os.stat(path)):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock an open file, if nobody else has."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            return False
    return True


def _holder(descriptor: int) -> int | None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    word = os.read(descriptor, 20).strip()
    return int(word) if word.isdigit() else None
