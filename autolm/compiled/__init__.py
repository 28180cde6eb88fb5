"""All that is compiled, by numba, where it is asked for: Tape, the fused loops, recorded steps.

Every loop here says once more what plain code says below, and is proved equal to it. Nothing may
stand here alone.
"""

from autolm.compiled.fused import native
from autolm.compiled.tape import Tape

__all__ = ["Tape", "native"]
