"""The main command: runs a command and reports an error in one line.

`--traceback`, which prints the traceback instead, and `--language` can be given at any position.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from traceback import format_exception
from typing import Annotated, Any

import typer

from autolm.cli.check import check
from autolm.cli.dap import dap
from autolm.cli.draw import draw
from autolm.cli.exit_codes import (
    DONE,
    FAILED,
    INTERRUPTED,
    WRONG_USE,
    ReportedByAnotherWorker,
    is_one_of_several,
)
from autolm.cli.export import export
from autolm.cli.grouped_help import GroupedCommand, GroupedCommands
from autolm.cli.info import info
from autolm.cli.ops import ops
from autolm.cli.sample import sample
from autolm.cli.step import step
from autolm.cli.train import train
from autolm.cli.vscode import vscode
from autolm.outside.language import say, speak, usual_language
from autolm.outside.message import Message, joined, message, plain_message
from autolm.outside.terminal import (
    in_a_line,
    let_go_of_output,
    print_safely,
    show_in_any_encoding,
    words_of,
)

COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    message("See"): (step, draw),
    message("Check"): (check,),
    message("Train"): (train, sample, export),
    message("Reference"): (info, ops),
    message("Editors"): (vscode, dap),
}

NOT_A_PROGRAM = (str(Path(__file__).parents[1]), "<frozen ")  # where the files of such calls begin

app = typer.Typer(
    name="autolm",
    cls=GroupedCommands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _heading, _commands in COMMANDS.items():
    for _command in _commands:
        app.command(cls=GroupedCommand, rich_help_panel=_heading)(_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print_safely(f"autolm {version('autolm')}")
        raise typer.Exit(DONE)


@app.callback()
def autolm(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help=message("Show the version."), callback=_show_version, is_eager=True
        ),
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help=message("Show the traceback of an error."))
    ] = False,
    language: Annotated[
        str | None,
        typer.Option(
            metavar="en|ko",
            help=message("Language of messages and help."),
            show_default=message("language of the locale"),
        ),
    ] = None,
) -> None:
    """Define the options of all commands; `main` reads `--traceback` and `--language`."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command, and end the process with its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        show_in_any_encoding(stream)
    log = logging.getLogger("autolm")
    log.addHandler(_LOG_HANDLER)
    log.setLevel(logging.INFO)
    words, program_words = _split_at_dashes(arguments)  # a program can have the same options
    show_traceback = "--traceback" in words
    command, code, is_parsed = typer.main.get_command(app), DONE, False
    try:
        words = [word for word in words if word != "--traceback"]
        speak(usual_language())  # for the error about an unknown --language
        speak(_language(words))
        words = [*words, *program_words] or ["--help"]
        with command.make_context("autolm", words) as context:
            is_parsed = True
            command.invoke(context)
        if sys.stdout is not None:  # a program can set it to None
            print_safely("", end="")  # flush; a failure is reported like other errors
    except typer.Exit as end:
        code = end.exit_code
    except BrokenPipeError:  # the reader of the pipe has exited, as `head` does
        let_go_of_output()
    except ReportedByAnotherWorker as error:
        _, code = _text_and_code(error.__cause__)
    except BaseException as error:  # a program can raise any of them
        text, code = _text_and_code(error)
        if show_traceback:
            print_safely(_traceback_of(error), sys.stderr, end="")
        elif (is_parsed and not _is_usage_error(error)) or _is_first_worker():
            _print_error(text)
            if _error_in_program(error) is not None:
                line = shlex.join(arguments)
                _print_error(message("for the traceback: autolm --traceback {line}", line=line))
    _flush_output()
    if code != DONE and is_one_of_several():  # a regular exit can wait forever for a lost worker
        os._exit(code)
    sys.exit(code)


def _flush_output() -> None:
    """Flush standard output, or discard it: Python would fail to flush it at exit."""
    try:
        print_safely("", end="")
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            let_go_of_output()


def _print_error(text: str) -> None:
    is_template = isinstance(text, Message)
    print_safely(f"autolm: {in_a_line(say(text if is_template else in_a_line(text)))}", sys.stderr)


class _LogHandler(logging.Handler):
    """Prints log records as the command prints errors."""

    def emit(self, record: logging.LogRecord) -> None:
        _print_error(record.getMessage())


_LOG_HANDLER = _LogHandler()


def _replace_closed_streams() -> None:
    """Open the null device for closed standard streams, whose descriptors a file would take."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+" if descriptor else "r"))  # noqa: SIM115


def _split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Split a command line before the first `--`, after which all words are a program's."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:end], arguments[end:]


def _error_in_program(error: BaseException) -> BaseException | None:
    """Return the exception that a user's program raised, if it caused the error."""
    program: Any = sys.modules.get("autolm.walking.program")  # imported if a program was run
    if program is None or not isinstance(error, program.ProgramError):
        return None
    return None if isinstance(error.__cause__, SyntaxError) else error.__cause__


def _traceback_of(error: BaseException) -> str:
    """Format a traceback; that of an error in a program begins at its first call."""
    cause = _error_in_program(error)
    if cause is None:
        return "".join(format_exception(error))
    trace = cause.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(NOT_A_PROGRAM):
        trace = trace.tb_next
    return "".join(format_exception(type(cause), cause, trace))


def _language(words: list[str]) -> str:
    """Remove `--language` from the words and return it; the default is that of the locale."""
    chosen = usual_language()
    for word in list(words):
        option, equals, value = word.partition("=")
        if option == "--language":
            index = words.index(word)
            if not equals:
                value = "".join(words[index + 1 : index + 2])
            del words[index : index + (1 if equals else 2)]
            chosen = value
    return chosen


def _text_and_code(error: Any) -> tuple[str, int]:
    """Return the message of an error, and the exit code that it leads to."""
    if _is_interrupt(error):
        return message("interrupted"), INTERRUPTED
    if _is_usage_error(error):
        return error.format_message(), WRONG_USE
    text, kind = words_of(error), type(error).__name__
    if isinstance(error, OSError):
        if not text.startswith("[Errno"):
            return text, FAILED
        file = [str(error.filename)] if error.filename is not None else []
        reason = error.strerror or ""
        if not isinstance(reason, Message):
            reason = plain_message(reason)
        return joined(": ", [*file, reason]), FAILED
    if isinstance(error, MemoryError):
        return message("there is not enough memory: {text}", text=text), FAILED
    if isinstance(error, ValueError):
        return text, WRONG_USE
    return text if text.startswith(kind) else message(
        "{kind}: {text}", kind=kind, text=text
    ), FAILED


def _is_usage_error(error: BaseException) -> bool:
    """Whether typer raised it for the words of the command line."""
    return hasattr(error, "format_message")


def _is_first_worker() -> bool:
    """Whether this is the first worker on its machine; all have the same command line."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C caused an error, which a library may have wrapped in another."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None
