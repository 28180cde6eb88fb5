"""A backward pass that only looks: the nodes keep their gradients, and it keeps what it found."""

from typing import Any

from autolm.engine.graph import Backprop, Node
from autolm.tensor.quiet import quiet


class Rehearsal(Backprop):
    """A whole backward pass that writes nothing: every sum stays in `gradients`."""

    def __init__(self, root: Node, grad: Any = None) -> None:
        super().__init__(root, grad, retain_grads=True)

    def _visit(self, nodes: list[Node], log: list[Any] | None = None) -> None:
        with quiet():
            super()._visit(nodes, log)

    def _finish(self) -> None:
        pass
