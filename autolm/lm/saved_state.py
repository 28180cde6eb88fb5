"""The state of a checkpoint: the step, the position in the data, and how to verify the rest.

It contains the checksum of every array of the checkpoint, the checksum of the tokenizer and the
choices that are fixed for the whole run, and has a checksum of its own: a file that was damaged,
mixed up or edited is noticed before the next step of training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autolm.outside.message import message
from autolm.outside.untrusted_file import parse_json

Arrays = Mapping[str, NDArray[Any]]

FORMAT = 2  # formats 0 and 1 were three files: see `autolm.lm.old_checkpoint`


class RunError(ValueError):
    """A run folder cannot be used; the message is one line that says why and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a run needs to continue: parameters, optimizer memory, and progress."""

    model: Arrays
    optimizer: Arrays
    state: dict[str, Any]  # step, data cursor, digest of the data


class Invariants(NamedTuple):
    """The parts of a run that never change: the checksum of its tokenizer, and fixed choices."""

    tokenizer: str
    choices: dict[str, Any]


class SavedState(NamedTuple):
    """The stored form of `Checkpoint.state`, with what is needed to verify the checkpoint."""

    state: dict[str, Any]
    checksums: dict[str, str]  # by the name of the array; in format 1 by the name of the file
    invariants: Invariants | None  # format 0 has none, and no checksums

    def to_json(self) -> str:
        """Write the state, followed by a checksum of it."""
        content: dict[str, Any] = {
            "format": FORMAT,
            **self.state,
            "checksums": self.checksums,
            "invariants": self.invariants and self.invariants._asdict(),
        }
        return json.dumps({**content, "sha256": checksum_of_json(content)})

    @classmethod
    def from_json(cls, text: str) -> SavedState:
        """Read what `to_json` wrote; anything else is a ValueError."""
        content = parse_state(text)
        version, expected = content.pop("format", None), content.pop("sha256", None)
        if version != FORMAT:
            raise ValueError(
                message(
                    "format {version!r} is not {FORMAT}, the newest that is known here",
                    version=version,
                    FORMAT=FORMAT,
                )
            )
        if expected != checksum_of_json({"format": version, **content}):
            raise ValueError(message("its content does not match its own checksum"))
        match content.pop("checksums", None), content.pop("invariants", None):
            case dict(checksums), {"tokenizer": str(tokenizer), "choices": dict(choices)}:
                return cls(content, checksums, Invariants(tokenizer, choices))
        raise ValueError(message("it names no checksums"))


def parse_state(text: str | bytes) -> dict[str, Any]:
    """Parse a state of any format; a ValueError if it has no step."""
    content = parse_json(text)
    if not isinstance(content, dict) or type(content.get("step")) is not int:
        raise ValueError(message("it names no step"))
    return content


def checksum(content: bytes) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(content).hexdigest()


def checksum_of_array(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array: of its dtype, its shape and its numbers."""
    portable = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    hashed = hashlib.sha256(f"{array.dtype.name}{array.shape}".encode())
    hashed.update(portable.reshape(-1).view(np.uint8).data)
    return hashed.hexdigest()


def checksum_of_json(content: dict[str, Any]) -> str:
    """Return the SHA-256 of a JSON object with sorted keys."""
    return checksum(json.dumps(content, sort_keys=True).encode())
