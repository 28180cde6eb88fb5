"""Walk a backward pass in both directions, and describe it in words.

Nothing here prints or depends on a terminal. The front ends (prompt, editor, page, notebook) use

============================= ======================================================================
`walk.Walk`                   a pass with a position: `preview step send back unsend goto run
                              run_back out back_out set uses consumers explain finish abandon`
`runner.RunResult`            why a run stopped, and at which breakpoints
`breakpoints.Breakpoint`      a `StepSelection` (`at_line at_function at_operation at_name at_scope
                              at_step at_change_of at_nonfinite at_word`), a condition, a hit
                              condition and a log
`names.Names`                 the name of each node
`namespace.Namespace`         evaluation of Python before a step
`stack.Stack`                 the operation, its scopes and the call of `backward()`
`variable_tree.VariableTree`  a lazy tree of the step, its operands, the leaves and the variables
`program.Program`             runs a program and calls back at its backward passes
============================= ======================================================================

The engine records where a node was created: `node.location` has the calls, and `node.entered` has
the scopes with the line that entered each.
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
