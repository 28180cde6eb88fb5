"""The conventions of an editor: how it counts lines and columns, and how it writes paths."""

from __future__ import annotations

import linecache
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from autolm.debugger.dap.messages import JsonObject, read_argument
from autolm.engine.location import Frame


class Client:
    """Converts lines, columns and paths to the conventions of the editor, and paths back.

    Parameters
    ----------
    arguments
        The arguments of its `initialize` request.
    """

    def __init__(self, arguments: JsonObject) -> None:
        self.first_line = 1 if read_argument(arguments, "linesStartAt1", bool, True) else 0
        self.first_column = 1 if read_argument(arguments, "columnsStartAt1", bool, True) else 0
        self.writes_uris = read_argument(arguments, "pathFormat", str, "path") == "uri"
        self.pages = read_argument(arguments, "supportsVariablePaging", bool, False)
        self.knows_invalidated = read_argument(arguments, "supportsInvalidatedEvent", bool, False)

    def path(self, written: str) -> str:
        """Return the local path for a path or URI that the editor has written."""
        return url2pathname(urlsplit(written).path) if self.writes_uris else written

    def source(self, path: str) -> JsonObject:
        """Return the protocol's `Source` of a path."""
        written = Path(path).as_uri() if self.writes_uris and os.path.isabs(path) else path
        return {"name": os.path.basename(path), "path": written}

    def place(self, frame: Frame | None) -> JsonObject:
        """Return the location of a frame, as part of a `StackFrame`; line 0 without a file."""
        if frame is None or not os.path.isfile(frame.path):
            return {"line": 0, "column": 0, "presentationHint": "label"}
        location: dict[str, Any] = {
            "source": self.source(frame.path),
            "line": self.line(frame.line),
            "column": self._column(frame.path, frame.line, frame.column or 0),
        }
        if frame.end_line and frame.end_column is not None:
            end = self._column(frame.path, frame.end_line, frame.end_column)
            location |= {"endLine": self.line(frame.end_line), "endColumn": end}
        return location

    def line(self, line: int) -> int:
        """Convert a line number, counted from 1, to the editor's."""
        return line - 1 + self.first_line

    def _column(self, path: str, line: int, column: int) -> int:
        """Convert a column from bytes of UTF-8, counted from 0, to the editor's UTF-16 units."""
        before = linecache.getline(path, line).encode()[:column].decode(errors="ignore")
        return units(before) + self.first_column


def units(text: str) -> int:
    """Return the length of a text in UTF-16 code units.

    >>> units("a"), units("ḡ"), units("😀")
    (1, 1, 2)
    """
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
