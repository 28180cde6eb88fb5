"""`autolm step`: walks the backward pass of a program or of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autolm.cli.runs import read_text
from autolm.cli.targets import Target, Text, Variable, check_output, is_run, root_of, write


def step(
    target: Target,
    var: Variable = None,
    text: Text = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a player instead: a page that is stepped through in a browser."),
    ] = None,
    segment: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of a large model: keep the gradients of so many steps, and compute those before "
            "again where you go back to them.",
            show_default="all are kept",
        ),
    ] = None,
) -> None:
    """Walk backprop in a debugger, forwards and back: of a program, or of a trained model."""
    if html is not None:
        from autolm.pages.player_page import PLAYER_KINDS, player
        from autolm.walking.program_names import in_program

        check_output(html, PLAYER_KINDS)
        if segment is not None:
            raise ValueError("--segment is for the debugger: leave it out with --html")
        if is_run(target, var, text):
            read = read_text(target, text)
            write(lambda: player(read.loss, html, tokens=read.tokens))
            return
        root, variables = root_of(target, var, text)
        with in_program(variables):
            write(lambda: player(root, html))
    elif is_run(target, var, text):
        from autolm.debugger.stop_backward import open_debugger
        from autolm.walking.program import Pass

        read = read_text(target, text)
        open_debugger(Pass(read.loss, variables=read._asdict()), segment)
    else:
        from autolm.debugger.script import debug_script

        code = debug_script(target, var, segment)
        if code:
            raise typer.Exit(code)
