"""`autolm sample`: generates text from a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autolm.outside.message import message

TEXT, SAMPLING, MACHINE = message("Text"), message("Sampling"), message("Machine")


def sample(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help=message("Run folder, or folder of a pretrained model.")
        ),
    ],
    prompt: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help=message("Text to continue."), rich_help_panel=TEXT, show_default=""
        ),
    ] = "",
    tokens: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help=message("Number of tokens to generate."),
            rich_help_panel=TEXT,
        ),
    ] = 300,
    temperature: Annotated[
        float,
        typer.Option(
            metavar="X",
            help=message("Sampling temperature; 0 always chooses the most probable token."),
            rich_help_panel=SAMPLING,
        ),
    ] = 1.0,
    top_k: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help=message("Sample from the K most probable tokens only."),
            rich_help_panel=SAMPLING,
        ),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            help=message("Sample from the most probable tokens whose probabilities add up to P."),
            rich_help_panel=SAMPLING,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help=message("Random seed, for a reproducible text."),
            rich_help_panel=SAMPLING,
        ),
    ] = None,
    native: Annotated[
        bool,
        typer.Option(
            "--native/--no-native",
            help=message("Record and compile the decoding step."),
            rich_help_panel=MACHINE,
        ),
    ] = False,
) -> None:
    """Print generated text, token by token."""
    import numpy as np

    from autolm.lm.sampling import stream_text
    from autolm.lm.trained import trained
    from autolm.outside.terminal import print_safely

    pieces = stream_text(
        *trained(run),
        prompt,
        tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        rng=np.random.default_rng(seed),
        recorded=native,
    )
    for piece in pieces:
        print_safely(piece, end="")
    print_safely("")
