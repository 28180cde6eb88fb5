"""`autolm check`: checks the gradients of autolm's operations, or of files and packages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autolm.outside.message import message

SEARCH, REPORT = message("Search"), message("Report")


def check(
    operations: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="OPERATION|FILE|PACKAGE",
            help=message(
                "Operations of autolm; or Python files, or folders of packages, whose primitives, "
                "autograd.Functions and custom ops of PyTorch and custom_vjp rules of JAX are "
                "checked."
            ),
            show_default=message("all operations of autolm"),
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="dev|ci|nightly",
            help=message("Effort of the search for counterexamples."),
            show_default=message("HYPOTHESIS_PROFILE, else ci if CI is set, else dev"),
            rich_help_panel=SEARCH,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help=message(
                "Search each operation for this much CPU time, and print which inputs were tried."
            ),
            rich_help_panel=SEARCH,
        ),
    ] = None,
    module: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help=message("A Python file, as if it were given as an argument."),
            rich_help_panel=SEARCH,
        ),
    ] = None,
    diagnosis: Annotated[
        bool,
        typer.Option(
            "--diagnosis/--no-diagnosis",
            help=message(
                "Say what is wrong with a rule, or only that it is wrong (for exercises)."
            ),
            show_default="--diagnosis",
            rich_help_panel=REPORT,
        ),
    ] = True,
    drawings: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help=message("Draw the counterexample of each wrong operation into this folder."),
            rich_help_panel=REPORT,
        ),
    ] = None,
) -> None:
    """Check the gradients of operations; exit with the code of the worst verdict."""
    from autolm.cli.verdicts import show_verdicts

    named = operations or []
    paths = [
        word for word in named if word.endswith(".py") or (Path(word) / "__init__.py").is_file()
    ]
    files = [*(module or []), *map(Path, paths)]
    names = [word for word in named if word not in paths]
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
