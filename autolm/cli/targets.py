"""Targets of `step` and `draw`, and the files that they write.

A target is a program, or the folder of a trained model, whose loss on a text is computed.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autolm.cli.runs import read_text
from autolm.outside.language import say
from autolm.outside.message import message
from autolm.outside.terminal import print_safely

if TYPE_CHECKING:
    from autolm.engine.graph import Node
    from autolm.walking.passes import Passes

PROGRAM, MODEL, OUTPUT = message("Program"), message("Model"), message("Output")

Target = Annotated[
    str | None,
    typer.Argument(
        metavar="TARGET",
        help=message("Program (FILE.py), run folder, or folder of a pretrained model."),
    ),
]
Arguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ARGS", help=message("Arguments of the program; put -- before the first option.")
    ),
]
Module = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--module",
        metavar="MODULE",
        help=message("Run a module, as python -m does."),
        rich_help_panel=PROGRAM,
    ),
]
Variable = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=message("Variable of the program to differentiate."),
        show_default="loss",
        rich_help_panel=PROGRAM,
    ),
]
Text = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help=message("Text for the model to read."),
        show_default=message("first line of the validation text"),
        rich_help_panel=MODEL,
    ),
]


@dataclass(frozen=True)
class Chosen:
    """The program or the folder that the command line names.

    Attributes
    ----------
    path, module
        The file or folder, or else the module to run.
    args
        The arguments of the program.
    """

    path: Path | None
    module: str | None
    args: tuple[str, ...]

    def __str__(self) -> str:
        return str(self.path) if self.module is None else f"-m {self.module}"


def choose(target: str | None, module: str | None, arguments: Sequence[str] | None) -> Chosen:
    """Parse the target; with -m, all positional arguments belong to the module.

    Raises
    ------
    ValueError
        If there is neither a program nor a module, or arguments follow a folder.
    """
    if module is not None:
        words = [] if target is None else [target]
        return Chosen(None, module, (*words, *(arguments or ())))
    if target is None:
        raise ValueError(message("name a program, FILE.py, or a folder; or -m MODULE"))
    chosen = Chosen(Path(target), None, tuple(arguments or ()))
    if chosen.args and Path(target).is_dir():
        raise ValueError(
            message("arguments are for a program, and {target} is a folder", target=target)
        )
    return chosen


def root_of(
    chosen: Chosen, var: str | None, text: str | None, passes: Passes | None = None
) -> tuple[Node, Mapping[str, Any]]:
    """Run the program or the model; return the root and the program's variables."""
    from autolm.walking.program import root_of_program

    if is_run(chosen, var, text):
        return read_text(folder(chosen), text).loss, {}
    return root_of_program(chosen.path, var, chosen.args, chosen.module, passes)


def folder(chosen: Chosen) -> Path:
    """Return the path of a folder."""
    assert chosen.path is not None
    return chosen.path


def check_output(path: Path, kinds: Collection[str]) -> None:
    """Raise ValueError for a file that cannot be written, before a program runs."""
    if path.suffix not in kinds:
        raise ValueError(
            message(
                "{path}: the name of the file ends in one of {kinds}",
                path=path,
                kinds=", ".join(kinds),
            )
        )
    if not path.parent.is_dir():
        raise ValueError(
            message(
                "{path}: cannot be written: there is no folder {parent}",
                path=path,
                parent=path.parent,
            )
        )


def write(make: Callable[[], Path]) -> None:
    """Write a file; print its name and size, and each warning on a line."""
    from autolm.drawing.renderers import RendererMissing

    with warnings.catch_warnings(record=True) as caught:
        try:
            path = make()
        except RendererMissing as error:
            raise ValueError(str(error)) from None
    for warning in caught:
        print_safely(f"autolm: {say(str(warning.message))}", sys.stderr)
    print_safely(f"{path}  {path.stat().st_size / 1000:.0f} kB")


def is_run(chosen: Chosen, var: str | None, text: str | None) -> bool:
    """Whether the target is a folder; raise ValueError if --var or --text does not fit it."""
    is_folder = chosen.path is not None and chosen.path.is_dir()
    if is_folder and var is not None:
        raise ValueError(message("--var is for a program, and {target} is a folder", target=chosen))
    if not is_folder and text is not None:
        raise ValueError(
            message("--text is for a run, and {target} is not a folder", target=chosen)
        )
    return is_folder
