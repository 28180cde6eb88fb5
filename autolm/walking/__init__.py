"""A pass through a graph, walked both ways, and how it is told (floor 3).

Nothing here prints or knows a terminal, and a node is asked for what it is, not assumed. Prompt,
editor, page and notebook are faces of it; what a face needs is

========================== =========================================================================
`walk.Walk`                the pass with a place in it: `position edge ahead finished preview step
                           send back unsend goto out back_out run run_back arrive set uses consumers
                           explain finish abandon`
`walk.Stopped`             why a run has come to rest, and by which breakpoints
`breakpoints.Breakpoint`   where to stop: `Places` (`at_line at_function at_operation at_name
                           at_scope at_step at_change_of at_nonfinite at`), a condition,
                           `hit_condition`, a log
`names.Names`              what each node is called
`namespace.Namespace`      evaluation: `evaluate execute condition message shown completions`
`stack.Stack`              the operation, its modules and the call of `backward()`, with their lines
`described.Describing`     a lazy tree of what is shown: step, operands, leaves, program
`program.Program`          a program run for its passes; `stopping` and `Pass` for one that runs
========================== =========================================================================

The calls that created a node are the engine's: `node.location` with its `frames` and `user`, and
`node.entered`, the scopes with the line that entered each.
"""

from autolm.walking.blame import Blame, blame_nonfinite
from autolm.walking.explanation import Explanation, explain
from autolm.walking.walk import Walk
from autolm.walking.what_if import Edit, edit

__all__ = [
    "Blame",
    "Edit",
    "Explanation",
    "Walk",
    "blame_nonfinite",
    "edit",
    "explain",
]
