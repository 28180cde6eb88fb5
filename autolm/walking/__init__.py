"""A pass through a graph, walked both ways, and how it is told (floor 3).

Steps, breakpoints, names, wording, explanations, blame, what-if, and running a program for its
graph. Nothing here prints or knows a terminal, and a node is asked for what it is, not assumed.
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
