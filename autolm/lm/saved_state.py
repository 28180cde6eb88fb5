"""What `state.json` says: where a run is, and how to tell that all which belongs to it is whole.

Each file of a checkpoint has its checksum there, the tokenizer too, the choices that a run keeps
stand there once more, and the whole has a checksum of its own: what was damaged, mixed up or edited
is noticed before a step is done with it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

from autolm.outside.given_file import parse_json

FORMAT = 1  # it had no number, and no checksums, before


class Kept(NamedTuple):
    """What stays as it is in a run: the tokenizer, by its checksum, and the fixed choices."""

    tokenizer: str
    choices: dict[str, Any]


class Saved(NamedTuple):
    """What `state.json` holds: where a run is, and what belongs to that."""

    state: dict[str, Any]
    checksums: dict[str, str]  # by the names of the files; none in folders of format 0
    kept: Kept | None  # nor this

    def to_json(self) -> bytes:
        """Write it, with a checksum of its own."""
        kept = self.kept and self.kept._asdict()
        content: dict[str, Any] = {
            "format": FORMAT,
            **self.state,
            "files": self.checksums,
            "kept": kept,
        }
        content["sha256"] = _checksum_of_json(content)
        return (json.dumps(content, indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes) -> Saved:
        """Read what `to_json` wrote, now or before there were checksums; ValueError for others."""
        content = parse_json(text)
        if not isinstance(content, dict) or type(content.get("step")) is not int:
            raise ValueError("it names no step")
        version, its_own = content.pop("format", 0), content.pop("sha256", None)
        if version == 0 and content["step"] >= 0:
            return cls(content, {}, None)
        if version != FORMAT:
            raise ValueError(f"format {version!r} is not {FORMAT}, the newest that is known here")
        if its_own != _checksum_of_json({"format": version, **content}):
            raise ValueError("its content has not the checksum that it names")
        match content.pop("files", None), content.pop("kept", None):
            case dict(files), {"tokenizer": str(tokenizer), "choices": dict(choices)}:
                return cls(content, files, Kept(tokenizer, choices))
        raise ValueError("it does not say which files belong to it")


def checksum(content: bytes) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(content).hexdigest()


def _checksum_of_json(content: dict[str, Any]) -> str:
    return checksum(json.dumps(content, sort_keys=True).encode())
