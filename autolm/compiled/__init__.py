"""Fast paths: `Tape` for graphs of Values and `recorded` steps for Tensors; both need no numba.

Each computes what plain code of a lower package computes, and tests hold it to that code.
"""

from autolm.compiled.recorded_step import RecordedStep, recorded
from autolm.compiled.tape import Tape

__all__ = ["RecordedStep", "Tape", "recorded"]
