"""The run folder for workers other than the first, which read but never write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from autolm.lm.run_folder import Checkpoint, RunFolder


class ReadOnlyRunFolder(RunFolder):
    """A run folder that only the first worker writes."""

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Do nothing: the first worker does it."""
        yield

    def _remove_leftovers(self) -> None:
        """Do nothing: the first worker may be writing its next file."""

    def write(self, name: str, content: bytes) -> None:
        """Do nothing: the first worker does it."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Do nothing: the first worker does it."""

    def append_metrics(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Do nothing: the first worker does it."""
