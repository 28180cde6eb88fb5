"""Debug the backward pass of a program as it is: `autolm step FILE.py`.

The program runs as it would by itself, with its lines recorded. It is stopped where it calls
`backward()` on the variable in question; if it never does, the debugger opens when it has ended.
"""

from __future__ import annotations

from pathlib import Path

from autolm.debugger.stop_backward import open_debugger, walk_pass
from autolm.outside.language import say
from autolm.outside.terminal import print_safely
from autolm.walking.program import Pass, Program


def debug_script(path: Path, variable: str | None = None, segment: int | None = None) -> int:
    """Run a program, and debug the backward pass of one of its variables; return its exit code.

    Which one, and what is raised where that is not clear, is as for `root_of_program`.
    """
    program = Program(path, variable=variable)

    def at_prompt(here: Pass) -> None:
        others = program.other_roots(here)
        if others:
            told = ", ".join(f"{name} (line {line})" for name, line in others.items())
            print_safely(say(f"backward() is also called on {told}; --var NAME walks another"))
        if here.call:
            walk_pass(here, segment)
        else:
            open_debugger(here, segment)  # the program has ended: there is nothing to go on with

    return program.run(at_prompt)
