"""How a command ends: 0 done, 1 a check failed or a run diverged, 2 wrong use, 130 interrupted."""

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
