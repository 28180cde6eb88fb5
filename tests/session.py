"""A debugger without a terminal, and the neuron to try it on."""

from io import StringIO

from autolm import Value
from autolm.debugger.commands import Debugger
from autolm.walking import Backprop


class Session:
    """A debugger without a terminal: `say` types a line and returns what is answered."""

    def __init__(self, root, variables=None, **options):
        self.walk = Backprop(root)
        self.debugger = Debugger(self.walk, variables or {}, **options)
        self.debugger.stdout = StringIO()
        self.left = False

    def say(self, line):
        self.debugger.stdout.seek(0)
        self.debugger.stdout.truncate()
        self.left = self.debugger.onecmd(line)
        return self.debugger.stdout.getvalue().rstrip("\n")

    def position_after(self, line):
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
