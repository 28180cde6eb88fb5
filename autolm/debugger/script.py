"""Debug the backward passes of a program as it is: `autolm step FILE.py`.

The program runs as it would by itself, with its lines recorded. It stops where it calls
`backward()` on the variable in question; if it never does, the debugger opens when it has ended.
"""

from __future__ import annotations

from autolm.debugger.stop_backward import open_debugger, walk_pass
from autolm.outside.language import say
from autolm.outside.message import joined, message
from autolm.outside.terminal import print_safely
from autolm.walking.program import Pass, Program, ProgramError


def debug_script(program: Program, segment: int | None = None) -> int:
    """Run a program, and debug its backward passes; return its exit code.

    Which variable is walked, and the errors where that is not clear, are those of `Program.run`.

    Raises
    ------
    ProgramError
        Also when the program ends without the pass that is awaited.
    """

    def at_prompt(here: Pass) -> None:
        others = program.other_roots(here) if program.visited == 1 else {}
        if others:
            names = ", ".join(f"{name} (line {line})" for name, line in others.items())
            print_safely(
                say(
                    message(
                        "backward() is also called on {names}; use --var NAME to debug another",
                        names=names,
                    )
                )
            )
        if here.call:
            walk_pass(here, segment, program.passes)
        else:
            open_debugger(here, segment)  # the program has ended: there is nothing to go on with

    code = program.run(at_prompt)
    unreached = program.passes.unreached_message()
    if unreached and not program.visited:
        raise ProgramError(joined(": ", [str(program.path), unreached]))
    if unreached:
        print_safely(say(unreached))
    return code
