"""Lesson 15: the same numbers a hundred times faster: record a graph once, then run it natively.

    python demos/15_native_microgpt.py names.txt

It is the GPT of microgpt.py, made of single numbers. Most of a step goes into recording, yet names
of one length have the same graph, if letters are numbers in it: rows of zeros with a single 1. A
`Tape` does the arithmetic; without numba (extra `fast`) in Python, which takes ten times as long.
"""

import random
import sys
from itertools import chain, islice, pairwise
from time import perf_counter

import microgpt
import numpy as np

from autolm import Adam, Tape, Tensor, Value


class Lookup(list):
    """A matrix whose row is chosen by a number, or else by numbers: Σ onehotᵢ · rowᵢ."""

    def __getitem__(self, row):
        if isinstance(row, int):
            return super().__getitem__(row)
        return [Value.dot(row, column) for column in zip(*self, strict=True)]


def record(model, one_hots):
    """Record the loss of a name; return it, its tape, and which of all parameters it has."""
    letters = [[Value(x, requires_grad=False) for x in row] for row in one_hots.tolist()]
    read = model.reader()
    guesses = [(microgpt.softmax(read(now)), after) for now, after in pairwise(letters)]
    loss = Value.sum(-Value.dot(*guess).log() for guess in guesses) / len(guesses)
    unread = set(chain(*model.positions[len(guesses) :]))
    used = np.array([parameter not in unread for parameter in model.parameters])
    trained = [model.parameters[i] for i in np.flatnonzero(used)]
    return loss, Tape(loss, inputs=[*chain(*letters)], parameters=trained), used


def train(model, names):
    """Learn one name a step, natively; yield its loss, as a number and as a graph, and its tape."""
    model.tokens = Lookup(model.tokens)
    weights = Tensor([parameter.data for parameter in model.parameters])
    adam = Adam([weights], microgpt.LEARNING_RATE, betas=(microgpt.BETA1, microgpt.BETA2))
    graphs, one_hot, steps = {}, np.eye(len(model.tokens)), microgpt.STEPS
    for step in range(steps):
        inner = map(model.alphabet.index, names[step % len(names)])
        letters = one_hot[[model.boundary, *inner, model.boundary][: microgpt.CONTEXT + 1]]
        if len(letters) not in graphs:
            graphs[len(letters)] = record(model, letters)
        loss, tape, used = graphs[len(letters)]
        tape.parameters[:] = weights.data[used]
        number, gradient = tape.forward(letters), np.zeros(len(used))
        gradient[used] = tape.backward()
        weights.grad, adam.learning_rate = gradient, microgpt.LEARNING_RATE * (1 - step / steps)
        adam.step()
        yield number, loss, tape
    for parameter, weight in zip(model.parameters, weights.data.tolist(), strict=True):
        parameter.data = weight


if __name__ == "__main__":
    names = microgpt.read_names(sys.argv[1]) if sys.argv[1:] else microgpt.NAMES.split()
    random.seed(42)
    random.shuffle(names)
    model, start = microgpt.MicroGPT(sorted(set("".join(names)))), perf_counter()
    losses, roots, tapes = zip(*train(model, names), strict=True)
    how = "natively" if tapes[-1].native else "without numba"
    print(f"{len(losses)} steps {how} in {perf_counter() - start:.1f} s. The first losses:\n")
    print("\n".join(" ".join(f"{x:.4f}" for x in losses[i : i + 5]) for i in (0, 5, 10, 15)))
    print("\nNames that it makes up:", *(model.sample(temperature=0.5) for _ in range(8)))
    print(f"\nThe last loss is {losses[-1]:.4f}, of a graph of {len(tapes[-1])} operations.")
    tapes[-1].write_back()
    print("Written back, it can be walked and drawn. Its steps of one or two operands begin so:\n")
    print(*islice((s for s in roots[-1].steps() if len(s.contributions) < 3), 4), sep="\n")
