"""Help in plain text: commands and options in groups, with defaults and examples.

Typer prints groups (`rich_help_panel`) only through rich, which takes longer to import than
everything else that `--help` needs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from typer.core import TyperCommand, TyperGroup

from autolm.cli.help_texts import HELP, PROGRAM
from autolm.outside.columns import folded, padded, width
from autolm.outside.language import say, say_template
from autolm.outside.message import Message, message

MAX_TERM_WIDTH = 30  # columns; the description of a wider term starts on the next line
ARGUMENTS, OPTIONS = message("Arguments"), message("Options")
message("Show this message and exit.")  # what click says of --help, for the catalogue

Rows = list[tuple[str, str]]  # pairs of a term and its description


class GroupedCommand(TyperCommand):
    """A command whose help has its options in groups."""

    def get_help(self, ctx: Any) -> str:
        """Return the help, encodable for standard output."""
        return _encodable(super().get_help(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words after the command; required arguments without Typer's braces."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the description."""
        text = HELP[self.name or ""]
        _write_paragraphs([text.summary, text.details], formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options."""
        _write_groups(_parameter_groups(self.get_params(ctx)), formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples and the extras."""
        text = HELP[self.name or ""]
        extras = {f"pip install 'autolm[{name}]'": use for name, use in text.extras.items()}
        _write_commands(message("Examples"), text.examples, formatter)
        _write_commands(message("Optional packages"), extras, formatter)


class GroupedCommands(TyperGroup):
    """The main command, whose help has the other commands in groups."""

    def get_help(self, ctx: Any) -> str:
        """Return the help, encodable for standard output."""
        return _encodable(super().get_help(ctx))

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the description."""
        _write_paragraphs([PROGRAM], formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, and then the options."""
        groups: dict[str, Rows] = {}
        for name, command in self.commands.items():
            group = getattr(command, "rich_help_panel", None) or ""
            groups.setdefault(group, []).append((name, HELP[name].summary))
        _write_groups(groups | _parameter_groups(self.get_params(ctx)), formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Say where to read more."""
        text = message("autolm COMMAND --help shows the options and examples of a command.")
        formatter.write_paragraph()
        _write_lines(say(text), formatter)


def _parameter_groups(parameters: Iterable[Any]) -> dict[str, Rows]:
    """Group parameters by their panel: arguments first, options without a panel last."""
    groups: dict[str, Rows] = {ARGUMENTS: []}
    ungrouped: Rows = []
    for parameter in parameters:
        row = (_term(parameter), _description(parameter))
        group = getattr(parameter, "rich_help_panel", None)
        if parameter.param_type_name == "argument":
            groups[ARGUMENTS].append(row)
        elif group:
            groups.setdefault(group, []).append(row)
        else:
            ungrouped.append(row)
    groups[OPTIONS] = ungrouped
    return {group: rows for group, rows in groups.items() if rows}


def _term(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"{parameter.metavar}..." if parameter.nargs != 1 else str(parameter.metavar)
    names = ", ".join(sorted(parameter.opts, key=len))
    if parameter.secondary_opts:
        names = " / ".join([names, *parameter.secondary_opts])
    return f"{names} {parameter.metavar}" if parameter.metavar else names


def _description(parameter: Any) -> str:
    text = say_template(parameter.help or "")
    if parameter.required and parameter.param_type_name == "option":
        required = say(message("[required]"))
        return f"{text} {required}"
    default = parameter.show_default
    if default is True:
        default = parameter.default
    if not default:
        return text
    label = say(message("default:"))
    value = say(default) if isinstance(default, Message) else default
    return f"{text} [{label}\N{NO-BREAK SPACE}{value}]"  # not broken between label and value


def _encodable(text: str) -> str:
    """Replace characters that standard output cannot encode."""
    text = text.replace("Usage:", say(message("Usage:")), 1)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "autolm.stand_in").decode(encoding)


def _write_commands(heading: str, commands: Mapping[str, str], formatter: Any) -> None:
    """Write command lines, each with its meaning below it."""
    if commands:
        with formatter.section(say(heading)):
            for command, meaning in commands.items():
                _write_lines(command, formatter)
                with formatter.indentation():
                    _write_lines(say(meaning), formatter)


def _folded(text: str, columns: int) -> list[str]:
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in folded(text, columns)]


def _write_groups(groups: dict[str, Rows], formatter: Any) -> None:
    for heading, rows in groups.items():
        with formatter.section(say_template(heading)):
            _write_rows([(term, say_template(text)) for term, text in rows], formatter)


def _write_paragraphs(texts: Iterable[str], formatter: Any) -> None:
    formatter.write_paragraph()
    with formatter.indentation():
        for text in filter(None, texts):
            _write_lines(say(text), formatter)


def _write_lines(text: str, formatter: Any) -> None:
    margin = f"{'':{formatter.current_indent}}"
    for line in _folded(text, formatter.width - formatter.current_indent):
        formatter.write(f"{margin}{line}\n")


def _write_rows(rows: Rows, formatter: Any) -> None:
    """Write terms and descriptions in two columns; unlike click's, for wide characters too."""
    column = min(max(width(term) for term, _ in rows), MAX_TERM_WIDTH) + 2
    margin = f"{'':{formatter.current_indent}}"
    for term, description in rows:
        first, *rest = _folded(description, max(formatter.width - column - 2, 10))
        if width(term) > column - 2:
            rest.insert(0, first)
            formatter.write(f"{margin}{term}\n")
        else:
            formatter.write(f"{margin}{padded(term, column)}{first}\n")
        for line in rest:
            formatter.write(f"{margin}{'':{column}}{line}\n")
