"""Workload: the loss of microgpt's model on one name, and all its gradients, number by number.

One layer, width 16, 4 heads, a name of 7 letters: 60 000 nodes where sums and products are of two,
as in microgpt's own program, and 7 700 with `dot` and `sum`. A step here records the graph (a Tape
does not) and runs backward; it moves no weights.
"""

import random
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import microgpt

from autolm import Tape
from autolm.engine.graph import topological_order
from benchmarks.race import Contestant, Race
from benchmarks.scalar_values import MICROGPT, OURS, ScalarEngine, micrograd

ALPHABET = [chr(ord("a") + i) for i in range(26)]
Vector = list[Any]
Matrix = list[Vector]


def build(name: str) -> Race:
    """Prepare the race on one name."""
    random.seed(42)
    model = microgpt.MicroGPT(ALPHABET)
    engines, absent = [MICROGPT, OURS], []
    try:
        engines.append(micrograd())
    except ImportError:
        absent.append("micrograd is not installed")
    programs = [Program(model, engine) for engine in engines]
    contestants = [eager(program.engine.name, program, name) for program in programs]
    contestants.append(eager("autolm, dot and sum", model, name))
    contestants.append(taped("Tape", programs[1], name))
    contestants.append(taped("Tape, dot and sum", model, name))
    return Race(f"scalar microgpt, one step on “{name}”", contestants, absent=absent)


class Program:
    """microgpt's model on any scalar engine, with sums and products of two, as in microgpt."""

    def __init__(self, model: microgpt.MicroGPT, engine: ScalarEngine) -> None:
        self.engine, self.alphabet, self.boundary = engine, model.alphabet, model.boundary
        (layer,) = model.layers
        names = {**vars(model), **vars(layer)}
        self.matrices = {
            key: [[engine.value(number.data) for number in row] for row in matrix]
            for key, matrix in names.items()
            if key in ("tokens", "positions", "unembedding", *vars(layer))
        }
        self.parameters = [x for matrix in self.matrices.values() for row in matrix for x in row]

    def loss(self, name: str) -> Any:
        """Return the mean surprise at each letter of a name and at its end."""
        tokens = [self.boundary, *map(self.alphabet.index, name), self.boundary]
        keys: Matrix = []
        values: Matrix = []
        positions = zip(pairwise(tokens), self.matrices["positions"], strict=False)
        surprises = [
            -self.engine.log(self.softmax(self.logits(token, position, keys, values))[target])
            for (token, target), position in positions
        ]
        return sum(surprises) / len(surprises)

    def logits(self, token: int, position: Vector, keys: Matrix, values: Matrix) -> Vector:
        """Read one token."""
        of = self.matrices
        x = rms_norm(add(of["tokens"][token], position))
        normal = rms_norm(x)
        keys.append(linear(of["to_key"], normal))
        values.append(linear(of["to_value"], normal))
        attended = self.attend(linear(of["to_query"], normal), keys, values)
        x = add(x, linear(of["to_output"], attended))
        hidden = [each.relu() for each in linear(of["expand"], rms_norm(x))]
        return linear(of["unembedding"], add(x, linear(of["contract"], hidden)))

    def attend(self, query: Vector, keys: Matrix, values: Matrix) -> Vector:
        """Average the values, head by head."""
        size, result = microgpt.WIDTH // microgpt.HEADS, []
        for start in range(0, microgpt.WIDTH, size):
            head = slice(start, start + size)
            scores = [dot(query[head], key[head]) / size**0.5 for key in keys]
            weights = self.softmax(scores)
            columns = zip(*(value[head] for value in values), strict=True)
            result += [dot(weights, column) for column in columns]
        return result

    def softmax(self, logits: Vector) -> Vector:
        """Make logits probabilities."""
        largest = max(logit.data for logit in logits)
        exponentials = [self.engine.exp(logit - largest) for logit in logits]
        total = sum(exponentials)
        return [each / total for each in exponentials]


def dot(xs: Iterable[Any], ys: Iterable[Any]) -> Any:
    return sum(x * y for x, y in zip(xs, ys, strict=True))


def linear(matrix: Matrix, x: Vector) -> Vector:
    return [dot(row, x) for row in matrix]


def add(a: Vector, b: Vector) -> Vector:
    return [x + y for x, y in zip(a, b, strict=True)]


def rms_norm(x: Vector) -> Vector:
    scale = (dot(x, x) / len(x) + 1e-5) ** -0.5
    return [each * scale for each in x]


def eager(title: str, program: Any, name: str) -> Contestant:
    """Record the loss anew each time."""

    def run() -> float:
        for parameter in program.parameters:
            parameter.grad = 0.0
        loss = program.loss(name)
        loss.backward()
        return float(loss.data)

    def digest() -> float:
        return sum(abs(parameter.grad) for parameter in program.parameters)

    engine = getattr(program, "engine", OURS)
    return Contestant(title, run, digest, collector=engine.collector)


def taped(title: str, program: Any, name: str) -> Contestant:
    """Record the loss once, and replay it."""
    loss = program.loss(name)
    under = set(topological_order(loss))
    tape = Tape(loss, parameters=[each for each in program.parameters if each in under])

    def run() -> float:
        number = tape.forward()
        tape.backward()
        return number

    def digest() -> float:
        return float(abs(tape.gradient).sum())

    kind = "native" if tape.native else "in Python"
    return Contestant(f"{title}, {kind}", run, digest, collector=OURS.collector)
