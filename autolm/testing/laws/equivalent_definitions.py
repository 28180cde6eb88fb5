"""Laws of definition: an operation agrees with its definitions and its declared relations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops.primitive import Primitive
from autolm.outside.message import message
from autolm.outside.terminal import words_of
from autolm.tensor.expansion import expand
from autolm.tensor.tensor import Tensor
from autolm.testing.call import Call, literal
from autolm.testing.laws.law import Law, LawBroken, Tally, broken
from autolm.testing.operation_runner import OperationError
from autolm.testing.reproduction import program_of_relation
from autolm.testing.subject import Subject
from autolm.testing.verdict import (
    Row,
    allowed_rounding,
    digits_of,
    gradient_scale,
    largest,
)
from autolm.walking.decomposition import decompose

Array = NDArray[Any]

AGREEMENT = 1e-12  # between the two engines, of the scale of what is compared


def _check_scalar(subject: Subject, call: Call, tally: Tally) -> None:
    node = subject.node(call)
    try:
        expanded = expand(node, zoom=True)
        values = expanded[node]
        result = np.array([value.data for value in values.flat]).reshape(values.shape)
        numeric = (
            _scalar_gradients(expanded, node, call.given_upstream) if node.requires_grad else []
        )
    except Exception as error:  # any error of a definition
        raise _failed(message("scalar definition"), error) from error
    _compare("scalar definition", subject, call, node, result)
    if node.requires_grad:
        _compare_gradients("scalar definition", subject, call, node, numeric, tally)


def _check_opens(subject: Subject, call: Call, tally: Tally) -> None:
    node = subject.node(call)
    if not node.requires_grad:
        return  # a constant has no operation
    try:
        root, leaves = decompose(node)
        root.backward(call.given_upstream)
    except Exception as error:  # any error of a definition
        raise _failed(message("definition"), error) from error
    _compare("definition", subject, call, node, root.data)
    numeric = [_gradient_of(leaves[parent]) for parent in node.parents]
    _compare_gradients("definition", subject, call, node, numeric, tally)


def _gradient_of(leaf: Tensor) -> Array | None:
    """Return the gradient of a leaf: 0 if no path leads to it, None for a constant."""
    if not leaf.requires_grad:
        return None
    return leaf.grad if leaf.has_grad else np.zeros(leaf.shape)


def _failed(definition: str, error: Exception) -> OperationError:
    return OperationError(f"the {definition} raised {type(error).__name__}: {words_of(error)}")


def _compare(definition: str, subject: Subject, call: Call, node: Tensor, defined: Array) -> None:
    close = AGREEMENT * max(largest(defined), 1e-300)
    if defined.shape != node.shape or largest(node.data - defined) > close:
        message = f"the result is {literal(node.data)}, by its {definition} {literal(defined)}"
        cause = f"the forward and the {definition} are different functions"
        raise broken(subject, call, message, cause)


def _compare_gradients(
    definition: str,
    subject: Subject,
    call: Call,
    node: Tensor,
    numeric: list[Array | None],
    tally: Tally,
) -> None:
    contributions = subject.node_contributions(node, call.given_upstream)
    scale = gradient_scale(numeric, call.inputs, node.data, call.given_upstream)
    rows = []
    for name, a, n in zip(subject.names_of(call), contributions, numeric, strict=True):
        if a is None or n is None:
            continue
        tally.digits = min(tally.digits, digits_of(largest(a - n), scale))
        off = np.abs(a - n)
        if not np.all(off <= AGREEMENT * scale):
            function = subject.function(call.attributes)
            off = off - allowed_rounding(function, call.inputs, call.given_upstream)
        wrong = np.argwhere(~(off <= AGREEMENT * scale))
        at = [tuple(map(int, place)) for place in wrong]
        rows += [Row(name, index, float(a[index]), float(n[index])) for index in at]
    if rows:
        message = f"the gradient differs from that of the {definition}"
        raise broken(subject, call, message, rows=rows)


def _scalar_gradients(expanded: Any, node: Tensor, upstream: Array) -> list[Array | None]:
    """Differentiate the scalar definition, element by element, by Value's own rules."""
    for value, seed in zip(expanded[node].flat, upstream.flat, strict=True):
        if value.requires_grad:
            value.backward(float(seed))
    return [
        np.array([value.grad for value in expanded[parent].flat]).reshape(parent.shape)
        if parent.requires_grad
        else None
        for parent in node.parents
    ]


def _check_relations(subject: Subject, call: Call, tally: Tally) -> None:
    function = subject.function(call.attributes)
    for relation in subject.relations:
        if not relation.applies(call):
            continue
        tally.exercised[relation.name] += 1
        with np.errstate(all="ignore"):
            violation = relation.violation(function, call)
        if violation:
            raise LawBroken(
                message("it is not {name}: {violation}", name=relation.name, violation=violation),
                call,
                program_of_relation(subject, call, relation),
                diagnosis=f"the forward is not {relation.name}: {violation}",
                about="forward",
            )


def _is_on_values(op: Primitive) -> bool:
    """Whether an operation promises to run on Values: those of this package do."""
    return op.scalar is not None or op.written_by_a_user is None


scalar = Law(
    "scalar",
    "result and gradient agree with the scalar definition",
    lambda subject: subject.calls() if _is_on_values(subject.op) else None,
    _check_scalar,
)
opens = Law(
    "opens",
    "result and gradient agree with the definition, composed of other operations",
    lambda subject: subject.calls() if subject.op.definition is not None else None,
    _check_opens,
)
relations = Law(
    "relations",
    "what was declared of the forward holds",
    lambda subject: subject.calls() if subject.relations else None,
    _check_relations,
    lambda subject: tuple(relation.name for relation in subject.relations),
)
