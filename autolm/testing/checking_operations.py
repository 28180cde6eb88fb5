"""Check one operation against every law: `check_op`, a test in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from autolm.engine.graph import Node
from autolm.ops.array_operation import ArrayOperation, Case
from autolm.tensor.tensor import Tensor
from autolm.testing.call import Call
from autolm.testing.diagnosis import diagnose, what_is_known
from autolm.testing.expressions import Expression
from autolm.testing.hypotheses import NOT_LINEAR
from autolm.testing.laws import (
    LAWS,
    LAWS_OF_VALUE,
    Law,
    extremes,
    linear,
    relations,
)
from autolm.testing.laws.values import aliased_node
from autolm.testing.other_keywords import with_other_keywords
from autolm.testing.relations import Relation
from autolm.testing.report import Failure, Report
from autolm.testing.reproduction import runnable, site_of
from autolm.testing.running import Outcome, Status, examine
from autolm.testing.subject import Subject
from autolm.testing.verdict import Verdict


def check_op(
    op: ArrayOperation | Callable[..., Any],
    *,
    arity: int | None = None,
    domain: Any = None,
    attributes: Mapping[str, Any] | None = None,
    cases: Sequence[Case] | None = None,
    relations: Sequence[Relation] = (),
    max_examples: int | None = None,
) -> Report:
    """Prove the gradient of an operation, or be told what is wrong with it.

    Every law is tried on random examples, and every gradient held against an oracle that shares no
    code with the rule. There is no step size and no tolerance to choose. What the record of a
    primitive says need not be said again.

    Parameters
    ----------
    op
        A primitive, or a function ``forward(*arrays, **attributes) -> (result, backward)``.
    arity
        How many operands it takes; by default, what its signature says.
    domain
        The open interval ``(low, high)`` to sample operands from, or one per operand.
    attributes
        Keyword arguments for every call. One that has a default, and is not told here, is tried at
        other values too: flags turned, other axes, other kinds of index.
    cases
        Shapes and attributes to try, for an operation that is not elementwise.
    relations
        What must hold of the forward besides: `causal`, `shift_invariant(axis)`, …
    max_examples
        For each law; by default, what the hypothesis profile says.

    Returns
    -------
    Report
        The verdict, the digits, and how each law came out.

    Raises
    ------
    GradientError
        If a law is broken. Its message is the report: counterexample, diagnosis, program.

    Warns
    -----
    UndecidedWarning
        If nothing could be proved.

    Examples
    --------
    >>> from autolm import ops
    >>> check_op(ops.mul, max_examples=5).verdict
    <Verdict.CORRECT: 'correct'>
    """
    subject = Subject.of(
        op, arity=arity, domain=domain, attributes=attributes, cases=cases, relations=relations
    )
    return report_on(subject, max_examples).require()


def calls(op: ArrayOperation | Callable[..., Any], **told: Any) -> st.SearchStrategy[Call]:
    """Random calls of an operation, for a property test of your own; `told` as in `check_op`.

    Examples
    --------
    >>> from autolm import ops
    >>> from hypothesis import given
    >>> @given(calls(ops.exp))
    ... def test_exp_is_positive(call):
    ...     assert (ops.exp(*call.inputs).data > 0).all()
    >>> test_exp_is_positive()
    """
    return with_other_keywords(Subject.of(op, **told)).calls()


def report_on(
    subject: Subject, max_examples: int | None = None, laws: Sequence[Law] = LAWS
) -> Report:
    """Try the laws on an operation and tell the result; a wrong gradient does not raise."""
    subject = with_other_keywords(subject)
    return report_of(subject, examine(subject, max_examples, laws))


def report_of(subject: Subject, outcomes: Sequence[Outcome]) -> Report:
    """Conclude from how the laws came out."""
    name, site = subject.op.name, site_of(subject.op.forward)
    broken = [outcome for outcome in outcomes if outcome.broken is not None]
    if broken:
        failure = _failure(subject, broken)
        return Report(name, Verdict.WRONG, 0.0, site, tuple(outcomes), failure)
    digits = min(outcome.tally.digits for outcome in outcomes)
    undecided = [outcome for outcome in outcomes if outcome.status is Status.UNDECIDED]
    missed = [outcome for outcome in outcomes if outcome.status is Status.NOT_EXERCISED]
    if undecided or (outcomes[0].status is not Status.HOLDS):
        reason = _reasons(undecided or missed)
        return Report(name, Verdict.UNDECIDED, 0.0, site, tuple(outcomes), reason=reason)
    partly = [o for o in outcomes if o.status is Status.HOLDS and o.reason]
    notes = [("not exercised", missed), ("undecided for some examples", partly)]
    told = [f"{note}: {_reasons(those)}" for note, those in notes if those]
    told += dict.fromkeys(text for o in outcomes for text in o.tally.noted)
    reason = "; ".join([subject.note] * bool(subject.note) + told)
    return Report(name, Verdict.CORRECT, digits, site, tuple(outcomes), reason=reason)


def _reasons(outcomes: Sequence[Outcome]) -> str:
    """Give each reason once, after the laws that have it."""
    laws: dict[str, list[str]] = {}
    for outcome in outcomes:
        laws.setdefault(outcome.reason, []).append(outcome.law.name)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in laws.items())


def _failure(subject: Subject, outcomes: Sequence[Outcome]) -> Failure:
    """Describe the first law that broke, with the best diagnosis that there is."""
    broken = outcomes[0].broken
    assert broken is not None
    example, diagnosis = broken.example, _diagnosis(subject, outcomes)
    behaved = [o.broken.diagnosis for o in outcomes if o.law.of_conduct and o.broken]
    return Failure(
        broken.message,
        outcomes[0].law.name,
        example,
        subject.describe(example) if isinstance(example, Call) else "",
        broken.rows,
        diagnosis,
        _known(subject, outcomes, diagnosis),
        _other_mistakes(outcomes[1:], diagnosis),
        bool(diagnosis) and diagnosis in behaved,
        runnable(broken.program, subject) if broken.program else "",
        f"@example({example})" if subject.has_strategy and isinstance(example, Call) else "",
        _node(subject, example),
    )


def _diagnosis(subject: Subject, outcomes: Sequence[Outcome]) -> str:
    """Prefer what is known for sure: a broken law of conduct explains wrong numbers too."""
    first = outcomes[0].broken
    assert first is not None
    conduct = [o for o in outcomes if o.law.of_conduct and o.law.name != extremes.name]
    told = [o.broken.diagnosis for o in conduct if o.broken]
    certain = list(filter(None, told))
    if certain or outcomes[0].law not in LAWS_OF_VALUE:
        return (certain or [first.diagnosis])[0]
    example = first.example if isinstance(first.example, Call) else None
    by_linear = "".join(
        o.broken.diagnosis for o in outcomes if o.law.name == linear.name and o.broken
    )
    try:
        evidence = subject.with_evidence()
        if by_linear:  # then what is sent is no number times it
            return diagnose(evidence, example, NOT_LINEAR) or by_linear
        return diagnose(evidence, example) or first.diagnosis
    except Exception:  # a forward may raise anything on the numbers of another call
        return first.diagnosis


def _known(subject: Subject, outcomes: Sequence[Outcome], diagnosis: str) -> str:
    """Say what is known where no cause is."""
    first = outcomes[0].broken
    if diagnosis or first is None or outcomes[0].law not in LAWS_OF_VALUE:
        return ""
    try:
        return what_is_known(
            subject.with_evidence(), first.example if isinstance(first.example, Call) else None
        )
    except Exception:  # as above
        return ""


def _other_mistakes(outcomes: Sequence[Outcome], diagnosis: str) -> tuple[str, ...]:
    """Tell of laws that are broken too, where the first mistake is hardly the reason."""
    return tuple(
        f"{outcome.law.name}: {outcome.broken.message}"
        for outcome in outcomes
        if outcome.broken is not None
        and (outcome.law.of_conduct or outcome.law is relations)
        and outcome.broken.diagnosis not in ("", diagnosis)
    )


def _node(subject: Subject, example: Any) -> Node | None:
    """Build the graph of the counterexample, with the gradients that are wrong, to be drawn."""
    try:
        if isinstance(example, Expression):
            node, upstream = example.build()[example.roots[0]], example.upstreams[0]
        elif isinstance(example, tuple):
            call, pair = example
            node, upstream = aliased_node(subject, call, pair), call.given_upstream
        elif isinstance(example, Call):
            named = zip(example.inputs, subject.names_of(example), strict=True)
            leaves = [Tensor(x.copy(), name=name) for x, name in named]
            node, upstream = subject.node(example, leaves), example.given_upstream
        else:
            return None
        node.backward(upstream)
    except Exception:  # an operation that raises has no graph
        return None
    return node
