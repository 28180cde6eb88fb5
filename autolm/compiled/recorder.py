"""Lower a graph of Tensors to a program: the forward calls, and then the backward calls.

Each operation appends the calls of its instruction (`instructions.py`) or, if it has none, its
forward function and backward rule. Contributions to a gradient are added in the same order as in
the plain pass, so a program without compiled loops gives the same numbers, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from autolm.compiled.program import Program
from autolm.tensor.fitting import fit, fits
from autolm.tensor.tensor import Tensor

Array = NDArray[Any]
#: Takes the upstream gradient and returns one contribution per operand, or None for none.
Rule = Callable[[Array], Sequence[Array | None]]
Written = tuple[Array, Rule] | None
#: Appends the forward calls of an operation; returns its result and its rule, or None if it cannot.
Instruction = Callable[..., Written]


class Recorder:
    """Builds the program of one graph.

    Parameters
    ----------
    instructions
        The instruction of each operation that has one, by its record.
    leaves
        The array of each leaf.
    gradients
        The array for the gradient of each leaf that gets one.

    Attributes
    ----------
    program
        The calls so far.
    arrays
        The array of each node so far.
    by_instruction, by_function
        By operation name, how often it runs by its instruction, and by its own function.
    """

    def __init__(
        self,
        instructions: Mapping[Any, Instruction],
        leaves: Mapping[Tensor, Array],
        gradients: Mapping[Tensor, Array],
    ) -> None:
        self.program = Program()
        self.arrays = dict(leaves)
        self.by_instruction: dict[str, int] = {}
        self.by_function: dict[str, int] = {}
        self._instructions, self._targets = instructions, gradients
        self._rules: dict[Tensor, Rule] = {}
        self._gradients: dict[Tensor, Array] = {}
        self._added_in_place: set[Tensor] = (
            set()
        )  # nodes that share their gradient with no other node
        self._wanted: set[Tensor] = set(gradients)  # nodes that need a gradient
        self._node: Tensor

    # The interface for instructions

    def new(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> Array:
        """Return an array for a result, by default of the dtype of the operation's result."""
        return self.program.new(shape, self._node.dtype if dtype is None else dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the operation's result."""
        return self._node.shape

    def result(self) -> Array:
        """Return an array for the operation's result."""
        return self.new(self._node.shape)

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Append a call; every array that it reads or writes must be among the arguments.

        An array from `new` has its memory from its first call to its last.
        """
        self.program.call(function, *arguments)

    def needs_gradient(self, operand: int) -> bool:
        """Whether a gradient is needed for an operand, by its index."""
        return self._node.parents[operand] in self._wanted

    def gradient_of(self, operand: int) -> Array:
        """Return an array of the operand's shape for the rule to fill with its contribution.

        For the first contribution it is the array of the gradient, so that nothing is copied; for
        further contributions it is a new array, which is then added.
        """
        parent = self._node.parents[operand]
        if parent in self._gradients or parent in self._added_in_place:
            return self.new(parent.shape, parent.dtype)
        self._added_in_place.add(parent)
        target = self._targets.get(parent)
        return self.new(parent.shape, parent.dtype) if target is None else target

    # Forward and backward

    def forward(self, node: Tensor, attributes: Mapping[str, Any]) -> None:
        """Append the calls that compute a result from its operands."""
        self._node = node
        if not self._wanted.isdisjoint(node.parents):
            self._wanted.add(node)
        operands = [self.arrays[parent] for parent in node.parents]
        instruction = self._instructions.get(node.op)
        written = None if instruction is None else instruction(self, *operands, **attributes)
        count = self.by_function if written is None else self.by_instruction
        count[node.op.name] = count.get(node.op.name, 0) + 1
        if written is None:
            written = self._by_its_function(operands, attributes)
        self.arrays[node], self._rules[node] = written

    def backward(self, order: Sequence[Tensor]) -> None:
        """Append the calls that compute the gradients of a graph, whose root is last in `order`."""
        root = order[-1]
        self._gradients[root] = np.ones(root.shape, root.dtype)
        for node in reversed(order):
            if node.parents and node in self._gradients:
                self._node = node
                upstream = self._gradients.pop(node)
                for parent, contribution in zip(
                    node.parents, self._rules.pop(node)(upstream), strict=True
                ):
                    if parent in self._wanted and contribution is not None:
                        self._add(parent, contribution)

    def depends_on_a_parameter(self, node: Tensor) -> bool:
        """Whether a recorded node depends on a leaf that gets a gradient."""
        return node in self._wanted

    def has_gradient(self, leaf: Tensor) -> bool:
        """Whether a gradient reaches a leaf."""
        return leaf in self._gradients

    def _add(self, parent: Tensor, contribution: Array) -> None:
        """Append the calls that add a contribution to the gradient of an operand."""
        if contribution.shape != parent.shape or contribution.dtype != parent.dtype:
            fitted = self.new(parent.shape, parent.dtype)
            self.call(_fit_into, contribution, fitted)
            contribution = fitted
        target = self._targets.get(parent)
        before = self._gradients.get(parent)
        if before is None:
            if target is not None and contribution is not target:
                self.call(np.copyto, target, contribution)
                contribution = target
            self._gradients[parent] = contribution
        elif before is target or parent in self._added_in_place:
            self.call(np.add, before, contribution, before)
        else:  # another node may read the array of the first contribution
            self._added_in_place.add(parent)
            total = self._gradients[parent] = self.new(parent.shape, parent.dtype)
            self.call(np.add, before, contribution, total)

    def _by_its_function(
        self, operands: Sequence[Array], attributes: Mapping[str, Any]
    ) -> tuple[Array, Rule]:
        """Append a call of the operation's forward function, and of the rule that it returns."""
        node, closure = self._node, _Closure()
        y = self.result()
        self.call(closure.forward, node.op.forward, y, attributes, *operands)

        def rule(grad: Array) -> list[Array | None]:
            needed = map(self.needs_gradient, range(len(operands)))
            wanted = [self.gradient_of(k) if need else None for k, need in enumerate(needed)]
            self.call(closure.backward, grad, tuple(wanted), y, *operands)
            return wanted

        return y, rule


class _Closure:
    """The rule that an operation's function returned for the batch at hand."""

    def forward(
        self, function: Callable[..., Any], y: Array, attributes: Mapping[str, Any], *arrays: Array
    ) -> None:
        y[...], self._rule = function(*arrays, **attributes)

    def backward(self, grad: Array, wanted: Sequence[Array | None], *_: Array) -> None:
        for contribution, into in zip(self._rule(grad), wanted, strict=True):
            if into is not None:
                _fit_into(contribution, into)


def _fit_into(contribution: Any, into: Array) -> None:
    """Sum a contribution over broadcast axes, and cast it, as the plain pass does."""
    into[...] = contribution if fits(contribution, into) else fit(contribution, into)
