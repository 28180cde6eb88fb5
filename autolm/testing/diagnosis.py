"""Name the mistake: hypotheses of what went wrong, each fitted to the gradients that are wrong.

A hypothesis predicts what the rule would say if it made one particular mistake. One that predicts
what the rule does say, for every call in which an operand's gradient is wrong, is the diagnosis.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autolm.outside.language import say
from autolm.testing.call import Call
from autolm.testing.hypotheses import (
    EVERYWHERE,
    HYPOTHESES,
    Hypothesis,
    repeated_index,
)
from autolm.testing.samples import Evidence, gather
from autolm.testing.under_test import Subject
from autolm.testing.verdict import Arrays, largest

USED_TWICE = "wrong only where an operand occurs twice: each of its uses must count"
EQUAL = "ties: wrong where operands are equal, whether or not they are one and the same"

LEAST = 3  # elements of wrong gradients, all calls together, that a cause is sought for


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
    told = []
    for name, evidences in _by_operand(gather(subject, example)).items():
        wrong = [e for e in evidences if e.wrong]
        if not wrong:
            told.append(say(f"{name} is right"))
            continue
        places = {text for text in _places(wrong[0]) if all(text in _places(e) for e in wrong)}
        calls = "" if len(wrong) == len(evidences) else " in some calls"
        where = "".join(f", {say(text)}" for text in sorted(places))
        told.append(say(f"{name} is wrong{calls}") + where)
    return "; ".join(told)


def of_uses(subject: Subject, call: Call, sent: Arrays) -> str:
    """Say whether what is `sent` is wrong because operands are one, or because they are equal."""
    apart = subject.contributions(call.copy())
    pairs = zip(sent, apart, strict=True)
    alike = all(a is None or b is None or np.allclose(a, b, equal_nan=True) for a, b in pairs)
    return EQUAL if alike else USED_TWICE


def _places(e: Evidence) -> list[str]:
    """Describe the elements that are wrong, where they are not all."""
    off = np.abs(e.analytic - e.numeric) > 1e-7 * (largest(e.numeric) + largest(e.analytic))
    if off.all():
        return ["in all positions"]
    found = []
    for axis in range(off.ndim):
        others = tuple(i for i in range(off.ndim) if i != axis)
        where = np.flatnonzero(off.any(axis=others))
        if 0 < where.size < off.shape[axis]:
            found.append(f"only at {', '.join(map(str, where))} along axis {axis}")
    return found or ["in some positions"]


def _by_operand(evidences: list[Evidence]) -> dict[str, list[Evidence]]:
    found: dict[str, list[Evidence]] = {}
    for e in evidences:
        found.setdefault(e.subject.names_of(e.call)[e.operand], []).append(e)
    return found


def _common_diagnosis(evidences: list[Evidence], hypotheses: Sequence[Hypothesis]) -> str:
    """Return the first diagnosis that fits every call in which the gradient is wrong.

    What would make it wrong in every call must explain those too in which it is right.
    """
    wrong = [e for e in evidences if e.wrong]
    if not wrong:
        return ""
    if sum(e.x.size for e in wrong) < LEAST:  # any constant fits a single number
        hypotheses = (repeated_index,)
    right = [e for e in evidences if not e.wrong]
    for hypothesis in hypotheses:  # one by one: some take long, and the first that fits is told
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
