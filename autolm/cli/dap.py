"""`autolm dap`: what an editor starts to step through backprop."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def dap(
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Wait for one editor at this port of this machine (0: at a free one, which is "
            "named), not on standard input and output.",
        ),
    ] = None,
) -> None:
    """Serve an editor that steps through backprop, by the Debug Adapter Protocol."""
    from autolm.debugger.dap.adapter import serve, serve_at

    if port is None:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    else:
        serve_at(port)
