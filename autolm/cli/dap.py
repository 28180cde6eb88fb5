"""`autolm dap`: the debug adapter that an editor starts."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from autolm.outside.message import message


def dap(
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help=message(
                "Wait for one editor at this port of localhost; 0 chooses and prints a free port."
            ),
            show_default=message("standard input and output"),
        ),
    ] = None,
) -> None:
    """Serve one editor over the Debug Adapter Protocol."""
    from autolm.debugger.dap.adapter import serve, serve_at

    if port is None:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    else:
        serve_at(port)
