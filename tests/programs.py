"""Random programs that either engine can run: graphs with sharing, repeats and unequal paths.

Every result stays between -1 and 1, so that nothing overflows however long a program is.
"""

from typing import NamedTuple

from hypothesis import strategies as st

INSTRUCTIONS = {
    "add": lambda a, b: (a + b) / 2,
    "sub": lambda a, b: (a - b) * 0.5,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / (2 + b),
    "pow": lambda a, b: (2 + a) ** b / 3,
    "square": lambda a, b: a**2,
    "power of two": lambda a, b: 2 ** (b - 1),
    "neg": lambda a, b: -a,
    "abs": lambda a, b: abs(b),
    "exp": lambda a, b: (a - 1).exp(),
    "log": lambda a, b: (2 + a).log() / 2,
    "sqrt": lambda a, b: (1.5 - b).sqrt() / 2,
    "sin": lambda a, b: a.sin(),
    "cos": lambda a, b: b.cos(),
    "tanh": lambda a, b: a.tanh(),
    "sigmoid": lambda a, b: b.sigmoid(),
    "relu": lambda a, b: a.relu(),
}


class Program(NamedTuple):
    """Numbers to start from, and instructions, each on two results counted from the latest."""

    numbers: list[float]
    instructions: list[tuple[str, int, int]]

    def run(self, leaf):
        """Compute with nodes that `leaf` makes; return the leaves and the last result."""
        leaves = [leaf(number) for number in self.numbers]
        results = list(leaves)
        for name, i, j in self.instructions:
            a, b = results[-1 - i % len(results)], results[-1 - j % len(results)]
            results.append(INSTRUCTIONS[name](a, b))
        return leaves, results[-1]


def programs():
    """Generate programs of up to 15 instructions on up to 3 numbers."""
    number = st.floats(-1, 1, allow_subnormal=False)
    instruction = st.tuples(st.sampled_from(sorted(INSTRUCTIONS)), *[st.integers(0, 4)] * 2)
    return st.builds(
        Program,
        st.lists(number, min_size=1, max_size=3),
        st.lists(instruction, min_size=1, max_size=15),
    )
