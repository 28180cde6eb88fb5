"""List and read the arrays in a folder of safetensors files.

Published models are often stored in several files, and in bfloat16, which NumPy lacks. Arrays are
converted to float32, except float64 ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.lm.design import PretrainedError
from autolm.outside.message import message, plain_message
from autolm.outside.untrusted_file import open_untrusted

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True)
class StoredArray:
    """An array in a safetensors file."""

    file: Path
    kind: str
    shape: tuple[int, ...]
    start: int  # offset of its first byte

    def read(self) -> NDArray[Any]:
        """Read the array into memory; its dtype must be one of `DTYPES`."""
        stored = np.memmap(self.file, DTYPES[self.kind], "r", self.start, self.shape)
        if self.kind == "BF16":  # the upper half of a float32
            return (stored.astype("<u4") << 16).view("<f4").astype(np.float32, copy=False)
        return np.array(stored, np.float64 if self.kind == "F64" else np.float32)


def stored_arrays(folder: Path) -> dict[str, StoredArray]:
    """List the arrays in the safetensors files of a folder.

    Raises
    ------
    PretrainedError
        If there are no weights, or a file is damaged.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickled = next((path.name for path in folder.glob("*.bin")), None)
        reason = f"{pickled} is pickled, which can run programs" if pickled else "no weights"
        raise PretrainedError(
            message("{folder}: has no .safetensors: {reason}", folder=folder, reason=reason)
        )
    arrays: dict[str, StoredArray] = {}
    for file in files:
        for name, array in _arrays_of(file).items():
            if name in arrays:
                raise PretrainedError(
                    message(
                        "{file}: {name} stands in {name2} too",
                        file=file,
                        name=name,
                        name2=arrays[name].file.name,
                    )
                )
            arrays[name] = array
    return arrays


def _arrays_of(file: Path) -> dict[str, StoredArray]:
    from safetensors import SafetensorError, safe_open

    try:
        with open_untrusted(file) as opened, safe_open(file, "numpy"):  # safe_open validates it
            length = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(length))
    except SafetensorError:
        raise PretrainedError(f"{file}: damaged: it is not a whole safetensors file") from None
    except OSError as error:
        raise PretrainedError(
            message(
                "{file}: cannot be read: {strerror}",
                file=file,
                strerror=plain_message(error.strerror or ""),
            )
        ) from None
    header.pop("__metadata__", None)
    return {
        name: StoredArray(
            file, entry["dtype"], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0]
        )
        for name, entry in header.items()
    }
