"""Read the checkpoints of earlier versions: `state.json` and two safetensors files.

The three files were replaced one after another, so a crash could leave some of them under the name
`FILE.new`. Each array file names its step: that tells which of the two belongs to a state.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from autolm.lm.checkpoint_file import (
    MODEL,
    OPTIMIZER,
    ArrayFile,
    Shapes,
    StoredCheckpoint,
    damaged,
    open_arrays,
    reading,
)
from autolm.lm.saved_state import (
    Arrays,
    Invariants,
    RunError,
    SavedState,
    checksum,
    checksum_of_json,
    parse_state,
)
from autolm.outside.message import message
from autolm.outside.untrusted_file import MAX_JSON_BYTES, read_untrusted

OLD_STATE = "state.json"
ARRAYS = {MODEL: "model.safetensors", OPTIMIZER: "optimizer.safetensors"}
OLD_FILES = (OLD_STATE, *ARRAYS.values())
LEFTOVERS = tuple(f"{name}.new" for name in (*OLD_FILES, "config.json"))


class OldCheckpoint(StoredCheckpoint):
    """A checkpoint in three files."""

    def __init__(self, saved: SavedState, files: dict[str, ArrayFile]) -> None:
        self.saved, self._files = saved, files

    def path(self, part: str) -> Path:
        """Return the file that holds a part."""
        return self._files[part].path

    def shapes(self, part: str) -> Shapes:
        """Return the shapes of the arrays of a part, as the header names them."""
        return self._files[part].shapes

    def arrays(self, part: str) -> Arrays:
        """Read the arrays of a part and verify the checksum of their file."""
        file, expected = self._files[part], self.saved.checksums.get(ARRAYS[part])
        with reading(file.path):
            if expected not in (None, checksum(read_untrusted(file.path, within=file.path.parent))):
                raise damaged(
                    file.path,
                    message("it does not match the checksum in {OLD_STATE}", OLD_STATE=OLD_STATE),
                )
        return {name: file.read(name) for name in file.shapes}


@contextmanager
def open_old_checkpoint(folder: Path) -> Iterator[OldCheckpoint]:
    """Open the checkpoint of a folder that an earlier version wrote."""
    with ExitStack() as stack:
        try:
            checkpoint = _open(folder, OLD_STATE, stack)
        except RunError as error:
            try:
                checkpoint = _open(folder, f"{OLD_STATE}.new", stack)
            except RunError:
                raise error from None
        yield checkpoint


def _open(folder: Path, state: str, stack: ExitStack) -> OldCheckpoint:
    saved = _saved_state(folder / state)
    step = str(saved.state["step"])
    files = {part: _open_array_file(folder, name, step, stack) for part, name in ARRAYS.items()}
    return OldCheckpoint(saved, files)


def _open_array_file(folder: Path, name: str, step: str, stack: ExitStack) -> ArrayFile:
    """Open an array file of a step: the one of this name, or the one about to replace it."""
    first: RunError | None = None
    for path in (folder / name, folder / f"{name}.new"):
        try:
            file = stack.enter_context(open_arrays(path))
            if (other := file.metadata.get("step")) == step:
                return file
            error = RunError(
                f"{path}: is of step {other}, and {OLD_STATE} of step {step}: they do not belong "
                "together"
            )
        except RunError as unreadable:
            error = unreadable
        first = first or error
    assert first is not None
    raise first


def _saved_state(path: Path) -> SavedState:
    with reading(path):
        text = read_untrusted(path, MAX_JSON_BYTES, within=path.parent)
    try:
        return _parsed(parse_state(text))
    except ValueError as error:
        raise damaged(path, error) from None


def _parsed(content: dict[str, Any]) -> SavedState:
    """Check a state of format 1, or of format 0, which had no number and no checksums."""
    version, expected = content.pop("format", 0), content.pop("sha256", None)
    if version == 0 and content["step"] >= 0:
        return SavedState(content, {}, None)
    if version != 1:
        raise ValueError(
            message(
                "format {version!r} is not 0 or 1, which {OLD_STATE} can have",
                version=version,
                OLD_STATE=OLD_STATE,
            )
        )
    if expected != checksum_of_json({"format": version, **content}):
        raise ValueError(message("its content does not match its own checksum"))
    match content.pop("files", None), content.pop("kept", None):
        case dict(files), {"tokenizer": str(tokenizer), "choices": dict(choices)}:
            return SavedState(content, files, Invariants(tokenizer, choices))
    raise ValueError(message("it names no checksums"))
