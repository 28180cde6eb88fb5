"""`autolm step`: walks the backward pass of a program or of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autolm.cli.runs import loss_of_run
from autolm.cli.targets import Target, Text, Variable, check_output, is_run, root_of, write


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
        from autolm.pages.player_page import PLAYER_KINDS, player
        from autolm.walking.program_names import in_program

        check_output(html, PLAYER_KINDS)
        root, variables = root_of(target, var, text)
        with in_program(variables):
            write(lambda: player(root, html))
    elif is_run(target, var, text):
        from autolm.debugger.stop_backward import open_debugger

        loss, model = loss_of_run(target, text)
        open_debugger(loss, None, None, {"loss": loss, "model": model})
    else:
        from autolm.debugger.script import debug_script

        debug_script(target, var)
