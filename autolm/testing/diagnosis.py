"""Find the cause of a wrong gradient: fit hypotheses about the mistake to the wrong gradients.

A hypothesis predicts the gradient that a rule with one particular mistake computes. If it predicts
the actual gradient in every call in which that of an operand is wrong, it is the diagnosis.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autolm.outside.language import say
from autolm.testing.call import Call
from autolm.testing.evidence import Evidence, gather
from autolm.testing.hypotheses import (
    EVERYWHERE,
    HYPOTHESES,
    Hypothesis,
    repeated_index,
)
from autolm.testing.subject import Subject
from autolm.testing.verdict import Arrays, largest

USED_TWICE = "wrong only where an operand occurs twice: each of its uses must count"
EQUAL = "ties: wrong where operands are equal, whether or not they are one and the same"

SOME = 3  # calls at most in which the dependence of an error on operands is measured
POWERS = (0, 1, 2, 3, -1, -2)  # of an operand, that an error may be proportional to
SURE = 1e-6  # relative deviation allowed from that power

LEAST = 3  # wrong elements needed, in all calls together, for a diagnosis


def diagnose(
    subject: Subject, example: Call | None, hypotheses: Sequence[Hypothesis] = HYPOTHESES
) -> str:
    """Say what is wrong with the gradients of an operation; empty if no hypothesis fits."""
    by_operand = _by_operand(gather(subject, example))
    named: dict[str, list[str]] = {}
    for name, evidences in by_operand.items():
        diagnosis = _common_diagnosis(evidences, hypotheses)
        if diagnosis:
            named.setdefault(diagnosis, []).append(name)
    return "; ".join(f"{', '.join(names)}: {say(text)}" for text, names in named.items())


def what_is_known(subject: Subject, example: Call | None) -> str:
    """Say which gradients are wrong, and where, if no cause explains them all."""
    facts = []
    for name, evidences in _by_operand(gather(subject, example)).items():
        wrong = [e for e in evidences if e.wrong]
        if not wrong:
            facts.append(say(f"{name} is right"))
            continue
        places = {text for text in _places(wrong[0]) if all(text in _places(e) for e in wrong)}
        calls = "" if len(wrong) == len(evidences) else " in some calls"
        where = "".join(f", {say(text)}" for text in sorted(places))
        facts.append(say(f"{name} is wrong{calls}") + where)
        facts += [say(f"its error {text}") for text in _how_the_error_depends(wrong)]
    return "; ".join(facts)


def _how_the_error_depends(wrong: Sequence[Evidence]) -> list[str]:
    """Say which operands the error does not depend on, or is a power of, in all calls."""
    clauses = []
    for i, name in enumerate(wrong[0].subject.names_of(wrong[0].call)):
        powers = {_power_of_the_error(e, i) for e in wrong[:SOME]}
        if len(powers) == 1 and (power := powers.pop()) is not None:
            text = f"is proportional to {name}" + (f" to the {power}" if power != 1 else "")
            clauses.append(text if power else f"does not depend on {name}")
    return clauses


def _power_of_the_error(e: Evidence, operand: int) -> int | None:
    """Double an operand: return the power of two that the error is multiplied by, if it is one."""
    if operand >= len(e.call.inputs) or e.call.inputs[operand].dtype.kind != "f":
        return None
    inputs = [2 * x if i == operand else x for i, x in enumerate(e.call.inputs)]
    there = Call(*inputs, **e.call.attributes)
    there.upstream = e.upstream
    due = e.gradient_at(inputs, e.upstream)
    contribution = e.subject.contributions(there)[e.operand]
    if due is None or contribution is None:
        return None
    here, error = e.analytic - e.numeric, contribution - due
    for power in POWERS:
        if largest(error - 2.0**power * here) <= SURE * largest(error):
            return power
    return None


def of_uses(subject: Subject, call: Call, contributions: Arrays) -> str:
    """Say whether the mistake is due to operands that are one array, or that are equal."""
    separate = subject.contributions(call.copy())
    pairs = zip(contributions, separate, strict=True)
    alike = all(a is None or b is None or np.allclose(a, b, equal_nan=True) for a, b in pairs)
    return EQUAL if alike else USED_TWICE


def _places(e: Evidence) -> list[str]:
    """Describe the elements that are wrong, where they are not all."""
    off = np.abs(e.analytic - e.numeric) > 1e-7 * (largest(e.numeric) + largest(e.analytic))
    if off.all():
        return ["in all positions"]
    places = []
    for axis in range(off.ndim):
        other_axes = tuple(i for i in range(off.ndim) if i != axis)
        where = np.flatnonzero(off.any(axis=other_axes))
        if 0 < where.size < off.shape[axis]:
            places.append(f"only at {', '.join(map(str, where))} along axis {axis}")
    return places or ["in some positions"]


def _by_operand(evidences: list[Evidence]) -> dict[str, list[Evidence]]:
    by_operand: dict[str, list[Evidence]] = {}
    for e in evidences:
        by_operand.setdefault(e.subject.names_of(e.call)[e.operand], []).append(e)
    return by_operand


def _common_diagnosis(evidences: list[Evidence], hypotheses: Sequence[Hypothesis]) -> str:
    """Return the first diagnosis that fits every call in which the gradient is wrong.

    A mistake that would be made in every call must also explain the calls with a right gradient.
    """
    wrong = [e for e in evidences if e.wrong]
    if not wrong:
        return ""
    if sum(e.x.size for e in wrong) < LEAST:  # any constant fits a single number
        hypotheses = (repeated_index,)
    right = [e for e in evidences if not e.wrong]
    for hypothesis in hypotheses:  # one by one: some are slow, and the first that fits is reported
        explained = [*wrong, *(right if hypothesis in EVERYWHERE else ())]
        common = _diagnoses(explained[0], hypothesis)
        for evidence in explained[1:]:
            if not common:
                break
            fitting = _diagnoses(evidence, hypothesis)
            common = [text for text in common if text in fitting]
        if common:
            return common[0]
    return ""


def _diagnoses(evidence: Evidence, hypothesis: Hypothesis) -> list[str]:
    with np.errstate(all="ignore"):
        return [text for text, predicted in hypothesis(evidence) if evidence.fits(predicted)]
