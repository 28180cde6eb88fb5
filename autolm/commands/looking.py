"""The commands that look into a computation: `step` walks its backward pass, `draw` draws it.

Both take a program, or the folder of a run: then it is the loss of the trained model on a text.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autolm.commands.runs import loss_of_run

if TYPE_CHECKING:
    from autolm.graph import Node

Target = Annotated[Path, typer.Argument(help="A program, FILE.py; or the folder of a run.")]
Variable = Annotated[
    str | None, typer.Option(help="The program's name for the root.", show_default="loss")
]
Text = Annotated[
    str | None,
    typer.Option(help="What the model reads.", show_default="a line of the validation text"),
]


def step(
    target: Target,
    var: Variable = None,
    text: Text = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a player instead: a page that is stepped through in a browser."),
    ] = None,
) -> None:
    """Walk backprop in a debugger, forwards and back: of a program, or of a trained model."""
    if html is not None:
        from autolm.inspect.player import PLAYER_KINDS, player

        _check_output(html, PLAYER_KINDS)
        root = _root(target, var, text)
        _write(lambda: player(root, html))
    elif _is_run(target, var, text):
        from autolm.inspect.stop_backward import open_debugger

        loss, model = loss_of_run(target, text)
        open_debugger(loss, None, None, {"loss": loss, "model": model})
    else:
        from autolm.inspect.script import debug_script

        debug_script(target, var)


def draw(
    target: Target,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The picture: .svg, .png, .pdf, .dot or .html.")
    ],
    var: Variable = None,
    text: Text = None,
    depth: Annotated[
        int | None, typer.Option(help="How deep scopes are opened; 0 closes all.", min=0)
    ] = None,
    expand: Annotated[
        list[str] | None, typer.Option(help="A scope to open, such as blocks.0.attention.")
    ] = None,
    focus: Annotated[
        str | None, typer.Option(help="Draw only what is near the node of this name.")
    ] = None,
    radius: Annotated[
        int | None, typer.Option(help="How near: so many edges. [2]", min=0, show_default=False)
    ] = None,
    grad: Annotated[
        bool, typer.Option("--grad", help="Draw the backward pass too, with its arithmetic.")
    ] = False,
    dark: Annotated[bool, typer.Option("--dark", help="Light on dark.")] = False,
) -> None:
    """Draw the graph of a program, or of a trained model, into a file."""
    from autolm.inspect.draw import KINDS, render

    _check_output(output, KINDS)
    if radius is not None and focus is None:
        raise ValueError("--radius is how far around --focus is drawn, and there is no --focus")
    options: dict[str, Any] = {"depth": depth, "expand": expand or (), "focus": focus, "dark": dark}
    options |= {"radius": radius} if radius is not None else {}
    options |= {"edges": "chain rule"} if grad else {}
    root = _root(target, var, text)
    _write(lambda: render(root, output, **options))


def _root(target: Path, var: str | None, text: str | None) -> Node:
    from autolm.inspect.program import root_of_program

    if _is_run(target, var, text):
        return loss_of_run(target, text)[0]
    return root_of_program(target, var)


def _check_output(path: Path, kinds: Collection[str]) -> None:
    """Refuse a file that cannot be made, before a program is run for it."""
    if path.suffix not in kinds:
        raise ValueError(f"{path}: the name of the file ends in one of {', '.join(kinds)}")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: cannot be written: there is no folder {path.parent}")


def _write(make: Callable[[], Path]) -> None:
    """Make a file and name it; say in a line each what had to be left out of it."""
    from autolm.inspect.renderers import RendererMissing

    with warnings.catch_warnings(record=True) as said:
        try:
            path = make()
        except RendererMissing as error:
            raise ValueError(str(error)) from None
    for warning in said:
        print(f"autolm: {warning.message}", file=sys.stderr)
    print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


def _is_run(target: Path, var: str | None, text: str | None) -> bool:
    """Whether the target is a folder; --var and --text each belong to one kind of target."""
    if target.is_dir() and var is not None:
        raise ValueError(f"--var is for a program, and {target} is a folder")
    if not target.is_dir() and text is not None:
        raise ValueError(f"--text is for a run, and {target} is not a folder")
    return target.is_dir()
