"""A run folder as it is to a worker that is not the first: read, and never written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from autolm.lm.run_folder import Checkpoint, RunFolder


class FollowedFolder(RunFolder):
    """The folder into which another worker writes the same run."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Leave it to the first worker."""
        yield

    def _remove_leftovers(self) -> None:
        """Leave it to the first worker, whose next file may be half written."""

    def write(self, name: str, content: bytes) -> None:
        """Leave it to the first worker."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Leave it to the first worker."""

    def append_metrics(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Leave it to the first worker."""
