"""Try laws on an operation: search for an example that breaks each, and shrink it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, Unsatisfiable

from autolm.outside.arguments import read_int
from autolm.outside.terminal import words_of
from autolm.testing.call import Call
from autolm.testing.calls_from_patterns import has_no_axes, has_no_elements
from autolm.testing.laws.law import Law, LawBroken, Tally
from autolm.testing.operation_runner import OperationError
from autolm.testing.profiles import search
from autolm.testing.registry import LAWS
from autolm.testing.subject import Subject
from autolm.testing.verdict import proves_nothing

LEAST = 2  # examples of each case: simple numbers, and others
MORE = 3  # factor on the examples if the first ones lacked a feature that a law must see

Pool = dict[st.SearchStrategy[Call], tuple[int, list[Call]]]  # how many were requested, and drawn


class Status(Enum):
    """The status of a law; the value is its mark in a table."""

    HOLDS = "✓"
    BROKEN = "✗"
    UNDECIDED = "?"
    NOT_EXERCISED = "○"
    DOES_NOT_APPLY = "–"


@dataclass(frozen=True)
class LawOutcome:
    """The outcome of one law for one operation."""

    law: Law
    status: Status
    tally: Tally
    reason: str = ""
    broken: LawBroken | None = None


def examine(
    subject: Subject,
    max_examples: int | None = None,
    laws: Sequence[Law] = LAWS,
    seconds: float | None = None,
) -> list[LawOutcome]:
    """Try every law, on `max_examples` each (the profile's, if None).

    With a budget of `seconds` (of the processor) the search is repeated with more examples, until
    the time is over. Only the first broken law has its example shrunk: it is the one that is
    reported. Drawing takes longer than checking, so laws with the same strategy share the calls.
    """
    most = settings().max_examples
    if max_examples is not None:
        most = read_int(subject.op.name, "max_examples", max_examples, low=1)
    budget = search.seconds if seconds is None else seconds
    end = None if budget is None else time.process_time() + budget
    outcomes = _round(subject, most, laws, None)
    while end is not None and all(outcome.broken is None for outcome in outcomes):
        most *= MORE
        more = _round(subject, most, laws, end)
        outcomes = more + outcomes[len(more) :]
        if len(more) < len(laws):
            break
    return outcomes


def _round(
    subject: Subject, max_examples: int, laws: Sequence[Law], end: float | None
) -> list[LawOutcome]:
    """Try the laws in their order, as long as there is time."""
    outcomes: list[LawOutcome] = []
    pool: Pool = {}
    for law in laws:
        if end is not None and time.process_time() > end:
            break
        shrink = all(outcome.broken is None for outcome in outcomes)
        outcomes.append(_enforce(law, subject, max_examples, shrink, pool))
    return outcomes


def examine_call(subject: Subject, call: Call, laws: Sequence[Law] = LAWS) -> list[LawOutcome]:
    """Try every law that speaks of single calls on one call."""
    outcomes = []
    for law in laws:
        if law.examples(subject) is None:
            continue
        tally = Tally()
        broken = _try(law, subject, call, tally)
        doubts = tally.vacuous or tally.undecided
        status = Status.UNDECIDED if doubts else Status.HOLDS
        reason = "; ".join(doubts)
        if broken is not None:
            status, reason = Status.BROKEN, broken.message
        outcomes.append(LawOutcome(law, status, tally, reason, broken))
    return outcomes


def _enforce(law: Law, subject: Subject, max_examples: int, shrink: bool, pool: Pool) -> LawOutcome:
    tally = Tally()
    parts = [(part, law.examples(part)) for part in law.parts(subject)]
    applying = [(part, examples) for part, examples in parts if examples is not None]
    if not applying:
        return LawOutcome(law, Status.DOES_NOT_APPLY, tally)
    drawn = Counter(bool(part.patterns) for part, _ in applying if not part.where)
    for most in (max_examples, MORE * max_examples):
        for part, examples in applying:
            fellows = drawn[bool(part.patterns)]  # cases share them, and patterns as many more
            share = max(LEAST, -(-most // fellows)) if fellows > 1 else most
            share = LEAST if part.where else min(share, law.most or share)
            try:
                broken = _search(law, part, examples, tally, share, shrink, pool)
            except Unsatisfiable:
                continue
            if broken is not None:
                broken.message += f", with {part.where}" if part.where else ""
                return LawOutcome(law, Status.BROKEN, tally, broken.message, broken)
        missed = [feature for feature in law.exercises(subject) if not tally.exercised[feature]]
        if not missed or not tally.examples:
            break
    if not tally.examples:
        reason = "; ".join(tally.vacuous) or "no example could be made"
        return LawOutcome(law, Status.NOT_EXERCISED, tally, reason)
    if missed:
        return LawOutcome(law, Status.NOT_EXERCISED, tally, f"never met: {', '.join(missed)}")
    reasons = "; ".join(f"{reason} ({count}×)" for reason, count in tally.undecided.items())
    decided = tally.examples > tally.undecided.total()
    if not decided and law.at_edges:  # an operation may refuse all calls on an edge
        return LawOutcome(law, Status.NOT_EXERCISED, tally, reasons)
    return LawOutcome(law, Status.HOLDS if decided else Status.UNDECIDED, tally, reasons)


def _search(
    law: Law,
    subject: Subject,
    examples: st.SearchStrategy[Call],
    tally: Tally,
    max_examples: int,
    shrink: bool,
    pool: Pool,
) -> LawBroken | None:
    """Try a law on the calls of earlier laws, or on new ones if there are too few."""
    requested, drawn = pool.get(examples, (0, []))
    if requested < max_examples:
        drawn = []
        broken = _hunt(law, subject, examples, tally, max_examples, shrink, drawn)
        if broken is None and drawn:
            pool[examples] = (max_examples, drawn)
        return broken
    for call in drawn[:max_examples]:
        broken = _try(law, subject, call.copy(), tally)
        if broken is not None:
            simplest = shrink and _hunt(law, subject, examples, Tally(), max_examples, True, [])
            return simplest or broken
    return None


def _hunt(
    law: Law,
    subject: Subject,
    examples: st.SearchStrategy[Call],
    tally: Tally,
    max_examples: int,
    shrink: bool,
    drawn: list[Call],
) -> LawBroken | None:
    """Search for an example that breaks a law; return the simplest one.

    Copies of the calls, made before the operation runs, are appended to `drawn`.
    """
    breaks: list[LawBroken] = []

    @settings(
        max_examples=max_examples,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        database=None,
        derandomize=settings().derandomize,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
    )
    @given(examples)
    def holds(example: Call) -> None:
        drawn.append(example.copy())
        broken = _try(law, subject, example, Tally() if breaks else tally)
        if broken is not None:
            breaks.append(broken)
            raise broken

    try:
        holds()
    except LawBroken as broken:
        return broken
    except Flaky:  # an operation that remembers earlier calls
        return breaks[-1] if breaks else None
    return None


def _try(law: Law, subject: Subject, call: Call, tally: Tally) -> LawBroken | None:
    """Return how a call breaks a law, if it does; and count it, if it proves anything.

    A forward that raises has proved something.
    """
    vacuous = "" if call.upstream is None else proves_nothing(call.inputs, call.upstream)
    tally.examples += not vacuous
    try:
        with np.errstate(all="ignore"):
            if call.upstream is None:
                subject.run(call)  # raises: for want of a result the call has no upstream gradient
            law.check(subject, call, tally)
    except LawBroken as broken:
        return broken
    except OperationError as error:
        if law.at_edges and _refuses(call, error):
            tally.undecided[str(error)] += 1
            return None
        if _may_refuse(subject, call, error):
            tally.examples -= 1
            tally.vacuous[str(error)] += 1
            return None
        return LawBroken(str(error), call, subject.program(call))
    except Exception as error:  # such as a forward raises on numbers that an oracle tries
        tally.undecided[_failed(error)] += 1
        return None
    if vacuous:
        tally.vacuous[vacuous] += 1
    return None


def _failed(error: Exception) -> str:
    message = words_of(error).partition("\n")[0]
    return f"it could not be tried: {type(error).__name__}: {message}"


def _may_refuse(subject: Subject, example: Call, error: OperationError) -> bool:
    """Whether a forward may refuse: an operand without elements, or an axis of a number.

    Where a record has patterns, the error must be one that is meant for users.
    """
    if example.upstream is not None:
        return False
    if not subject.patterns:
        return has_no_elements(example)
    clean = isinstance(error.__cause__, ValueError | TypeError | IndexError)
    return clean and (has_no_elements(example) or has_no_axes(example))


def _refuses(example: Call, error: OperationError) -> bool:
    """Whether a forward has no answer at an edge, such as the inverse of a singular matrix."""
    return example.upstream is None or isinstance(error.__cause__, np.linalg.LinAlgError)
