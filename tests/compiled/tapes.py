"""What tests of a Tape share: both loops, and floats compared bit for bit."""

import importlib.util
import os
import struct
from math import nan

import pytest

HAS_NUMBA = importlib.util.find_spec("numba") is not None
# Where everything must be proven, a missing numba is a failure.
needs_numba = pytest.mark.skipif(
    not HAS_NUMBA and os.environ.get("CI") != "true", reason="numba is not installed"
)
either_loop = pytest.mark.parametrize(
    "native", [False, pytest.param(True, marks=needs_numba)], ids=["plain", "native"]
)


def bits(numbers):
    """Return what floats are made of, all nans alike."""
    return [struct.pack("d", nan if x != x else x) for x in numbers]
