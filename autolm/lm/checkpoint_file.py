"""A checkpoint on disk: one safetensors file, so that replacing the file is the whole switch.

Its arrays are named `model/PATH` and `optimizer/NAME`; the state is JSON in the metadata of the
file. Opening it reads the header alone: names, dtypes and shapes are known before an array is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.lm.saved_state import (
    Arrays,
    Checkpoint,
    Invariants,
    RunError,
    SavedState,
    checksum_of_array,
)
from autolm.outside.message import message, plain_message
from autolm.outside.untrusted_file import require_file

MODEL, OPTIMIZER = "model", "optimizer"
STATE = "autolm"  # the key of the state in the metadata of the file
FLOATS = ("F16", "F32", "F64")

Shape = tuple[int, ...]
Shapes = dict[str, Shape]


def checkpoint_to_bytes(checkpoint: Checkpoint, invariants: Invariants) -> bytes:
    """Return the content of a checkpoint file."""
    from safetensors.numpy import save

    parts = {MODEL: checkpoint.model, OPTIMIZER: checkpoint.optimizer}
    arrays = {
        f"{part}/{name}": np.asarray(array, order="C")
        for part, named in parts.items()
        for name, array in named.items()
    }
    checksums = {name: checksum_of_array(array) for name, array in arrays.items()}
    state = SavedState(checkpoint.state, checksums, invariants)
    return save(arrays, metadata={STATE: state.to_json()})


class ArrayFile:
    """An open safetensors file; only its header has been read.

    Attributes
    ----------
    path
        Its path.
    metadata
        The texts in its header.
    shapes
        The shape of each array.
    """

    def __init__(self, path: Path, file: Any) -> None:
        self.path, self._file = path, file
        self.metadata: dict[str, str] = file.metadata() or {}
        self.shapes: Shapes = {}
        for name in file.keys():  # noqa: SIM118 (it is not a dictionary)
            header = file.get_slice(name)
            kind, shape = header.get_dtype(), tuple(header.get_shape())
            if kind not in FLOATS and not (kind.startswith("I") and shape == ()):
                wanted = ", ".join(FLOATS)
                raise damaged(
                    path,
                    message(
                        "{name!r} has dtype {kind}; supported are {wanted}",
                        name=name,
                        kind=kind,
                        wanted=wanted,
                    ),
                )
            self.shapes[name] = shape

    def read(self, name: str) -> NDArray[Any]:
        """Read an array; all of its numbers must be finite."""
        array: NDArray[Any] = self._file.get_tensor(name)
        if not np.isfinite(array).all():
            raise damaged(self.path, message("{name!r} has a number that is not finite", name=name))
        return array


@contextmanager
def open_arrays(path: Path) -> Iterator[ArrayFile]:
    """Open a safetensors file of a run folder; RunError if it is not a whole one."""
    from safetensors import SafetensorError, safe_open

    with reading(path):
        require_file(path, within=path.parent)
        try:
            file = safe_open(path, "numpy")
        except SafetensorError:
            raise damaged(path, message("it is not a whole safetensors file")) from None
    with file as opened:
        yield ArrayFile(path, opened)


class StoredCheckpoint:
    """A checkpoint that is open for reading.

    Attributes
    ----------
    saved
        Its state.
    """

    def __init__(self, file: ArrayFile) -> None:
        self._file = file
        try:
            self.saved = SavedState.from_json(file.metadata.get(STATE, ""))
        except ValueError as error:
            raise damaged(file.path, error) from None

    def path(self, part: str) -> Path:
        """Return the file that holds a part: MODEL or OPTIMIZER."""
        return self._file.path

    def shapes(self, part: str) -> Shapes:
        """Return the shapes of the arrays of a part, as the header names them."""
        prefix = f"{part}/"
        shapes = self._file.shapes.items()
        return {name.removeprefix(prefix): s for name, s in shapes if name.startswith(prefix)}

    def arrays(self, part: str) -> Arrays:
        """Read the arrays of a part and verify their checksums."""
        arrays = {name: self._file.read(f"{part}/{name}") for name in self.shapes(part)}
        for name, array in arrays.items():
            if checksum_of_array(array) != self.saved.checksums.get(f"{part}/{name}"):
                raise damaged(
                    self._file.path, message("{name!r} does not match its checksum", name=name)
                )
        return arrays

    def require_shapes(self, part: str, expected: Iterable[tuple[str, Shape]], by: str) -> None:
        """Refuse a part whose arrays are not the expected ones; only the header is read.

        Parameters
        ----------
        part
            MODEL or OPTIMIZER.
        expected
            Name and shape of each array; read up to the first one that does not match.
        by
            What the shapes follow from, for the message.
        """
        path, stored = self.path(part), dict(self.shapes(part))
        for name, shape in expected:
            if name not in stored:
                raise RunError(
                    message(
                        "{path}: {name} is missing: {by} asks for it", path=path, name=name, by=by
                    )
                )
            if (present := stored.pop(name)) != shape:
                raise RunError(
                    message(
                        "{path}: {name} has shape {present}, and {by} asks for {shape}",
                        path=path,
                        name=name,
                        present=present,
                        by=by,
                        shape=shape,
                    )
                )
        for name in stored:
            raise RunError(
                message(
                    "{path}: {name!r} is unknown: {by} does not ask for it",
                    path=path,
                    name=name,
                    by=by,
                )
            )


@contextmanager
def open_checkpoint(path: Path) -> Iterator[StoredCheckpoint]:
    """Open a checkpoint file; if it is replaced meanwhile, the old content is read."""
    with open_arrays(path) as file:
        yield StoredCheckpoint(file)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an error of reading a file into one line."""
    try:
        yield
    except FileNotFoundError:
        raise RunError(message("{path}: is missing", path=path)) from None
    except MemoryError:
        raise RunError(message("{path}: is larger than the memory here", path=path)) from None
    except OSError as error:
        raise RunError(
            message(
                "{path}: cannot be read: {x}",
                path=path,
                x=plain_message(error.strerror or "") or error,
            )
        ) from None


def damaged(path: Path, why: object) -> RunError:
    """Return the error of a file whose content is wrong."""
    return RunError(f"{path}: damaged: {why}")
