"""The process of a program that an editor has launched; it connects to the adapter only.

The program's output goes to the standard streams of the process, which the adapter reads.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

from autolm.debugger.dap.messages import Channel, read_argument
from autolm.debugger.dap.session import Session
from autolm.debugger.prompt import error_line
from autolm.outside.terminal import print_safely
from autolm.walking.program import Program, ProgramError, program_traceback

SECRET = "AUTOLM_DAP_SECRET"  # variable: identifies this process to the adapter


def main() -> int:
    """Run a program for the adapter at the port in `sys.argv`; return its exit code."""
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    connection.sendall(os.environ.pop(SECRET).encode() + b"\n")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", line_buffering=True)  # type: ignore[union-attr]
    session = Session(Channel.over_socket(connection), starts_program=True)
    session.start()
    session.configured.wait()
    try:
        return _run(session, session.options)
    finally:
        sys.stdout.flush()


def _run(session: Session, options: dict[str, Any]) -> int:
    path, args = (
        Path(read_argument(options, "program", str)),
        read_argument(options, "args", list, []),
    )
    variable = read_argument(options, "variable", str, "") or None
    program = Program(path, list(map(str, args)), variable, session.passes)
    try:
        return program.run(session.on_pass)
    except ProgramError as error:
        if error.__cause__ is not None:
            print_safely("".join(program_traceback(path, error.__cause__)), sys.stderr, end="")
        print_safely(f"autolm: {error_line(error)}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
