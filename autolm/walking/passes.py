"""The backward passes of a training loop: which one is awaited, and what each computed.

A pass is awaited by its number, by a condition, or by breakpoints that any pass may reach. Passes
before a number are run at plain speed: nothing of them is recorded. A condition and breakpoints
need every pass recorded, because they refer to its graph.
"""

from __future__ import annotations

import ast
import math
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autolm.engine.backprop import Backprop
from autolm.engine.graph import Node
from autolm.outside.message import message
from autolm.outside.terminal import words_of
from autolm.tensor.nodes import node_of
from autolm.tensor.quiet import quiet
from autolm.tensor.tensor import Tensor
from autolm.walking.array_adapter import adapter_of
from autolm.walking.names import Names

HISTORY = 10_000  # passes whose records are kept


@dataclass
class PassRecord:
    """The numbers of one pass.

    Attributes
    ----------
    number
        Its place among the passes of the program, from 0.
    loss
        The data of its root, if that is a single number.
    started
        The time at which it began, in seconds.
    norm
        The norm of the gradient, if the pass was walked.
    """

    number: int
    loss: Any
    started: float
    norm: float | None = None


@dataclass
class Passes:
    """The passes of one program so far, and the one to stop in next.

    Attributes
    ----------
    number
        The number of the pass to stop at.
    condition
        An expression; stop at the start of the first pass in which it is true.
    has_breakpoints
        Whether breakpoints are set that any pass may reach.
    count
        How many passes have begun.
    history
        The numbers of the latest passes.
    error
        Why the condition could not be evaluated in the latest pass; else empty.
    """

    number: int | None = 0
    condition: str = ""
    has_breakpoints: bool = False
    count: int = 0
    history: deque[PassRecord] = field(default_factory=lambda: deque(maxlen=HISTORY))
    error: str = ""

    def __post_init__(self) -> None:
        if self.condition:
            self.number = None
            parse_condition(self.condition)

    def wait(
        self, number: int | None = None, condition: str = "", *, has_breakpoints: bool = False
    ) -> None:
        """Choose the next pass to stop in; without an argument, none."""
        self.number, self.condition, self.has_breakpoints = number, condition, has_breakpoints

    @property
    def is_over(self) -> bool:
        """Whether no further pass is awaited."""
        return self.number is None and not self.condition and not self.has_breakpoints

    @property
    def must_record(self) -> bool:
        """Whether the next pass has to be recorded."""
        if self.number is not None:
            return self.number <= self.count
        return bool(self.condition) or self.has_breakpoints

    def stops_in(self, root: Node, grad: Any, variables: Mapping[str, Any]) -> bool:
        """Whether to stop at the start of the pass that is about to begin; then none is awaited.

        It also stops where the condition cannot be evaluated; `error` says why.
        """
        self.error = ""
        stops = self.number is not None and self.count >= self.number
        if self.condition:
            try:
                stops = condition_holds(self.condition, root, grad, variables)
            except Exception as error:
                text = words_of(error)
                self.error = message(
                    "the condition {condition}: {kind}: {text}",
                    condition=self.condition,
                    kind=type(error).__name__,
                    text=text,
                )
                stops = True
        if stops:
            self.wait(has_breakpoints=self.has_breakpoints)
        return stops

    @property
    def latest(self) -> PassRecord:
        """The pass that began last."""
        return self.history[-1]

    def begin(self, loss: Any) -> None:
        """Count a pass that begins, with the data of its root."""
        is_number = getattr(loss, "shape", ()) == () or math.prod(loss.shape) == 1
        self.history.append(
            PassRecord(self.count, loss if is_number else None, time.perf_counter())
        )
        self.count += 1

    def unreached_message(self) -> str:
        """Say which awaited pass a program that has ended did not do; empty if none."""
        did = message("the program had {count} passes", count=self.count)
        if self.number is not None and self.count <= self.number:
            return message("pass {number} was not reached: {count}", number=self.number, count=did)
        if self.condition:
            return message(
                "{condition} was not true in any pass: {count}", condition=self.condition, count=did
            )
        return (
            message("no breakpoint was reached: {count}", count=did) if self.has_breakpoints else ""
        )


def parse_condition(text: str) -> ast.Expression:
    """Parse a condition of passes, in which `x.grad` means `grad(x)`.

    Raises
    ------
    ValueError
        When it is not an expression.
    """
    try:
        tree = ast.parse(text.strip(), "<condition>", "eval")
    except SyntaxError as error:
        raise ValueError(
            message(
                "condition of a pass: {text!r} is not an expression: {reason}",
                text=text,
                reason=error.msg,
            )
        ) from None
    return ast.fix_missing_locations(_Gradients().visit(tree))


class _Gradients(ast.NodeTransformer):
    def visit_Attribute(self, tree: ast.Attribute) -> ast.AST:
        self.generic_visit(tree)
        if tree.attr != "grad":
            return tree
        call = ast.Call(ast.Name("grad", ast.Load()), [tree.value], [])
        return ast.copy_location(call, tree)


def condition_holds(text: str, root: Node, grad: Any, variables: Mapping[str, Any]) -> bool:
    """Whether a condition is true in the pass that is about to begin.

    The condition can use the variables of the program and `grad(x)`, the gradient of a node, or of
    the node with a name, in this pass alone. No gradient is stored.
    """
    tree = parse_condition(text)
    code = compile(tree, "<condition>", "eval")
    computed = Backprop(root, grad, retain_grads=True)

    def gradient(of: Any) -> Any:
        with quiet():
            computed.run()  # the first call; later ones have nothing to do
        if isinstance(of, str):
            node: Node | None = Names(computed.operations, variables).find(of)
        else:
            node = of if isinstance(of, Node) else node_of(of)
        if node is None or node not in computed.gradients:
            raise ValueError(
                message("condition of a pass: no gradient of this pass reaches {name}", name=of)
            )
        value = computed.gradients[node]
        return Tensor(value) if isinstance(value, np.ndarray) else value

    return bool(eval(code, {**variables, "grad": gradient}))


def gradient_norm(gradients: Iterable[Any]) -> float:
    """Return the global norm of several gradients."""
    return math.hypot(*(adapter_of(gradient).norm() for gradient in gradients))
