"""The tape written by hand in C (`tape.c`), compiled if there is a C compiler, called by ctypes."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autolm.engine.graph import Node, topological_order

SOURCE = Path(__file__).with_name("tape.c")
COMPILER = "cc"
CODES = ("mul", "add", "relu", "exp", "log", "div", "sub", "pow", "neg")  # as in tape.c


def has_compiler() -> bool:
    """Whether a C compiler is installed."""
    return shutil.which(COMPILER) is not None


def compiled() -> ctypes.CDLL:
    """Compile the source for this machine; without fused multiply-add, as in all contestants."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "tape.so")
        flags = ["-O3", "-march=native", "-ffp-contract=off", "-shared", "-fPIC"]
        subprocess.run([COMPILER, *flags, "-o", library, SOURCE, "-lm"], check=True)
        return ctypes.CDLL(str(library))


class CTape:
    """A graph of Values, run forward and backward by C."""

    def __init__(self, root: Node, parameters: Sequence[Node]) -> None:
        order = topological_order(root)
        operations = [node for node in order if node.parents]
        leaves = order[: len(order) - len(operations)]
        place = {node: i for i, node in enumerate([*leaves, *operations])}
        self.data = np.array([node.data for node in place])
        self.gradients = np.zeros(len(place))
        self.trained = np.array([place[node] for node in parameters if node in place])
        self._program = (
            np.array([CODES.index(node.op.name) for node in operations], np.uint8),
            np.array([place[node.parents[0]] for node in operations], np.uint32),
            np.array([place[node.parents[-1]] for node in operations], np.uint32),
        )
        addresses: list[Any] = [ctypes.c_void_p(a.ctypes.data) for a in self._program]
        data, gradients = (ctypes.c_void_p(a.ctypes.data) for a in (self.data, self.gradients))
        count = [ctypes.c_int64(len(operations)), *addresses, data]
        first_result = ctypes.c_int64(len(leaves))
        self._forward, self._backward = [*count, first_result], [*count, gradients, first_result]
        self._library = compiled()

    def forward(self) -> float:
        """Compute the result."""
        self._library.forward(*self._forward)
        return float(self.data[-1])

    def backward(self) -> None:
        """Compute all gradients."""
        self._library.backward(*self._backward)
