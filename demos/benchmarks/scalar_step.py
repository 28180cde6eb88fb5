"""Workloads of single numbers: a step of microgpt's model, and a graph of any size.

The step is the loss on one name and all its gradients. One layer, width 16, 4 heads, a name of
six letters: 60 000 nodes where sums and products are of two, as in microgpt's own program, and
7 000 with `dot` and `sum`. The other graph is a tree of averages, (a + b) · ½, level by level.
"""

import random
from collections.abc import Callable, Iterable
from itertools import pairwise
from string import ascii_lowercase
from typing import Any, NamedTuple

from autolm import Tape
from autolm.engine.graph import topological_order
from benchmarks.c_tape import CTape
from benchmarks.scalar_values import FUSED_SUMS, MICROGPT, OURS, ScalarEngine, micrograd

TECHNIQUE, AUTOLM, FUSED = MICROGPT.name, OURS.name, FUSED_SUMS.name
MICROGRAD, TAPE, FUSED_TAPE = "micrograd", "Tape", "Tape, dot and sum"
C_TAPE = "a tape in C"
RIVALS = (TECHNIQUE, AUTOLM, FUSED, MICROGRAD, C_TAPE, TAPE, FUSED_TAPE)
Vector = list[Any]
Matrix = list[Vector]

WIDTH, HEADS, CONTEXT = 16, 4, 16
SHAPES = {
    **dict.fromkeys(("tokens", "unembedding"), (len(ascii_lowercase) + 1, WIDTH)),
    "positions": (CONTEXT, WIDTH),
    **dict.fromkeys(("to_query", "to_key", "to_value", "to_output"), (WIDTH, WIDTH)),
    "expand": (4 * WIDTH, WIDTH),
    "contract": (WIDTH, 4 * WIDTH),
}


class Work(NamedTuple):
    """The functions of one rival in a step."""

    record: Callable[[], Any]  # returns the root of the graph
    backward: Callable[[Any], object]
    result: Callable[[Any], float]
    gradients: Callable[[], Iterable[float]]
    clear: Callable[[], object]  # resets the gradients before a step


def microgpt_step(rival: str, name: str) -> Work:
    """Prepare a rival for the loss of microgpt's model on a name."""
    program = Program(engine_of(rival))
    if rival == C_TAPE:
        return in_c(program.loss(name), program.parameters)
    if rival in (TAPE, FUSED_TAPE):
        return on_tape(program.loss(name), program.parameters)
    return eagerly(lambda: program.loss(name), program.parameters)


def tree_of_averages(rival: str, nodes: int) -> Work:
    """Prepare a rival for a graph of about so many nodes, a third of them leaves."""
    engine, rng = engine_of(rival), random.Random(0)
    leaves = [engine.value(rng.gauss(0, 1)) for _ in range(nodes // 3)]
    half = engine.value(0.5)
    if rival == TAPE:
        return on_tape(averaged(leaves, half), [half])
    return eagerly(lambda: averaged(leaves, half), [half])


def averaged(leaves: Vector, half: Any) -> Any:
    """Return the average of averages."""
    level = leaves
    while len(level) > 1:
        odd = level[len(level) // 2 * 2 :]
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [(a + b) * half for a, b in pairs] + odd
    return level[0]


def engine_of(rival: str) -> ScalarEngine:
    """Return the engine that a rival runs on."""
    if rival == MICROGRAD:
        return micrograd()
    return {TECHNIQUE: MICROGPT, FUSED: FUSED_SUMS, FUSED_TAPE: FUSED_SUMS}.get(rival, OURS)


def eagerly(record: Callable[[], Any], parameters: Vector) -> Work:
    """Record anew in each step."""

    def clear() -> None:
        for parameter in parameters:
            parameter.grad = 0.0

    return Work(
        record,
        backward=lambda root: root.backward(),
        result=lambda root: float(root.data),
        gradients=lambda: [parameter.grad for parameter in parameters],
        clear=clear,
    )


def on_tape(root: Any, parameters: Vector) -> Work:
    """Record once, and replay."""
    under = set(topological_order(root))
    tape = Tape(root, parameters=[node for node in parameters if node in under])
    return Work(
        record=tape.forward,
        backward=lambda _: tape.backward(),
        result=float,
        gradients=lambda: tape.gradient.tolist(),
        clear=lambda: None,
    )


def in_c(root: Any, parameters: Vector) -> Work:
    """Record once, and replay in C."""
    tape = CTape(root, parameters)
    return Work(
        record=tape.forward,
        backward=lambda _: tape.backward(),
        result=float,
        gradients=lambda: tape.gradients[tape.trained].tolist(),
        clear=lambda: None,
    )


class Program:
    """microgpt's model on any scalar engine."""

    def __init__(self, engine: ScalarEngine) -> None:
        rng = random.Random(42)
        self.engine = engine
        self.matrices = {
            name: [[engine.value(rng.gauss(0, 0.08)) for _ in range(columns)] for _ in range(rows)]
            for name, (rows, columns) in SHAPES.items()
        }
        self.parameters = [x for matrix in self.matrices.values() for row in matrix for x in row]

    def loss(self, name: str) -> Any:
        """Return the mean surprise at each letter of a name and at its end."""
        boundary = len(ascii_lowercase)
        tokens = [boundary, *map(ascii_lowercase.index, name), boundary]
        keys: Matrix = []
        values: Matrix = []
        positions = zip(pairwise(tokens), self.matrices["positions"], strict=False)
        surprises = [
            -self.engine.log(self.softmax(self.logits(token, position, keys, values))[target])
            for (token, target), position in positions
        ]
        return self.engine.sum(surprises) / len(surprises)

    def logits(self, token: int, position: Vector, keys: Matrix, values: Matrix) -> Vector:
        """Read one token."""
        of = self.matrices
        x = self.rms_norm(add(of["tokens"][token], position))
        normal = self.rms_norm(x)
        keys.append(self.linear(of["to_key"], normal))
        values.append(self.linear(of["to_value"], normal))
        attended = self.attend(self.linear(of["to_query"], normal), keys, values)
        x = add(x, self.linear(of["to_output"], attended))
        hidden = [value.relu() for value in self.linear(of["expand"], self.rms_norm(x))]
        return self.linear(of["unembedding"], add(x, self.linear(of["contract"], hidden)))

    def attend(self, query: Vector, keys: Matrix, values: Matrix) -> Vector:
        """Average the values, head by head."""
        size, result = WIDTH // HEADS, []
        for start in range(0, WIDTH, size):
            head = slice(start, start + size)
            scores = [self.engine.dot(query[head], key[head]) / size**0.5 for key in keys]
            weights = self.softmax(scores)
            columns = zip(*(value[head] for value in values), strict=True)
            result += [self.engine.dot(weights, column) for column in columns]
        return result

    def softmax(self, logits: Vector) -> Vector:
        """Make logits probabilities."""
        largest = max(logit.data for logit in logits)
        exponentials = [self.engine.exp(logit - largest) for logit in logits]
        total = self.engine.sum(exponentials)
        return [power / total for power in exponentials]

    def linear(self, matrix: Matrix, x: Vector) -> Vector:
        """Multiply a matrix by a vector."""
        return [self.engine.dot(row, x) for row in matrix]

    def rms_norm(self, x: Vector) -> Vector:
        """Bring numbers to a mean square of 1."""
        scale = (self.engine.dot(x, x) / len(x) + 1e-5) ** -0.5
        return [number * scale for number in x]


def add(a: Vector, b: Vector) -> Vector:
    return [x + y for x, y in zip(a, b, strict=True)]
