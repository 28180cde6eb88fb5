"""`autolm step`: steps through the backward pass of a program or a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autolm.cli.runs import read_text
from autolm.cli.targets import (
    OUTPUT,
    PROGRAM,
    Arguments,
    Module,
    Target,
    Text,
    Variable,
    check_output,
    choose,
    folder,
    is_run,
    root_of,
    write,
)
from autolm.outside.message import message


def step(
    target: Target = None,
    arguments: Arguments = None,
    module: Module = None,
    var: Variable = None,
    number: Annotated[
        int | None,
        typer.Option(
            "--pass",
            min=0,
            metavar="N",
            help=message(
                "Stop at the start of backward pass N of a training loop; earlier passes run at "
                "full speed."
            ),
            show_default=message("0, the first"),
            rich_help_panel=PROGRAM,
        ),
    ] = None,
    when: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help=message(
                "Stop at the start of the first pass in which this Python expression is true, "
                "such as loss > 2 or grad('fc1.weight').norm() > 10."
            ),
            rich_help_panel=PROGRAM,
        ),
    ] = None,
    text: Text = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=message("Write a page to step through in a browser, and open no debugger."),
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    segment: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help=message(
                "Save memory: keep the gradients of N steps, and recompute earlier ones when you "
                "step back."
            ),
            show_default=message("keep all"),
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Open the debugger at a backward pass, or write the pass as a page."""
    from autolm.walking.passes import Passes

    chosen = choose(target, module, arguments)
    if number is not None and when is not None:
        raise ValueError(message("--pass and --when each choose the pass: leave one of them out"))
    if is_run(chosen, var, text) and (number is not None or when is not None):
        raise ValueError(
            message("--pass and --when are for a program, and {chosen} is a folder", chosen=chosen)
        )
    passes = Passes(number or 0, when or "")
    if html is not None:
        from autolm.pages.player_page import PLAYER_KINDS, player
        from autolm.walking.program_names import use_variables

        check_output(html, PLAYER_KINDS)
        if segment is not None:
            raise ValueError(message("--segment is for the debugger: leave it out with --html"))
        if is_run(chosen, var, text):
            read = read_text(folder(chosen), text)
            write(lambda: player(read.loss, html, tokens=read.tokens))
            return
        root, variables = root_of(chosen, var, text, passes)
        with use_variables(variables):
            write(lambda: player(root, html))
    elif is_run(chosen, var, text):
        from autolm.debugger.stop_backward import open_debugger
        from autolm.walking.program import Pass

        read = read_text(folder(chosen), text)
        open_debugger(Pass(read.loss, variables=read._asdict()), segment)
    else:
        from autolm.debugger.script import debug_script
        from autolm.walking.program import Program

        program = Program(chosen.path, chosen.args, var, passes, chosen.module)
        code = debug_script(program, segment)
        if code:
            raise typer.Exit(code)
