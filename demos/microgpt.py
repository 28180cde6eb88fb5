"""A GPT small enough to be made of single numbers: it learns names, and makes up new ones.

    python demos/microgpt.py names.txt

Everything that a GPT needs is here: a tokenizer, embeddings, attention, an MLP, a loss, Adam and
sampling. Every number of it is a `Value`, so one call of `loss.backward()` differentiates it all.
Model, random numbers and training are those of Karpathy's microgpt, and so are the losses: on its
file of 32 033 names they begin 3.3660, 3.4243, 3.1778.
"""

import argparse
import random
import sys
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from math import log
from pathlib import Path

from autolm import Value, no_grad

LAYERS, WIDTH, HEADS, CONTEXT = 1, 16, 4, 16
STEPS, LEARNING_RATE, BETA1, BETA2, EPSILON = 1000, 0.01, 0.85, 0.99, 1e-8
NAMES = """ada agnes albert alice amos anna anton arthur bella benjamin bertha carl cecilia clara
daniel dora edgar edith eleanor elias elsa emil emma esther felix flora frida george greta hannah
harold helen henry hugo ida irene iris jacob jane jonas josef julia karen laura leo leon lily linda
louis lucy ludwig lydia mabel maria martha martin max mina nathan nelly nina nora olga oliver oscar
otto paul paula peter philip rosa ruby ruth samuel selma simon sofia stella susan theodor thomas
vera victor viola walter wanda wilhelm wilma yvonne"""

Vector = list[Value]
Matrix = list[Vector]


def random_matrix(rows: int, columns: int) -> Matrix:
    return [[Value(random.gauss(0, 0.08)) for _ in range(columns)] for _ in range(rows)]


def linear(weights: Matrix, x: Vector) -> Vector:
    return [Value.dot(row, x) for row in weights]


def add(a: Vector, b: Vector) -> Vector:
    return [x + y for x, y in zip(a, b, strict=True)]


def softmax(logits: Vector) -> Vector:
    largest = max(logit.data for logit in logits)  # shifting all logits changes no probability
    exponentials = [(logit - largest).exp() for logit in logits]
    total = Value.sum(exponentials)
    return [power / total for power in exponentials]


def rms_norm(x: Vector) -> Vector:
    scale = (Value.dot(x, x) / len(x) + 1e-5) ** -0.5
    return [number * scale for number in x]


def attend(query: Vector, keys: Matrix, values: Matrix) -> Vector:
    """Average the values seen so far, each weighed by how well its key answers the query."""
    size, result = WIDTH // HEADS, []
    for head in (slice(start, start + size) for start in range(0, WIDTH, size)):
        weights = softmax([Value.dot(query[head], key[head]) / size**0.5 for key in keys])
        columns = zip(*(value[head] for value in values), strict=True)
        result += [Value.dot(weights, column) for column in columns]
    return result


class Layer:
    """Attention, in which positions look at one another, then an MLP, in which each is alone."""

    def __init__(self) -> None:
        self.to_query, self.to_key, self.to_value, self.to_output = (
            random_matrix(WIDTH, WIDTH) for _ in range(4)
        )
        self.expand = random_matrix(4 * WIDTH, WIDTH)
        self.contract = random_matrix(WIDTH, 4 * WIDTH)

    def __call__(self, x: Vector, keys: Matrix, values: Matrix) -> Vector:
        """Take one position through; `keys` and `values` are those of the positions before it."""
        normal = rms_norm(x)
        keys.append(linear(self.to_key, normal))
        values.append(linear(self.to_value, normal))
        x = add(x, linear(self.to_output, attend(linear(self.to_query, normal), keys, values)))
        hidden = [number.relu() for number in linear(self.expand, rms_norm(x))]
        return add(x, linear(self.contract, hidden))


class MicroGPT:
    """Predicts each character of a name from those before it; one token marks both its ends."""

    def __init__(self, alphabet: list[str]) -> None:
        self.alphabet, self.boundary = alphabet, len(alphabet)
        self.tokens = random_matrix(len(alphabet) + 1, WIDTH)
        self.positions = random_matrix(CONTEXT, WIDTH)
        self.unembedding = random_matrix(len(alphabet) + 1, WIDTH)
        self.layers = [Layer() for _ in range(LAYERS)]
        matrices = [self.tokens, self.positions, self.unembedding]
        matrices += [matrix for layer in self.layers for matrix in vars(layer).values()]
        self.parameters = [number for matrix in matrices for row in matrix for number in row]

    def reader(self) -> Callable[[int], Vector]:
        """Return a function that reads token after token, and tells the logits of the next."""
        memory: list[tuple[Matrix, Matrix]] = [([], []) for _ in self.layers]
        positions = iter(self.positions)

        def read(token: int) -> Vector:
            x = rms_norm(add(self.tokens[token], next(positions)))
            for layer, (keys, values) in zip(self.layers, memory, strict=True):
                x = layer(x, keys, values)
            return linear(self.unembedding, x)

        return read

    def loss(self, name: str) -> Value:
        """Return the mean surprise, in nats, at each character of a name and at its end."""
        tokens = [self.boundary, *map(self.alphabet.index, name), self.boundary]
        read = self.reader()
        pairs = list(pairwise(tokens))[:CONTEXT]
        surprises = [-softmax(read(token))[target].log() for token, target in pairs]
        return Value.sum(surprises) / len(surprises)

    def sample(self, temperature: float) -> str:
        """Make up a name, one character at a time."""
        read, token, name = self.reader(), self.boundary, ""
        with no_grad():
            while len(name) < CONTEXT:
                probabilities = softmax([logit / temperature for logit in read(token)])
                weights = [probability.data for probability in probabilities]
                (token,) = random.choices(range(len(weights)), weights)
                if token == self.boundary:
                    break
                name += self.alphabet[token]
        return name


class Adam:
    """Steps against the gradient, each parameter in units of its own recent gradients."""

    def __init__(self, parameters: Vector) -> None:
        self.parameters, self.steps = parameters, 0
        self.means, self.squares = [0.0] * len(parameters), [0.0] * len(parameters)

    def step(self, learning_rate: float) -> None:
        """Move every parameter, and clear its gradient."""
        self.steps += 1
        unbias_mean, unbias_square = 1 - BETA1**self.steps, 1 - BETA2**self.steps
        for i, parameter in enumerate(self.parameters):
            self.means[i] = BETA1 * self.means[i] + (1 - BETA1) * parameter.grad
            self.squares[i] = BETA2 * self.squares[i] + (1 - BETA2) * parameter.grad**2
            size = (self.squares[i] / unbias_square) ** 0.5 + EPSILON
            parameter.data -= learning_rate * self.means[i] / unbias_mean / size
            parameter.grad = 0


def train(model: MicroGPT, names: list[str]) -> Iterator[float]:
    """Learn one name a step, and tell its loss."""
    adam = Adam(model.parameters)
    for step in range(STEPS):
        loss = model.loss(names[step % len(names)])
        loss.backward()
        adam.step(LEARNING_RATE * (1 - step / STEPS))
        yield loss.data


def read_names(path: str | Path) -> list[str]:
    """Read a file of names, one a line."""
    if not Path(path).is_file():
        print(f"file not found: {path}", file=sys.stderr)
        raise SystemExit(2)
    return [line.strip() for line in Path(path).read_text().splitlines() if line.strip()]


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a GPT made of single numbers on names.")
    parser.add_argument("names", nargs="?", type=Path, help="a text file, one name a line")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"how many of the {STEPS} to take")
    options = parser.parse_args()
    names = NAMES.split()
    if options.names:
        names = read_names(options.names)
    else:
        print(f"No file was given, so {len(names)} names must do; it soon knows them by heart.")

    random.seed(42)
    random.shuffle(names)
    model = MicroGPT(sorted(set("".join(names))))
    print(
        f"{len(names)} names, {len(model.alphabet)} characters, {len(model.parameters)} parameters"
    )
    tokens = len(model.tokens)
    print(f"To guess blindly costs ln {tokens} = {log(tokens):.4f} nats a character.\n")
    for step, loss in enumerate(islice(train(model, names), options.steps), 1):
        if step <= 20 or step % 50 == 0:
            print(f"step {step:4d}  loss {loss:.4f}")
    print("\nNames that it makes up:", ", ".join(model.sample(temperature=0.5) for _ in range(10)))


if __name__ == "__main__":
    main()
