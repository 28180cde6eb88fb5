"""Exit codes.

0 success, 1 a check failed or a run diverged, 2 wrong use, 3 a check is undecided, 130 interrupted.
"""

from __future__ import annotations

import os

DONE, FAILED, WRONG_USE, UNDECIDED, INTERRUPTED = 0, 1, 2, 3, 130


class ReportedByAnotherWorker(Exception):
    """Another worker failed first and reported it; `__cause__` is the error of this worker."""


def is_one_of_several() -> bool:
    """Whether torchrun started this process as one of several workers."""
    return os.environ.get("WORLD_SIZE", "1") != "1"
