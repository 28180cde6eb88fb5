"""Help in plain text, under headings: commands by what they are for, options by what they set.

The headings are typer's own `rich_help_panel`s; typer shows them only by way of rich, which takes
longer to load than all the rest of the help.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from typer.core import TyperCommand, TyperGroup

from autolm.outside.columns import folded, padded, width
from autolm.outside.language import say

WITHOUT_DOCSTRINGS = "no descriptions under python -OO, which removes them from the code"
WIDEST_TERM = 30  # columns; what is explained of a wider one begins in the next line

Rows = dict[str, list[tuple[str, str]]]  # by heading


class GroupedCommand(TyperCommand):
    """A command whose help has its options under headings."""

    def get_help(self, ctx: Any) -> str:
        """Return the help, in signs that the output has."""
        return _writable(super().get_help(ctx))

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what it does."""
        _write_what_it_does(self.help, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options."""
        _write(_parameters(self.get_params(ctx), ctx), formatter)


class GroupedCommands(TyperGroup):
    """A command of commands, whose help has them under headings."""

    def get_help(self, ctx: Any) -> str:
        """Return the help, in signs that the output has."""
        return _writable(super().get_help(ctx))

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what it does."""
        _write_what_it_does(self.help, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, and then the options."""
        rows: Rows = {}
        for name, command in self.commands.items():
            heading = str(getattr(command, "rich_help_panel", None) or "Commands")
            rows.setdefault(heading, []).append((name, command.get_short_help_str(limit=200)))
        _write(rows | _parameters(self.get_params(ctx), ctx), formatter)


def _parameters(parameters: Iterable[Any], ctx: Any) -> Rows:
    rows: Rows = {}
    for parameter in parameters:
        record = parameter.get_help_record(ctx)
        if record is not None:
            usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
            heading = getattr(parameter, "rich_help_panel", None) or usual
            rows.setdefault(heading, []).append(record)
    return rows


def _writable(text: str) -> str:
    """Replace what the output lacks; click believes no output that is ASCII, and writes UTF-8."""
    text = text.replace("Usage:", say("Usage:"), 1)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "autolm.stand_in").decode(encoding)


def _write(rows: Rows, formatter: Any) -> None:
    for heading, lines in rows.items():
        with formatter.section(say(heading)):
            _write_list([(term, say(meaning)) for term, meaning in lines], formatter)


def _write_what_it_does(text: str | None, formatter: Any) -> None:
    formatter.write_paragraph()
    with formatter.indentation():
        room = formatter.width - formatter.current_indent
        for line in folded(say(text or WITHOUT_DOCSTRINGS), room):
            formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def _write_list(lines: list[tuple[str, str]], formatter: Any) -> None:
    """Write terms with their meanings, as click does, which thinks all letters equally wide."""
    column = min(max(width(term) for term, _ in lines), WIDEST_TERM) + 2
    margin = f"{'':{formatter.current_indent}}"
    for term, meaning in lines:
        first, *rest = folded(meaning, max(formatter.width - column - 2, 10))
        if width(term) > column - 2:
            rest.insert(0, first)
            formatter.write(f"{margin}{term}\n")
        else:
            formatter.write(f"{margin}{padded(term, column)}{first}\n")
        for line in rest:
            formatter.write(f"{margin}{'':{column}}{line}\n")
