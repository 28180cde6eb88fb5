"""What `step` and `draw` look into, a program or a folder; and the file they make.

Of a folder, of a run or of a pretrained model, it is the loss of the trained model on a text.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autolm.cli.runs import read_text
from autolm.outside.language import say
from autolm.outside.terminal import print_safely

if TYPE_CHECKING:
    from autolm.engine.graph import Node

Target = Annotated[
    Path,
    typer.Argument(help="A program, FILE.py; or the folder of a run, or of a pretrained model."),
]
Variable = Annotated[
    str | None, typer.Option(help="The program's name for the root.", show_default="loss")
]
Text = Annotated[
    str | None,
    typer.Option(help="What the model reads.", show_default="a line of the validation text"),
]


def root_of(target: Path, var: str | None, text: str | None) -> tuple[Node, Mapping[str, Any]]:
    """Run the program, or let the model read the text; return the root, and the variables."""
    from autolm.walking.program import root_of_program

    if is_run(target, var, text):
        return read_text(target, text).loss, {}
    return root_of_program(target, var)


def check_output(path: Path, kinds: Collection[str]) -> None:
    """Refuse a file that cannot be made, before a program is run for it."""
    if path.suffix not in kinds:
        raise ValueError(f"{path}: the name of the file ends in one of {', '.join(kinds)}")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: cannot be written: there is no folder {path.parent}")


def write(make: Callable[[], Path]) -> None:
    """Make a file and name it; say in a line each what had to be left out of it."""
    from autolm.drawing.renderers import RendererMissing

    with warnings.catch_warnings(record=True) as said:
        try:
            path = make()
        except RendererMissing as error:
            raise ValueError(str(error)) from None
    for warning in said:
        print_safely(f"autolm: {say(str(warning.message))}", sys.stderr)
    print_safely(f"{path}  {path.stat().st_size / 1000:.0f} kB")


def is_run(target: Path, var: str | None, text: str | None) -> bool:
    """Whether the target is a folder; --var and --text each belong to one kind of target."""
    if target.is_dir() and var is not None:
        raise ValueError(f"--var is for a program, and {target} is a folder")
    if not target.is_dir() and text is not None:
        raise ValueError(f"--text is for a run, and {target} is not a folder")
    return target.is_dir()
