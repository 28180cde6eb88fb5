"""Random differentiable computation graphs, with all that makes backpropagation go wrong.

Nodes are shared, operands repeated, shapes stretched, paths of unequal length meet again, and
`backward()` is called on several nodes in turn. Data is known while a graph is drawn, so that no
operation is used outside its domain or near a kink: the derivative exists, and is tame.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from autolm import ops
from autolm.ops.array_operation import ArrayOperation
from autolm.ops.primitive import Primitive
from autolm.outside.arguments import quote, read_int
from autolm.tensor.tensor import Tensor
from autolm.testing.call import Call, literal
from autolm.testing.calls_from_patterns import attributes_for
from autolm.testing.operation_runner import OperationError
from autolm.testing.strategies import Shape, arrays_together, shapes
from autolm.testing.subject import LARGEST, Subject, edges_in
from autolm.testing.verdict import largest_contribution

Array = NDArray[Any]

CLEARANCE = 1e-2  # how far data stays from kinks, from ties and from the edge of a domain
MOST_OPERATIONS = 1000  # in a graph that is drawn
TAME = 1000.0  # the largest number in a graph, and the steepest slope, roughly


class Application(NamedTuple):
    """One operation of an expression, applied to earlier nodes (leaves count first)."""

    op: Primitive
    operands: tuple[int, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Expression:
    """A computation graph as data: it can be built, evaluated on any arrays, and printed."""

    leaves: tuple[Array, ...]
    applications: tuple[Application, ...]
    roots: tuple[int, ...]  # the nodes on which backward is called, in turn
    upstreams: tuple[Array, ...]  # the gradient given to each

    def build(self) -> list[Tensor]:
        """Record the graph; return its nodes, leaves first."""
        nodes = [Tensor(leaf.copy()) for leaf in self.leaves]
        for op, operands, attributes in self.applications:
            nodes.append(op(*(nodes[i] for i in operands), **attributes))
        return nodes

    def gradients(self) -> list[Array | None]:
        """Build the graph, call backward on every root, and return the leaves' gradients."""
        nodes = self.build()
        for root, upstream in zip(self.roots, self.upstreams, strict=True):
            if nodes[root].requires_grad:
                nodes[root].backward(upstream)
        return [leaf.grad for leaf in nodes[: len(self.leaves)]]

    def weighted(self, *leaves: Array) -> Array:
        """Return upstream · root, of all roots in one row, from the forwards alone, in any dtype.

        The sum of it is what the backward calls together differentiate.
        """
        arrays = list(leaves)
        for op, operands, attributes in self.applications:
            result = op.forward(*(arrays[i] for i in operands), **attributes)[0]
            arrays.append(np.asarray(result) if isinstance(result, float | int) else result)
        pairs = zip(self.upstreams, self.roots, strict=True)
        return np.concatenate([np.ravel(arrays[root] * upstream) for upstream, root in pairs])

    def rounding_floor(self) -> float:
        """Return the largest contribution on the way: gradients are sums, and round like it."""
        nodes = self.build()
        pairs = [(nodes[r], u) for r, u in zip(self.roots, self.upstreams, strict=True)]
        return max(largest_contribution(root, u) for root, u in pairs if root.requires_grad)

    def features(self) -> Counter[str]:
        """Count what this graph exercises."""
        counts: Counter[str] = Counter()
        uses = Counter(i for application in self.applications for i in set(application.operands))
        counts["shared node"] = sum(count > 1 for count in uses.values())
        counts["alias"] = sum(len(set(a.operands)) < len(a.operands) for a in self.applications)
        counts["unequal diamond"] = int(self._has_unequal_diamond())
        counts["several backward calls"] = int(len(self.roots) > 1)
        return +counts

    def _has_unequal_diamond(self) -> bool:
        """Whether some leaf is reached over paths of different lengths."""
        lengths: list[dict[int, set[int]]] = [{i: {0}} for i in range(len(self.leaves))]
        for _, operands, _ in self.applications:
            merged: dict[int, set[int]] = {}
            for operand in operands:
                for leaf, steps in lengths[operand].items():
                    merged.setdefault(leaf, set()).update(step + 1 for step in steps)
            lengths.append(merged)
        return any(len(steps) > 1 for node in lengths for steps in node.values())

    def name(self, node: int) -> str:
        """Call a node what the printed program calls it."""
        leaves = len(self.leaves)
        return f"x{node}" if node < leaves else f"y{node - leaves}"

    def program(self) -> str:
        """Write the graph as a function of its leaves that returns a single number or array."""
        first = len(self.leaves)
        lines = [f"def f({', '.join(self.name(i) for i in range(first))}):"]
        for node, (op, operands, attributes) in enumerate(self.applications, first):
            words = [self.name(i) for i in operands]
            words += [f"{key}={literal(value)}" for key, value in attributes.items()]
            lines.append(f"    {self.name(node)} = {op.name}({', '.join(words)})")
        terms = [
            f"({self.name(root)} * {literal(upstream)}).sum()"
            for root, upstream in zip(self.roots, self.upstreams, strict=True)
        ]
        lines.append(f"    return {' + '.join(terms)}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.program()


def expressions(
    operations: Sequence[ArrayOperation | Subject] = ops.PRIMITIVES,
    *,
    required: ArrayOperation | Subject | None = None,
    max_operations: int = 6,
) -> st.SearchStrategy[Expression]:
    """Random graphs of these operations; each has the `required` one at least once.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(expressions())
    ... def test_the_graph_is_finite(expression):
    ...     assert np.all(np.isfinite(expression.weighted(*expression.leaves)))
    >>> test_the_graph_is_finite()
    """
    if not isinstance(operations, tuple | list):
        text = quote(operations)
        raise TypeError(f"expressions: operations must be a list of primitives, not {text}")
    subjects = [_subject("operations", op) for op in operations]
    needed = None if required is None else _subject("required", required)
    if not subjects and needed is None:
        raise ValueError("expressions: operations must have at least one, if none is required")
    if read_int("expressions", "max_operations", max_operations, low=1) > MOST_OPERATIONS:
        most = f"at most {MOST_OPERATIONS}, not {max_operations}"
        raise ValueError(f"expressions: max_operations must be {most}")
    return _expressions(subjects, needed, max_operations)


def _subject(argument: str, op: Any) -> Subject:
    if isinstance(op, Subject):
        return op
    if not isinstance(op, ArrayOperation):
        raise TypeError(f"expressions: {argument}: an operation is needed, not {quote(op)}")
    return Subject.of(op)


@st.composite
def _expressions(
    draw: st.DrawFn, subjects: list[Subject], required: Subject | None, max_operations: int
) -> Expression:
    growing = _Growing(draw)
    if required is not None:
        subjects = [required, *subjects]
    for _ in range(draw(st.integers(1, max_operations))):
        # A required operation is every third, so that it meets itself and all others.
        again = required is not None and draw(st.integers(0, 2)) == 0
        growing.apply(required if again and required else draw(st.sampled_from(subjects)))
    if required is not None and required.op not in [a.op for a in growing.applications]:
        growing.apply(required, only_new_leaves=True)
    if not growing.applications:
        growing.apply(_MUL, only_new_leaves=True)
    if draw(st.sampled_from([False, True, True, True])):
        growing.close_a_diamond()
    return growing.finished()


_MUL, _RESHAPE, _GETITEM = map(Subject.of, (ops.mul, ops.reshape, ops.getitem))


class _Growing:
    """A graph that is being drawn, with the data of its nodes so far."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.leaves: list[Array] = []
        self.applications: list[Application] = []
        # While drawing, a leaf has its index as number, and an application ~index, until
        # `finished` puts the leaves first.
        self.data: dict[int, Array] = {}

    def apply(self, subject: Subject, only_new_leaves: bool = False) -> None:
        """Add one application; undo it if its data would not be tame."""
        wanted, attributes = self._shapes_wanted(subject, only_new_leaves)
        leaves, applications = len(self.leaves), len(self.applications)
        operands = [
            self._operand(shape, domain, subject.elementwise, only_new_leaves)
            for shape, domain in zip(wanted, subject.domains_for(len(wanted)), strict=True)
        ]
        if not self._append(subject, operands, attributes):
            for leaf in range(leaves, len(self.leaves)):
                del self.data[leaf]
            for added in range(applications, len(self.applications)):  # they may be of new leaves
                del self.data[~added]
            del self.leaves[leaves:], self.applications[applications:]

    def close_a_diamond(self) -> None:
        """Multiply the last result by a node under it: paths of unequal length meet there."""
        last = self._last
        numbers = self._numbers_under(last)
        if not numbers:
            return  # it is all conditions
        earlier = self.draw(st.sampled_from(numbers))
        if not _stretches(self.data[earlier].shape, self.data[last].shape):
            earlier = self._rearranged(earlier, self.data[last].shape)
        self._append(_MUL, [earlier, last], {})

    def _numbers_under(self, node: int) -> list[int]:
        leaves, stack = dict[int, None](), [node]
        while stack:
            below = stack.pop()
            operands = self.applications[~below].operands if below < 0 else ()
            new = [i for i in operands if self.data[i].dtype.kind == "f" and i not in leaves]
            leaves.update(dict.fromkeys(new))
            stack += new
        return list(leaves)

    def _append(
        self, subject: Subject, operands: Sequence[int], attributes: Mapping[str, Any]
    ) -> bool:
        """Apply an operation to nodes; or say that the result would not be tame."""
        arrays = [self.data[i] for i in operands]
        result = self._tame_result(subject, arrays, attributes)
        if result is None:
            return False
        self.data[~len(self.applications)] = result
        self.applications.append(Application(subject.op, tuple(operands), attributes))
        return True

    def _shapes_wanted(
        self, subject: Subject, fresh: bool
    ) -> tuple[tuple[Shape, ...], Mapping[str, Any]]:
        if not subject.elementwise:
            shapes_and_attributes: tuple[tuple[Shape, ...], Mapping[str, Any]]
            shapes_and_attributes = self.draw(subject.ways_to_call())
            return shapes_and_attributes
        present = [] if fresh else [d.shape for d in self.data.values() if d.dtype.kind == "f"]
        small = shapes(max_dims=2).filter(lambda shape: math.prod(shape) <= LARGEST)
        shape = self.draw(st.sampled_from(present) if present else small)
        wanted = (shape,) * len(subject.operands)
        return wanted, self.draw(attributes_for(wanted, subject.attributes))

    def _operand(self, shape: Shape, domain: Any, stretches: bool, fresh: bool) -> int:
        """Choose an earlier node, or make a leaf."""
        if domain is not None and not fresh:
            low, high = domain
            inside = [
                node
                for node, data in reversed(self.data.items())
                if data.dtype.kind == "f"
                and np.all((data > low + CLEARANCE) & (data < high - CLEARANCE))
            ]
            shaped = [self.data[node].shape for node in inside]
            fitting = [
                node
                for node, own_shape in zip(inside, shaped, strict=True)
                if own_shape == shape or (stretches and _stretches(own_shape, shape))
            ]
            if inside and self.draw(st.integers(0, 3)):
                chosen: int = self.draw(st.sampled_from(fitting or inside))
                return chosen if fitting else self._rearranged(chosen, shape)
        if stretches and shape and self.draw(st.integers(0, 3)) == 3:
            shape = (1,) * self.draw(st.integers(0, 1)) + shape[1:]
        (leaf,) = self.draw(arrays_together([shape], "generic", [domain]))
        self.data[len(self.leaves)] = leaf
        self.leaves.append(leaf)
        return len(self.leaves) - 1

    def _rearranged(self, node: int, shape: Shape) -> int:
        """Bring a node to another shape: elements are left out, or taken again."""
        index = np.resize(np.arange(self.data[node].size), math.prod(shape))
        self._append(_RESHAPE, [node], {"shape": (-1,)})
        self._append(_GETITEM, [self._last], {"index": index})
        self._append(_RESHAPE, [self._last], {"shape": shape})
        return self._last

    @property
    def _last(self) -> int:
        return ~(len(self.applications) - 1)

    def _tame_result(
        self, subject: Subject, arrays: Sequence[Array], attributes: Mapping[str, Any]
    ) -> Array | None:
        if subject.op.kinks and _near_a_kink(arrays, edges_in(attributes)):
            return None
        shifted = [x + CLEARANCE / 4 if x.dtype.kind == "f" else x for x in arrays]
        try:
            result, _ = subject.run(Call(*arrays, **attributes).copy())
            # A step to the side would show a division by almost nothing.
            nearby, _ = subject.run(Call(*shifted, **attributes))
        except OperationError:
            return None  # other laws report it
        with np.errstate(invalid="ignore"):  # infinity minus itself is nan, and not tame
            steep = ~(np.abs(nearby - result) <= CLEARANCE / 4 * TAME)
        tame = np.all(np.abs(result) <= TAME) and not np.any(steep)
        return result if tame and result.size <= 4 * LARGEST else None

    def finished(self) -> Expression:
        """Put the leaves first, and choose where backward starts."""
        last = len(self.applications) - 1
        more = self.draw(st.lists(st.integers(0, last), max_size=2))
        chosen = [last, *more]
        first = len(self.leaves)

        def place(node: int) -> int:
            return node if node >= 0 else first + ~node

        applications = [
            Application(op, tuple(map(place, operands)), attributes)
            for op, operands, attributes in self.applications
        ]
        upstreams = [self.draw(arrays_together([self.data[~root].shape]))[0] / 2 for root in chosen]
        return Expression(
            tuple(self.leaves),
            tuple(applications),
            tuple(first + root for root in chosen),
            tuple(upstreams),
        )


def _stretches(shape: Shape, to: Shape) -> bool:
    """Whether `shape` broadcasts to `to`."""
    return len(shape) <= len(to) and all(
        n in (1, m) for n, m in zip(shape[::-1], to[::-1], strict=False)
    )


def _near_a_kink(arrays: Sequence[Array], edges: Sequence[float]) -> bool:
    """Whether any two numbers almost tie, or one is almost 0 or an edge."""
    numbers = [0.0, *edges]
    for x in arrays:
        if x.dtype.kind == "f":
            numbers += x.ravel().tolist()
    return bool(np.any(np.diff(np.sort(numbers)) < CLEARANCE))
