"""`autolm sample`: a trained model goes on with a text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sample(
    run: Annotated[Path, typer.Argument(help="The folder of a run, or of a pretrained model.")],
    prompt: Annotated[str, typer.Option(help="How the text begins.")] = "",
    tokens: Annotated[int, typer.Option(help="How many tokens to write.", min=1)] = 300,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Choose among so many tokens only.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Choose among the likeliest only.")] = None,
    seed: Annotated[int | None, typer.Option(help="For the same text each time.", min=0)] = None,
    native: Annotated[bool, typer.Option(help="Record and compile it (extra fast).")] = False,
) -> None:
    """Let a trained model go on with a text, as it comes."""
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
