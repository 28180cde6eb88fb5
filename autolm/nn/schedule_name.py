"""The names of the schedules, in a module that loads no NumPy: `autolm train --help` needs them."""

from typing import Literal

ScheduleName = Literal["constant", "linear", "cosine"]
