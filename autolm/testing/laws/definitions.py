"""Laws of definition: the operation is what its scalar definition and its relations say it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from autolm.tensor.expansion import expand
from autolm.tensor.tensor import Tensor
from autolm.testing.call import Call, literal
from autolm.testing.laws.law import Law, LawBroken, Tally, program_of
from autolm.testing.reproduction import program_of_relation
from autolm.testing.under_test import OperationError, Subject
from autolm.testing.verdict import Row, digits_of, gradient_scale, largest

Array = NDArray[Any]

AGREEMENT = 1e-12  # between the two engines, of the scale of what is compared


def _scalar_calls(subject: Subject) -> st.SearchStrategy[Call] | None:
    defined = subject.op.scalar is not None or _runs_on_values(subject)
    return subject.calls() if defined else None


def _runs_on_values(subject: Subject) -> bool:
    """Whether the forward serves as its own scalar definition, and drops no gradient of Values."""
    try:
        _check_scalar(subject, subject.simplest_call(), Tally())
    except Exception:  # whatever a forward raises on what it was not made for
        return False
    return True


def _check_scalar(subject: Subject, call: Call, tally: Tally) -> None:
    node = subject.node(call)
    try:
        expanded = expand(node, zoom=True)
    except Exception as error:  # whatever a definition raises
        said = f"{type(error).__name__}: {error}"
        raise OperationError(f"the scalar definition raised {said}") from error
    values = expanded[node]
    defined = np.array([value.data for value in values.flat]).reshape(values.shape)
    close = AGREEMENT * max(largest(defined), 1e-300)
    if values.shape != node.shape or largest(node.data - defined) > close:
        raise LawBroken(
            f"the result is {literal(node.data)}, by its scalar definition {literal(defined)}",
            call,
            program=program_of(subject, call),
            diagnosis="the forward and the scalar definition are different functions",
        )
    if not node.requires_grad:
        return
    contributions = subject.sent(node, call.given_upstream)
    numeric = _scalar_gradients(expanded, node, call.given_upstream)
    scale = gradient_scale(numeric, call.inputs, node.data, call.given_upstream)
    rows = []
    for name, a, n in zip(subject.names_of(call), contributions, numeric, strict=True):
        if a is None or n is None:
            continue
        tally.digits = min(tally.digits, digits_of(largest(a - n), scale))
        wrong = np.argwhere(~(np.abs(a - n) <= AGREEMENT * scale))
        at = [tuple(map(int, place)) for place in wrong]
        rows += [Row(name, index, float(a[index]), float(n[index])) for index in at]
    if rows:
        message = "the gradient differs from that of the scalar definition"
        raise LawBroken(message, call, program=program_of(subject, call), rows=tuple(rows))


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
                f"it is not {relation.name}: {violation}",
                call,
                program=program_of_relation(subject, call, relation),
                diagnosis=f"the forward is not {relation.name}: {violation}",
            )


scalar = Law(
    "scalar",
    "result and gradient agree with the scalar definition",
    _scalar_calls,
    _check_scalar,
)
relations = Law(
    "relations",
    "what was declared of the forward holds",
    lambda subject: subject.calls() if subject.relations else None,
    _check_relations,
    lambda subject: tuple(relation.name for relation in subject.relations),
)
