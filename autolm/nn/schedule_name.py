"""The names of the schedules, for who must not wait for NumPy: a command that prints its help."""

from typing import Literal

ScheduleName = Literal["constant", "linear", "cosine"]
