"""Check one operation against every law: `check_op`, a test in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st

from autolm.engine.graph import Node
from autolm.ops.array_operation import ArrayOperation, Case
from autolm.outside.arguments import read_number
from autolm.tensor.tensor import Tensor
from autolm.testing.call import Call
from autolm.testing.check_report import Failure, Report
from autolm.testing.diagnosis import diagnose, what_is_known
from autolm.testing.hypotheses import NOT_LINEAR
from autolm.testing.keyword_variants import with_other_keywords
from autolm.testing.law_runner import LawOutcome, Status, examine
from autolm.testing.laws.backward_rule import linear
from autolm.testing.laws.edges import extremes
from autolm.testing.laws.law import Law, LawBroken
from autolm.testing.registry import LAWS
from autolm.testing.relations import Relation
from autolm.testing.reproduction import location_of, runnable
from autolm.testing.signature import PRINTED
from autolm.testing.subject import Subject
from autolm.testing.verdict import Verdict

DIAGNOSED = ("rule", "shapes", "aliases", "linear")  # by the hypotheses, which know more causes


def check_op(
    op: ArrayOperation | Callable[..., Any],
    *,
    arity: int | None = None,
    domain: Any = None,
    attributes: Mapping[str, Any] | None = None,
    cases: Sequence[Case] | None = None,
    relations: Sequence[Relation] = (),
    max_examples: int | None = None,
    seconds: float | None = None,
) -> Report:
    """Property-test the gradient of an operation, and diagnose what is wrong with it.

    Every law is tried on random examples, and every gradient is compared with an oracle that
    shares no code with the rule. No step size or tolerance has to be chosen. Arguments override
    the record of a primitive.

    Parameters
    ----------
    op
        A primitive, or a function ``forward(*arrays, **attributes) -> (result, backward)``.
    arity
        The number of operands; by default, that of its signature.
    domain
        The open interval ``(low, high)`` to sample operands from, or one per operand.
    attributes
        Keyword arguments for every call. A keyword that has a default and is not given here is also
        tested at other values: flags inverted, other axes, other kinds of index.
    cases
        Shapes and attributes to try, for an operation that is not elementwise.
    relations
        Further properties of the forward: `causal`, `shift_invariant(axis)`, …
    max_examples
        For each law; by default, that of the hypothesis profile.
    seconds
        Go on with more examples until this much time of the processor is spent.

    Returns
    -------
    Report
        The verdict, the digits, and the outcome of each law.

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
    budget = None if seconds is None else read_number("check_op", "seconds", seconds)
    return report_on(subject, max_examples, seconds=budget).require()


def calls(op: ArrayOperation | Callable[..., Any], **options: Any) -> st.SearchStrategy[Call]:
    """Random calls of an operation, for your own property test; `options` as in `check_op`.

    Examples
    --------
    >>> from autolm import ops
    >>> from hypothesis import given
    >>> @given(calls(ops.exp))
    ... def test_exp_is_positive(call):
    ...     assert (ops.exp(*call.inputs).data > 0).all()
    >>> test_exp_is_positive()
    """
    return with_other_keywords(Subject.of(op, **options)).calls()


def report_on(
    subject: Subject,
    max_examples: int | None = None,
    laws: Sequence[Law] = LAWS,
    seconds: float | None = None,
) -> Report:
    """Try the laws on an operation and return the report; a wrong gradient does not raise."""
    subject = with_other_keywords(subject)
    return report_of(subject, examine(subject, max_examples, laws, seconds))


def report_of(subject: Subject, outcomes: Sequence[LawOutcome]) -> Report:
    """Make the report from the outcomes of the laws."""
    name, location = subject.op.name, location_of(subject.op.forward)
    broken = [(outcome.law, outcome.broken) for outcome in outcomes if outcome.broken is not None]
    if broken:
        failure = _failure(subject, broken)
        return Report(name, Verdict.WRONG, 0.0, location, tuple(outcomes), failure)
    digits = min(outcome.tally.digits for outcome in outcomes)
    undecided = [outcome for outcome in outcomes if outcome.status is Status.UNDECIDED]
    missed = [outcome for outcome in outcomes if outcome.status is Status.NOT_EXERCISED]
    if undecided or (outcomes[0].status is not Status.HOLDS):
        reason = _reasons(undecided or missed)
        return Report(name, Verdict.UNDECIDED, 0.0, location, tuple(outcomes), reason=reason)
    partly = [o for o in outcomes if o.status is Status.HOLDS and o.reason]
    notes = [("not exercised", missed), ("undecided for some examples", partly)]
    remarks = [f"{note}: {_reasons(listed)}" for note, listed in notes if listed]
    remarks += dict.fromkeys(text for o in outcomes for text in o.tally.noted)
    reason = "; ".join([subject.note] * bool(subject.note) + remarks)
    return Report(name, Verdict.CORRECT, digits, location, tuple(outcomes), reason=reason)


def _reasons(outcomes: Sequence[LawOutcome]) -> str:
    """List each reason once, after the names of its laws."""
    laws: dict[str, list[str]] = {}
    for outcome in outcomes:
        laws.setdefault(outcome.reason, []).append(outcome.law.name)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in laws.items())


def _failure(subject: Subject, broken: Sequence[tuple[Law, LawBroken]]) -> Failure:
    """Describe the first law that broke, with the best diagnosis that there is."""
    law, first = broken[0]
    diagnosis = _diagnosis(subject, broken)
    impurities = [error for _, error in broken if error.about != "gradient"]
    same = [error.about for error in impurities if error.diagnosis == diagnosis != ""]
    facts = ""
    if not diagnosis and law.name in DIAGNOSED:
        with suppress(Exception):  # the forward may raise anything on the numbers of other calls
            facts = what_is_known(subject.with_evidence(), first.call)
    return Failure(
        first.message,
        law.name,
        first.call,
        subject.describe(first.call),
        first.rows,
        diagnosis,
        facts,
        _other_mistakes(broken[1:], diagnosis),
        next(iter(same), "gradient") if len(impurities) < len(broken) else first.about,
        runnable(first.program, subject) if first.program else "",
        f"@example({first.call})" if subject.has_strategy and _is_short(first.call) else "",
        _node(subject, first.call),
    )


def _is_short(call: Call) -> bool:
    """Whether the arrays of a call can be printed."""
    return all(x.size <= PRINTED for x in call.inputs)


def _diagnosis(subject: Subject, broken: Sequence[tuple[Law, LawBroken]]) -> str:
    """Prefer a certain cause: a broken law of purity explains wrong numbers too."""
    law, first = broken[0]
    for other, error in broken:
        if error.about != "gradient" and other.name != extremes.name and error.diagnosis:
            return error.diagnosis
    if law.name not in DIAGNOSED:
        return first.diagnosis
    not_linear = "".join(error.diagnosis for other, error in broken if other.name == linear.name)
    try:
        evidence = subject.with_evidence()
        if not_linear:  # then no hypothesis of a linear rule can be right
            return diagnose(evidence, first.call, NOT_LINEAR) or not_linear
        return diagnose(evidence, first.call) or first.diagnosis
    except Exception:  # the forward may raise anything on the numbers of other calls
        return first.diagnosis


def _other_mistakes(broken: Sequence[tuple[Law, LawBroken]], diagnosis: str) -> tuple[str, ...]:
    """List further broken laws, where the first mistake is hardly the cause."""
    return tuple(
        f"{law.name}: {error.message}"
        for law, error in broken
        if (error.about != "gradient" or law.name == extremes.name)
        and error.diagnosis not in ("", diagnosis)
    )


def _node(subject: Subject, call: Call) -> Node | None:
    """Build the graph of the counterexample, with the gradients that are wrong, to be drawn."""
    pairs = zip(call.inputs, subject.names_of(call), strict=True)
    leaves: dict[int, Tensor] = {}  # an array that occurs twice is one leaf
    for x, name in pairs:
        leaves.setdefault(id(x), Tensor(x.copy(), name=name))
    try:
        node = subject.node(call, [leaves[id(x)] for x in call.inputs])
        node.backward(call.given_upstream)
    except Exception:  # an operation that raises has no graph
        return None
    return node
