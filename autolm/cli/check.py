"""`autolm check`: proves the gradients of operations, ours or those in files of yours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    operations: Annotated[
        list[str] | None,
        typer.Argument(
            help="Which operations, and Python files of yours: their primitives, Functions of "
            "PyTorch and rules of JAX are checked instead of ours. All if none is named.",
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="How long to search: dev, ci or nightly.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Go on with more examples until each check has taken this much processor time; "
            "print what was tried.",
        ),
    ] = None,
    module: Annotated[
        list[Path] | None, typer.Option(help="A Python file, the same as naming it.")
    ] = None,
    diagnosis: Annotated[
        bool,
        typer.Option(
            "--diagnosis/--no-diagnosis", help="Whether to say the cause; an exercise keeps it."
        ),
    ] = True,
    drawings: Annotated[
        Path | None,
        typer.Option(help="Draw the counterexample of each wrong operation into this folder."),
    ] = None,
) -> None:
    """Prove the gradients of operations, or say which rule is wrong, where and how."""
    from autolm.cli.verdicts import show_verdicts

    named = operations or []
    files = [*(module or []), *(Path(word) for word in named if word.endswith(".py"))]
    names = [word for word in named if not word.endswith(".py")]
    raise typer.Exit(
        show_verdicts(
            names,
            profile=profile,
            seconds=seconds,
            modules=files,
            diagnosis=diagnosis,
            drawings=drawings,
        )
    )
