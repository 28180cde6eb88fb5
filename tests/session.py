"""A debugger without a terminal, and the neuron to try it on."""

from io import StringIO

from autolm import Value
from autolm.debugger.commands import Debugger
from autolm.walking import Walk


class Session:
    """A debugger without a terminal: `say` types lines and returns what is answered."""

    def __init__(self, root, variables=None, segment=None, **options):
        self.walk = Walk(root, segment=segment)
        self.debugger = Debugger(self.walk, variables or {}, **options)
        self.debugger.stdout = StringIO()
        self.left = False

    def say(self, *lines):
        self.debugger.stdout.seek(0)
        self.debugger.stdout.truncate()
        queue = self.debugger.cmdqueue
        queue += lines
        while queue:
            self.left = self.debugger.onecmd(queue.pop(0))
        return self.debugger.stdout.getvalue().rstrip("\n")

    def position_after(self, line):
        """Return how many steps are done."""
        self.say(line)
        return self.walk.position


def the_neuron():
    x1, x2, w1, w2 = Value(2), Value(0), Value(-3), Value(1)
    b = Value(6.8813735870195432)
    x1w1, x2w2 = x1 * w1, x2 * w2
    x1w1x2w2 = x1w1 + x2w2
    n = x1w1x2w2 + b
    o = n.tanh()
    return o, dict(locals())
