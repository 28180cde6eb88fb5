"""A hypothesis state machine that uses the engine as people do: build, differentiate, mutate.

It keeps the expected gradient of every leaf by the oracle, and compares the engine with it after
each step. In a test suite one line is enough: ``TestGraphs = GraphMachine.TestCase``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from numpy.typing import NDArray

from autolm import ops
from autolm.ops.primitive import Primitive
from autolm.tensor.tensor import Tensor
from autolm.testing.oracle import differentiate
from autolm.testing.strategies import tensors
from autolm.testing.verdict import gradient, largest

Array = NDArray[Any]

SHAPE = (2, 2)
CLOSE = 1e-9
TAME = 50.0
MOST_LEAVES, MOST_OPERATIONS = 3, 12


class GraphMachine(RuleBasedStateMachine):
    """Builds one growing graph of Tensors, and calls backward anywhere in it, again and again.

    Subclass it with other `operations` (elementwise, of one or two operands) to try your own.
    """

    operations: ClassVar[Sequence[Primitive]] = (
        *(ops.add, ops.sub, ops.mul, ops.sin, ops.tanh, ops.sigmoid, ops.softmax, ops.matmul),
    )

    def __init__(self) -> None:
        super().__init__()
        # A variable is what a leaf held when it was used: assigning new data makes another.
        self.variables: list[Array] = []
        self.recipes: list[tuple[Any, ...]] = []  # ("leaf", variable) or (operation, *nodes)
        self.nodes: list[Tensor] = []
        self.leaves: list[Tensor] = []
        self.current: list[int] = []  # of each leaf, the node that stands for its present data
        self.owner: list[int] = []  # of each variable, its leaf
        self.expected: list[Array] = []  # of each leaf, its gradient so far
        self.spoiled: set[int] = set()  # nodes whose operands were written into

    @precondition(lambda self: len(self.leaves) < MOST_LEAVES)
    @rule(data=tensors(SHAPE))
    def make_leaf(self, data: Array) -> None:
        """Add a leaf."""
        self.leaves.append(Tensor(data.copy()))
        self.expected.append(np.zeros(SHAPE))
        self.current.append(-1)
        self._renew(len(self.leaves) - 1)

    @precondition(lambda self: self.leaves and len(self.results) < MOST_OPERATIONS)
    @rule(choice=st.data())
    def apply_operation(self, choice: st.DataObject) -> None:
        """Add the result of an operation on earlier nodes."""
        op = choice.draw(st.sampled_from(list(self.operations)))
        usable = [i for i in range(len(self.nodes)) if i not in self.spoiled and self._is_fresh(i)]
        if not usable:
            return
        count = op.forward.__code__.co_argcount
        operands = [_often_the_last(choice, usable) for _ in range(count)]
        node = op(*(self.nodes[i] for i in operands))
        if largest(node.data) <= TAME:
            self.nodes.append(node)
            self.recipes.append((op, *operands))

    @precondition(lambda self: self.nodes)
    @rule(choice=st.data(), upstream=tensors(SHAPE))
    def call_backward(self, choice: st.DataObject, upstream: Array) -> None:
        """Differentiate from any node, or require the error that its operands were changed."""
        root = _often_the_last(choice, self.results or range(len(self.nodes)))
        if not self._is_fresh(root):
            return
        before = upstream.copy()
        try:
            self.nodes[root].backward(upstream)
        except RuntimeError:
            assert self._under(root) & self.spoiled, "backward refused a graph that nobody changed"
            return
        assert np.array_equal(upstream, before), "backward changed the upstream gradient"
        derivative = differentiate(lambda *v: self._value(root, v), self.variables)
        for variable, contribution in enumerate(gradient(derivative.jacobians()[0], upstream)):
            if contribution is not None:
                self.expected[self.owner[variable]] += contribution

    @precondition(lambda self: self.results)
    @rule(choice=st.data(), data=tensors(SHAPE))
    def assign_new_data(self, choice: st.DataObject, data: Array) -> None:
        """Give a leaf another array: graphs made before keep the one that they used."""
        leaf = choice.draw(st.integers(0, len(self.leaves) - 1))
        self.leaves[leaf].data = data.copy()
        self._renew(leaf)

    @precondition(lambda self: self.results)
    @rule(choice=st.data())
    def write_into_data(self, choice: st.DataObject) -> None:
        """Change a leaf's array in place: what was made of it may no longer be differentiated."""
        leaf = choice.draw(st.integers(0, len(self.leaves) - 1))
        self.leaves[leaf].data[...] += 1
        used = self.current[leaf]
        self.spoiled |= {i for i in self.results if used in self.recipes[i][1:]}
        self._renew(leaf)

    @precondition(lambda self: self.results)
    @rule(choice=st.data())
    def forget_gradient(self, choice: st.DataObject) -> None:
        """Set a leaf's gradient to None."""
        leaf = choice.draw(st.integers(0, len(self.leaves) - 1))
        self.leaves[leaf].grad = None
        self.expected[leaf] = np.zeros(SHAPE)

    @invariant()
    def gradients_are_those_of_the_oracle(self) -> None:
        """Every leaf has the sum of what all backward calls sent it, and no more."""
        for leaf, expected in zip(self.leaves, self.expected, strict=True):
            analytic = np.zeros(SHAPE) if leaf.grad is None else leaf.grad
            assert largest(analytic - expected) <= CLOSE * (1 + largest(expected)), (
                analytic,
                expected,
            )

    @property
    def results(self) -> list[int]:
        """The nodes that are results of operations."""
        return [i for i, (op, *_) in enumerate(self.recipes) if op != "leaf"]

    def _renew(self, leaf: int) -> None:
        """Add a variable and a node for the present data of a leaf."""
        self.variables.append(self.leaves[leaf].data.copy())
        self.owner.append(leaf)
        self.nodes.append(self.leaves[leaf])
        self.recipes.append(("leaf", len(self.variables) - 1))
        self.current[leaf] = len(self.nodes) - 1

    def _is_fresh(self, node: int) -> bool:
        """Whether a node is a result, or a leaf whose data has not changed."""
        kind, *rest = self.recipes[node]
        return bool(kind != "leaf" or self.current[self.owner[rest[0]]] == node)

    def _under(self, root: int) -> set[int]:
        nodes, stack = set(), [root]
        while stack:
            node = stack.pop()
            if node not in nodes:
                nodes.add(node)
                stack += [] if self.recipes[node][0] == "leaf" else self.recipes[node][1:]
        return nodes

    def _value(self, node: int, variables: Sequence[Array]) -> Array:
        kind, *operands = self.recipes[node]
        if kind == "leaf":
            variable: int = operands[0]
            return variables[variable]
        operation: Primitive = kind
        return operation.forward(*(self._value(i, variables) for i in operands))[0]


def _often_the_last(choice: st.DataObject, nodes: Sequence[int]) -> int:
    """Draw a node; every other time the last, so that graphs get deep, and operands repeat."""
    return nodes[-1] if choice.draw(st.booleans()) else choice.draw(st.sampled_from(nodes))
