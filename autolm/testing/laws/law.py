"""What a law is: a statement about an operation, examples to try it on, and what to count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from autolm.testing.call import Call, literal
from autolm.testing.subject import Subject
from autolm.testing.verdict import MOST_DIGITS, Comparison, Row, Verdict


@dataclass
class Tally:
    """What a run of a law has met so far."""

    examples: int = 0
    digits: float = MOST_DIGITS
    exercised: Counter[str] = field(default_factory=Counter)  # feature -> examples that had it
    undecided: Counter[str] = field(default_factory=Counter)  # reason -> examples
    vacuous: Counter[str] = field(default_factory=Counter)  # reason -> examples beside `examples`
    noted: Counter[str] = field(default_factory=Counter)  # what breaks no law -> examples
    lacking: Counter[str] = field(default_factory=Counter)  # what the forward lacks -> examples

    def note(self, comparison: Comparison) -> None:
        """Count a comparison that is not wrong."""
        if comparison.vacuous:
            return  # who tries the example counts it
        if comparison.verdict is Verdict.UNDECIDED:
            self.undecided[comparison.reason] += 1
        else:
            self.digits = min(self.digits, comparison.digits)


class LawBroken(Exception):
    """A law does not hold, and here is the example that shows it.

    `program` is the statements that show the failure; `diagnosis` names the mistake where the law
    itself knows it.
    """

    def __init__(
        self,
        message: str,
        example: Any,
        *,
        program: str = "",
        rows: tuple[Row, ...] = (),
        diagnosis: str = "",
    ) -> None:
        super().__init__(message)
        self.message, self.example, self.program = message, example, program
        self.rows, self.diagnosis = rows, diagnosis


class LackingError(Exception):
    """The forward lacks what a law needs, such as that it runs on Values; the message says what."""


@dataclass(frozen=True)
class Law:
    """A statement that holds for every correct operation that it applies to."""

    name: str
    statement: str
    examples: Callable[[Subject], st.SearchStrategy[Any] | None]  # None: it does not apply
    check: Callable[[Subject, Any, Tally], None]  # raises LawBroken
    exercises: Callable[[Subject], tuple[str, ...]] = lambda subject: ()  # or it proves nothing
    of_one_call: bool = True  # whether its examples are calls
    at_edges: bool = False  # whether its examples may be where an operation refuses to be called
    of_conduct: bool = False  # whether it speaks of how an operation behaves, not of its gradient
    parts: Callable[[Subject], list[Subject]] = Subject.by_case  # each is tried by itself
    most: int | None = None  # examples: where a few show as much as many


def program_of(subject: Subject, call: Call) -> str:
    """Write a call as one that checks it."""
    return subject.program(call)


def program_of_uses(subject: Subject, call: Call, uses: Sequence[int]) -> str:
    """Write a call in which operands are the same as earlier ones, as a function of the others."""
    names, distinct = subject.names_of(call), list(dict.fromkeys(uses))
    words = [names[i] for i in uses]
    words += [f"{key}={literal(value)}" for key, value in call.attributes.items()]
    function = (
        f"lambda {', '.join(names[i] for i in distinct)}: {subject.op.name}({', '.join(words)})"
    )
    given = [literal(call.inputs[i]) for i in distinct]
    return f"check_gradient({function}, {', '.join(given)}, upstream={literal(call.upstream)})"
