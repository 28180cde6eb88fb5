"""Check gradients where they are used: of a function at a point, of a graph, of a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autolm.engine.graph import Node, describe, topological_order
from autolm.engine.recording import no_grad, record_locations
from autolm.engine.value import Operation, Value
from autolm.ops.array_operation import ArrayOperation
from autolm.ops.primitive import Primitive
from autolm.outside.arguments import quote
from autolm.tensor.tensor import Tensor
from autolm.testing.call import Call
from autolm.testing.check_report import Failure, Report
from autolm.testing.diagnosis import diagnose, of_uses
from autolm.testing.graph_as_function import forward_of, in_double, replayed
from autolm.testing.law_runner import examine_call
from autolm.testing.laws.law import program_of_uses
from autolm.testing.operation_checks import report_of
from autolm.testing.operation_runner import OperationError
from autolm.testing.oracle import Derivative, differentiate
from autolm.testing.reproduction import location_of, runnable
from autolm.testing.subject import Subject, upstream_for
from autolm.testing.verdict import SINGLE, Comparison, Verdict, compare, largest_contribution

Array = NDArray[Any]

PRINTED = 32  # elements up to which operands are printed in a program
OUTSIDE = (
    "a path is missing: the result depends on an input in a way that the graph did not record "
    "(.data, .detach(), float(), no_grad())"
)


def check_gradient(
    f: ArrayOperation | Callable[..., Any],
    *inputs: Any,
    upstream: ArrayLike | None = None,
    **attributes: Any,
) -> Report:
    """Check the gradient of a primitive, or of a function of Tensors or Values, at a point.

    Numbers, lists, floating point arrays, Tensors and Values are differentiated; anything else is
    passed on. A primitive is also held against all laws that speak of a single call.

    Parameters
    ----------
    f
        What is called, as ``f(*inputs, **attributes)``; it returns one Tensor or Value.
    upstream
        ∂L/∂result; distinct numbers, if it is not given.

    Raises
    ------
    GradientError
        If the gradient is wrong; the message names the operation that is guilty.

    Examples
    --------
    >>> check_gradient(lambda x, w: (x @ w).tanh(), [1.0, 2.0], [[0.5], [-0.25]])
    <lambda> is CORRECT to 16 digits
    """
    _require_callable("check_gradient", "f", f)
    if isinstance(f, ArrayOperation):
        if not inputs:
            raise TypeError(f"{f.name}: there is nothing to differentiate; give it operands")
        try:
            inspect.signature(f.forward).bind(*inputs, **attributes)
        except TypeError as error:
            raise TypeError(f"{f.name} cannot be called so: {error}") from None
        subject = Subject.of(f, arity=len(inputs) if f.joins else None, attributes=attributes)
        call = Call(*(i.data if isinstance(i, Tensor) else i for i in inputs), **attributes)
        with suppress(OperationError):  # a forward that fails is for the laws to report
            call.upstream = _upstream(f.name, upstream, subject.run(call.copy())[0].shape)
        return report_of(subject, examine_call(subject, call)).require()
    return _evaluated(f, inputs, upstream, attributes).report().require()


def assert_gradients(
    module_or_f: Any, *inputs: Any, upstream: ArrayLike | None = None, **attributes: Any
) -> Report:
    """Check the gradients of all parameters of a module, and of its inputs: a test in one line.

    A module is what has `named_parameters()`; a function has inputs only. Besides, every node of
    the graph is checked by itself: two mistakes may cancel, and the guilty one is to be named.

    Raises
    ------
    GradientError
        If a gradient is wrong.

    Examples
    --------
    >>> from autolm.nn import Module
    >>> class Linear(Module):
    ...     def __init__(self):
    ...         self.W = Tensor([[1.0, -2.0], [0.5, 3.0]])
    ...
    ...     def forward(self, x):
    ...         return x @ self.W
    >>> assert_gradients(Linear(), np.ones((4, 2))).verdict
    <Verdict.CORRECT: 'correct'>
    """
    _require_callable("assert_gradients", "module_or_f", module_or_f)
    if isinstance(module_or_f, ArrayOperation):
        return check_gradient(module_or_f, *inputs, upstream=upstream, **attributes)
    evaluation = _evaluated(module_or_f, inputs, upstream, attributes)
    before = [(node, node.grad if node.has_grad else None) for node in evaluation.leaves]
    try:
        for node in evaluation.leaves:
            node.grad = None
        report = evaluation.report()
        if report.failure is None:
            with record_locations():
                local = _check_nodes(evaluation.evaluate())
            report = local if local.verdict is Verdict.WRONG else report
    finally:
        for node, grad in before:
            node.grad = grad
    return report.require()


def check_graph(root: Node) -> Report:
    """Check the rule of every node under `root` by itself, at its own data; blame the wrong one.

    A gradient at a leaf is wrong if any rule on the way is. Here each is held against the oracle
    alone, so the guilty one is found, with its operation, scope and location (inside
    ``with record_locations():``).

    Raises
    ------
    GradientError
        If a rule is wrong.
    ValueError
        If no operation under `root` has a rule.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0])
    >>> check_graph((x * x).tanh().sum()).verdict
    <Verdict.CORRECT: 'correct'>
    """
    if not isinstance(root, Node):
        raise TypeError(f"check_graph: root must be a Tensor or a Value, not {quote(root)}")
    if not root.parents or not root.requires_grad:
        raise ValueError("check_graph: there is no operation under this node to be checked")
    return _check_nodes(root).require()


def _require_callable(name: str, argument: str, function: Any) -> None:
    if isinstance(function, type):
        raise TypeError(f"{name}: {argument} {function.__name__} is a class; give it an instance")
    if not callable(function):
        raise TypeError(f"{name}: {argument} must be something to call, not {quote(function)}")


def _check_nodes(root: Node) -> Report:
    digits, undecided, nothing = np.inf, list[str](), list[str]()
    for node in topological_order(root):
        if not node.parents or not node.requires_grad:
            continue
        try:
            comparison = _check_node(node)
        except ValueError as error:
            undecided.append(str(error))
            continue
        if comparison.verdict is Verdict.WRONG and _follows_from_its_operands(node):
            return _guilty(node, comparison)
        if comparison.verdict is Verdict.WRONG:
            undecided.append(f"{describe(node)}: its operands were changed after it was computed")
            continue
        if comparison.vacuous:
            nothing.append(f"{describe(node)}: {comparison.reason}")
            continue
        if comparison.verdict is Verdict.UNDECIDED:
            undecided.append(f"{describe(node)}: {comparison.reason}")
        digits = min(digits, comparison.digits)
    name = f"the graph of {describe(root)}"
    doubts = undecided or (nothing if np.isinf(digits) else [])
    if doubts:
        return Report(name, Verdict.UNDECIDED, reason="; ".join(doubts[:3]))
    return Report(name, Verdict.CORRECT, min(digits, 16.0))


def _check_node(node: Node) -> Comparison:
    """Hold one node's rule against the oracle; in single precision, a rule made anew in double."""
    uses: dict[Node, list[int]] = {}  # of what is differentiated: its places among the parents
    for place, parent in enumerate(node.parents):
        if parent.requires_grad and np.asarray(parent.data).dtype.kind == "f":
            uses.setdefault(parent, []).append(place)
    operands = [in_double(parent) for parent in node.parents]
    forward = forward_of(node)

    def function(*arrays: Array) -> Array:
        pairs = zip(uses.values(), arrays, strict=True)
        filled = {place: array for places, array in pairs for place in places}
        return forward(*(filled.get(i, operand) for i, operand in enumerate(operands)))

    derivative = differentiate(function, [in_double(parent) for parent in uses])
    upstream = upstream_for(derivative.result.shape)
    names = _operand_names(node)
    dtype = np.asarray(node.data).dtype
    single = any(np.asarray(operand.data).dtype == np.float32 for operand in (node, *uses))

    def compared(node: Node, upstream: Any, slack: float) -> Comparison:
        contributions = node.contributions(upstream)
        analytic = [np.sum([contributions[i] for i in places], axis=0) for places in uses.values()]
        seed = np.asarray(upstream, dtype=float)
        return compare([names[p[0]] for p in uses.values()], analytic, derivative, seed, slack)

    if isinstance(node, Value):
        return compared(node, float(upstream), 1.0)
    if not single:
        return compared(node, upstream, 1.0)
    single_precision = compared(node, upstream.astype(dtype), SINGLE)
    if single_precision.verdict is Verdict.WRONG:
        return single_precision
    doubles = {parent: Tensor(in_double(parent), parent.requires_grad) for parent in node.parents}
    assert isinstance(node.op, Primitive)
    same = node.op(*(doubles[parent] for parent in node.parents), **node.attributes)
    return compared(same, upstream, 1.0)


def _follows_from_its_operands(node: Node) -> bool:
    """Whether recomputing a node from the present data of its operands gives the recorded result.

    An optimizer changes parameters in place; a rule can be checked at the recorded numbers only.
    """
    recorded = np.asarray(node.data)
    if isinstance(node.op, Primitive):
        operands = (node.parents,) if node.op.joins else node.parents
        again = Tensor.record(node.op, operands, node.attributes).data
    else:
        assert isinstance(node.op, Operation)
        again = np.asarray(node.op.at([parent.data for parent in node.parents])[0])
    slack = 1000 * np.finfo(recorded.dtype).eps
    return np.allclose(again, recorded, rtol=slack, atol=slack * np.abs(recorded).max(initial=0))


def _operand_names(node: Node) -> list[str]:
    count = len(node.parents)
    if isinstance(node.op, Primitive) and not node.op.joins:
        names = Subject.of(node.op).operands
        if len(names) == count:
            return [parent.name or name for parent, name in zip(node.parents, names, strict=True)]
    return [parent.name or f"operand {i}" for i, parent in enumerate(node.parents)]


def _guilty(node: Node, comparison: Comparison) -> Report:
    assert node.op is not None
    failure = Failure(
        f"the rule of {describe(node)} is wrong; it is held against {comparison.oracle}",
        rows=comparison.rows,
        diagnosis=_diagnosis(node),
        program=_program(node),
        node=node,
    )
    location = location_of(node.op.forward) if isinstance(node.op, Primitive) else ""
    return Report(node.op.name, Verdict.WRONG, location=location, failure=failure)


def _call_of(node: Node) -> Call:
    call = Call(*(in_double(parent) for parent in node.parents), **node.attributes)
    call.upstream = upstream_for(np.shape(node.data))
    return call


def _subject_of(node: Node) -> Subject | None:
    if not isinstance(node.op, Primitive):
        return None
    return Subject.of(node.op, arity=len(node.parents) if node.op.joins else None)


def _diagnosis(node: Any) -> str:
    subject = _subject_of(node)
    if subject is None:
        return ""
    call = _call_of(node)
    cause = diagnose(subject, call)
    if not cause and len(set(node.parents)) < len(node.parents):
        cause = of_uses(subject, call, subject.node_contributions(node, call.upstream))
    return f"{subject.op.name}: {cause}" if cause else ""


def _program(node: Node) -> str:
    subject, size = _subject_of(node), sum(np.size(parent.data) for parent in node.parents)
    if subject is None or size > PRINTED:
        return ""
    first = {parent: i for i, parent in reversed([*enumerate(node.parents)])}
    uses = [first[parent] for parent in node.parents]
    if len(set(uses)) < len(uses):
        return runnable(program_of_uses(subject, _call_of(node), uses), subject)
    return runnable(subject.program(_call_of(node)), subject)


def _leaf(argument: Any) -> Any:
    """Make a leaf of what can be differentiated; None of anything else."""
    if isinstance(argument, Value):
        return Value(argument.data, argument.name)
    if isinstance(argument, Tensor):
        return (
            Tensor(argument.data.copy(), name=argument.name) if argument.dtype.kind == "f" else None
        )
    if isinstance(argument, np.ndarray | np.generic):
        return Tensor(np.array(argument)) if argument.dtype.kind == "f" else None
    number = isinstance(argument, int | float | list | tuple) and not isinstance(argument, bool)
    return Tensor(argument) if number else None


@dataclass(frozen=True)
class _Evaluation:
    """A function or module, what it is called with, and what it is differentiated by."""

    f: Any
    evaluate: Callable[[], Any]
    names: tuple[str, ...]
    leaves: tuple[Any, ...]
    upstream: ArrayLike | None

    def report(self) -> Report:
        """Evaluate once, run backward, and hold the leaves' gradients against the oracle."""
        name = getattr(self.f, "__name__", type(self.f).__name__)
        if not self.leaves:
            raise TypeError(
                f"{name}: there is nothing to differentiate; give it floating point inputs"
            )
        with record_locations():
            root = self.evaluate()
        if not isinstance(root, Node):
            raise TypeError(
                f"{name}: it must return a Tensor or a Value, not {type(root).__name__}"
            )
        seed = _upstream(name, self.upstream, np.shape(root.data))
        if root.requires_grad:
            root.backward(float(seed) if isinstance(root, Value) else seed)
        comparison = self._compared(root, seed)
        if comparison.verdict is Verdict.CORRECT and not any(x.has_grad for x in self.leaves):
            reason = "no path of the graph leads to an input, so no rule was tried"
            return Report(name, Verdict.UNDECIDED, reason=reason)
        if comparison.verdict is not Verdict.WRONG:
            return Report(name, comparison.verdict, comparison.digits, reason=comparison.reason)
        guilty = _check_nodes(root).failure or Failure(
            f"the gradient differs from that of {comparison.oracle}",
            diagnosis=OUTSIDE,
            node=root,
        )
        failure = replace(guilty, rows=comparison.rows)
        function = getattr(self.f, "forward", self.f)
        return Report(name, Verdict.WRONG, location=location_of(function), failure=failure)

    def _compared(self, root: Node, upstream: Array) -> Comparison:
        analytic = [np.asarray(leaf.grad) if leaf.has_grad else None for leaf in self.leaves]
        derivative = _differentiated(root, self.evaluate, self.leaves)
        single = any(np.asarray(leaf.data).dtype == np.float32 for leaf in self.leaves)
        slack = SINGLE if single else 1.0
        comparison = compare(self.names, analytic, derivative, upstream, slack)
        if comparison.verdict is Verdict.WRONG and root.requires_grad:  # or do large ones cancel?
            floor = largest_contribution(root, upstream)
            comparison = compare(self.names, analytic, derivative, upstream, slack, floor)
        return comparison


def _evaluated(
    f: Any, inputs: Sequence[Any], upstream: ArrayLike | None, attributes: dict[str, Any]
) -> _Evaluation:
    """Create leaves for the inputs; the parameters of a module are leaves already."""
    named = dict(f.named_parameters()) if hasattr(f, "named_parameters") else {}
    leaves = [_leaf(argument) for argument in inputs]

    def evaluate() -> Any:
        pairs = zip(leaves, inputs, strict=True)
        return f(*(argument if leaf is None else leaf for leaf, argument in pairs), **attributes)

    for i, leaf in enumerate(leaves):
        if leaf is not None:
            named[leaf.name or f"input {i}"] = leaf
    return _Evaluation(f, evaluate, tuple(named), tuple(named.values()), upstream)


def _upstream(name: str, upstream: ArrayLike | None, shape: tuple[int, ...]) -> Array:
    gradient = upstream_for(shape) if upstream is None else _finite(name, upstream)
    if gradient.shape != shape:
        raise ValueError(f"{name}: upstream is {gradient.shape}, and the result {shape}")
    return gradient


def _finite(name: str, upstream: Any) -> Array:
    """Read an upstream gradient, which is of real numbers."""
    data = np.asarray(upstream.data if isinstance(upstream, Node) else upstream)
    if data.dtype.kind not in "iuf":
        raise TypeError(f"{name}: upstream must be of real numbers, not {quote(upstream)}")
    if not np.isfinite(data).all():
        raise ValueError(f"{name}: upstream must be finite, not {quote(upstream)}")
    return data.astype(float)


def _differentiated(root: Node, evaluate: Callable[[], Any], leaves: Sequence[Any]) -> Derivative:
    """Differentiate what was recorded; judged by evaluating anew, with other data in the leaves."""

    def anew(*arrays: Array) -> Array:
        before = [leaf.data for leaf in leaves]
        try:
            for leaf, array in zip(leaves, arrays, strict=True):
                _put(leaf, array)
            with no_grad():
                return np.asarray(evaluate().data)
        finally:
            for leaf, data in zip(leaves, before, strict=True):
                leaf.data = data

    return differentiate(replayed(root, leaves), [in_double(leaf) for leaf in leaves], judge=anew)


def _put(leaf: Any, array: Array) -> None:
    leaf.data = float(array) if isinstance(leaf, Value) else array
