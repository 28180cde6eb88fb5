"""The commands that look into a computation: `step` walks its backward pass, `draw` draws it.

Both take a program, or the folder of a run: then it is the loss of the trained model on a text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autolm.commands.runs import loss_of_run

Target = Annotated[Path, typer.Argument(help="A program, FILE.py; or the folder of a run.")]
Variable = Annotated[
    str | None, typer.Option(help="The program's name for the root.", show_default="loss")
]
Text = Annotated[
    str | None,
    typer.Option(help="What the model reads.", show_default="a line of the validation text"),
]


def step(target: Target, var: Variable = None, text: Text = None) -> None:
    """Walk backprop in a debugger, forwards and back: of a program, or of a trained model."""
    from autolm.inspect.script import debug_script
    from autolm.inspect.stop_backward import open_debugger

    if _is_run(target, var, text):
        loss, model = loss_of_run(target, text)
        open_debugger(loss, None, None, {"loss": loss, "model": model})
    else:
        debug_script(target, var)


def _is_run(target: Path, var: str | None, text: str | None) -> bool:
    """Whether the target is a folder; --var and --text each belong to one kind of target."""
    if target.is_dir() and var is not None:
        raise ValueError(f"--var is for a program, and {target} is a folder")
    if not target.is_dir() and text is not None:
        raise ValueError(f"--text is for a run, and {target} is not a folder")
    return target.is_dir()
