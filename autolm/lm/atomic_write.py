"""Write a file whole or not at all.

What training saves must survive a full disk or a kill in the middle of a write: the new content
goes to a neighbouring file first, and takes the place of the old one only when it is complete.
"""

import os
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Put ``content`` at ``path``, replacing what was there; on any failure, leave that as it was.

    Raises
    ------
    OSError
        When the file cannot be written (missing folder, no permission, full disk).

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "state.json"
    >>> write_atomically(path, b"{}")
    >>> path.read_bytes()
    b'{}'
    >>> folder.cleanup()
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
