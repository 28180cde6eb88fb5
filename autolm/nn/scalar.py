"""Networks of Values, without NumPy: the Neuron, Layer and MLP of micrograd.

model = MLP(2, [16, 16, 1])          # two inputs, two layers of 16 neurons, one output
score = model([0.5, -1.0])           # a Value
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from autolm.engine.value import Value
from autolm.outside.arguments import read_items, read_size
from autolm.outside.message import message


class Module:
    """A part of a network, with Values as parameters."""

    def parts(self) -> Iterator[Module | Value]:
        """Yield its parts and parameters, in order."""
        raise NotImplementedError(
            message("{kind} does not say its parts", kind=type(self).__name__)
        )

    def parameters(self) -> list[Value]:
        """List the trainable Values."""
        parameters: list[Value] = []
        for part in self.parts():
            parameters += [part] if isinstance(part, Value) else part.parameters()
        return parameters

    def zero_grad(self) -> None:
        """Clear the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = 0.0


class Neuron(Module):
    """A weighted sum and a bias, cut off below zero unless it is linear.

    >>> neuron = Neuron(2)
    >>> neuron.w, neuron.b = [Value(2.0), Value(-1.0)], Value(0.5)
    >>> neuron([1.0, 1.5]).data
    1.0
    """

    def __init__(self, nin: int, nonlin: bool = True) -> None:
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(0)
        self.nonlin = nonlin

    def __call__(self, x: Sequence[Any]) -> Value:
        """Return the activation for inputs, which are numbers or Values."""
        if len(x) != len(self.w):
            raise ValueError(
                message(
                    "Neuron: {count} inputs for {count2} weights", count=len(x), count2=len(self.w)
                )
            )
        total = self.b
        for weight, number in zip(self.w, x, strict=True):
            total = total + weight * number
        return total.relu() if self.nonlin else total

    def parts(self) -> Iterator[Value]:
        """Yield the weights and the bias."""
        yield from self.w
        yield self.b

    def __repr__(self) -> str:
        return f"{'ReLU' if self.nonlin else 'Linear'}Neuron({len(self.w)})"


class Layer(Module):
    """A layer: several neurons with the same inputs."""

    def __init__(self, nin: int, nout: int, nonlin: bool = True) -> None:
        self.neurons = [Neuron(nin, nonlin) for _ in range(nout)]

    def __call__(self, x: Sequence[Any]) -> Any:
        """Return a list of outputs, or the only output if there is one neuron."""
        outputs = [neuron(x) for neuron in self.neurons]
        return outputs[0] if len(outputs) == 1 else outputs

    def parts(self) -> Iterator[Neuron]:
        """Yield the neurons."""
        yield from self.neurons

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(map(repr, self.neurons))}]"


class MLP(Module):
    """A multi-layer perceptron: layers in sequence, the last one linear."""

    def __init__(self, nin: int, nouts: Sequence[int]) -> None:
        read_size("MLP", "nin", nin)
        sizes_of_layers = read_items("MLP", "nouts", nouts, "a list of sizes")
        if not sizes_of_layers:
            raise ValueError("MLP: nouts must have at least one size, not []")
        for size in sizes_of_layers:
            read_size("MLP", "nouts", size)
        *hidden, last = pairwise([nin, *sizes_of_layers])
        self.layers = [Layer(*sizes) for sizes in hidden] + [Layer(*last, nonlin=False)]

    def __call__(self, x: Sequence[Any]) -> Any:
        """Return the output of the last layer: a list, or a Value if it has one neuron."""
        for layer in self.layers:
            x = layer(x)
        return x

    def parts(self) -> Iterator[Layer]:
        """Yield the layers."""
        yield from self.layers

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(map(repr, self.layers))}]"
