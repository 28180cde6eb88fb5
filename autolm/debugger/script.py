"""Debug the backward passes of an unmodified program: `autolm step FILE.py`.

The program runs as without the debugger, with its lines recorded. It stops where it calls
`backward()` on the chosen variable; if it never does, the debugger opens after it has ended.
"""

from __future__ import annotations

from autolm.debugger.stop_backward import open_debugger, walk_pass
from autolm.outside.language import say
from autolm.outside.message import joined, message
from autolm.outside.terminal import print_safely
from autolm.walking.program import Pass, Program, ProgramError


def debug_script(program: Program, segment: int | None = None) -> int:
    """Run a program, and debug its backward passes; return its exit code.

    `Program.run` chooses the variable, and raises an error if the choice is ambiguous.

    Raises
    ------
    ProgramError
        Also if the program ends before the chosen pass.
    """

    def at_prompt(here: Pass) -> None:
        other_roots = program.other_roots(here) if program.visited == 1 else {}
        if other_roots:
            names = ", ".join(f"{name} (line {line})" for name, line in other_roots.items())
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
            open_debugger(here, segment)  # the program has ended and cannot continue

    code = program.run(at_prompt)
    unreached = program.passes.unreached_message()
    if unreached and not program.visited:
        raise ProgramError(joined(": ", [str(program.path), unreached]))
    if unreached:
        print_safely(say(unreached))
    return code
