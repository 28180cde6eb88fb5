"""How a command ends.

0 done, 1 a check failed or a run diverged, 2 wrong use, 3 a check is undecided, 130 interrupted.
"""

from __future__ import annotations

import os

DONE, FAILED, WRONG_USE, UNDECIDED, INTERRUPTED = 0, 1, 2, 3, 130


class SaidByAnother(Exception):
    """What ends this worker, its cause, is of what another worker has said already."""


def is_one_of_several() -> bool:
    """Whether torchrun has started this process beside others."""
    return os.environ.get("WORLD_SIZE", "1") != "1"
