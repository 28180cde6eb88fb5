"""The scalar engines that are compared, and what each needs to run the same program.

`LocalGradientValue` is the technique of microgpt, written anew: an operation stores the slope
towards each operand, and the backward pass multiplies. micrograd's Value has no exp and no log, so
they are added here in its own manner.
"""

import math
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, NamedTuple

from autolm import Value


def dot(xs: Iterable[Any], ys: Iterable[Any]) -> Any:
    """Return the sum of products as microgpt writes it: an operation for each × and each +."""
    return sum(x * y for x, y in zip(xs, ys, strict=True))


class ScalarEngine(NamedTuple):
    """A class of numbers, and the functions that it may have as methods or not."""

    name: str
    value: Callable[[float], Any]
    exp: Callable[[Any], Any]
    log: Callable[[Any], Any]
    dot: Callable[[Iterable[Any], Iterable[Any]], Any] = dot
    sum: Callable[[Iterable[Any]], Any] = sum


class LocalGradientValue:
    """A number that keeps its operands and the slope towards each."""

    __slots__ = ("data", "grad", "operands", "slopes")

    def __init__(self, data: float, operands: tuple = (), slopes: tuple = ()) -> None:
        self.data = data
        self.grad = 0.0
        self.operands = operands
        self.slopes = slopes

    def __add__(self, other: Any) -> "LocalGradientValue":
        other = other if isinstance(other, LocalGradientValue) else LocalGradientValue(other)
        return LocalGradientValue(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other: Any) -> "LocalGradientValue":
        other = other if isinstance(other, LocalGradientValue) else LocalGradientValue(other)
        return LocalGradientValue(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, power: float) -> "LocalGradientValue":
        slope = power * self.data ** (power - 1)
        return LocalGradientValue(self.data**power, (self,), (slope,))

    def relu(self) -> "LocalGradientValue":
        """Cut off what is negative."""
        return LocalGradientValue(max(0.0, self.data), (self,), (float(self.data > 0),))

    def exp(self) -> "LocalGradientValue":
        """Return e to this power."""
        y = math.exp(self.data)
        return LocalGradientValue(y, (self,), (y,))

    def log(self) -> "LocalGradientValue":
        """Return the natural logarithm."""
        return LocalGradientValue(math.log(self.data), (self,), (1 / self.data,))

    def __neg__(self) -> "LocalGradientValue":
        return self * -1

    def __sub__(self, other: Any) -> "LocalGradientValue":
        return self + -other

    def __truediv__(self, other: Any) -> "LocalGradientValue":
        return self * other**-1

    __radd__, __rmul__ = __add__, __mul__

    def backward(self) -> None:
        """Sort the graph, by recursion as usual, and send gradients down it."""
        order, visited = [], set()

        def visit(node: LocalGradientValue) -> None:
            if node not in visited:
                visited.add(node)
                for operand in node.operands:
                    visit(operand)
                order.append(node)

        visit(self)
        self.grad = 1.0
        for node in reversed(order):
            for operand, slope in zip(node.operands, node.slopes):  # noqa: B905 (strict is slower)
                operand.grad += slope * node.grad


OURS = ScalarEngine("autolm", Value, Value.exp, Value.log)
FUSED_SUMS = ScalarEngine("autolm, dot and sum", Value, Value.exp, Value.log, Value.dot, Value.sum)
MICROGPT = ScalarEngine(
    "microgpt's technique", LocalGradientValue, LocalGradientValue.exp, LocalGradientValue.log
)


def micrograd() -> ScalarEngine:
    """Return micrograd's engine, with the functions that it lacks; ImportError without it."""
    number = import_module("micrograd.engine").Value
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 100_000))  # its sort recurses

    def exp(x: Any) -> Any:
        out = number(math.exp(x.data), (x,), "exp")

        def backward() -> None:
            x.grad += out.data * out.grad

        out._backward = backward
        return out

    def log(x: Any) -> Any:
        out = number(math.log(x.data), (x,), "log")

        def backward() -> None:
            x.grad += out.grad / x.data

        out._backward = backward
        return out

    return ScalarEngine("micrograd", number, exp, log)
