"""A law: a statement about operations, calls to try it on, and what was counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hypothesis import strategies as st

from autolm.testing.call import Call, literal
from autolm.testing.signature import Signature
from autolm.testing.subject import Subject
from autolm.testing.verdict import MOST_DIGITS, Comparison, Row, Verdict

About = Literal["gradient", "purity", "forward"]


@dataclass
class Tally:
    """Counts of one run of a law."""

    examples: int = 0
    digits: float = MOST_DIGITS
    exercised: Counter[str] = field(default_factory=Counter)  # feature -> examples that had it
    undecided: Counter[str] = field(default_factory=Counter)  # reason -> examples
    vacuous: Counter[str] = field(
        default_factory=Counter
    )  # reason -> examples that `examples` does not count
    noted: Counter[str] = field(default_factory=Counter)  # remark that breaks no law -> examples

    def note(self, comparison: Comparison) -> None:
        """Count a comparison that is not wrong."""
        if comparison.vacuous:
            return  # counted where the example is tried
        if comparison.verdict is Verdict.UNDECIDED:
            self.undecided[comparison.reason] += 1
        else:
            self.digits = min(self.digits, comparison.digits)


class LawBroken(Exception):
    """A law does not hold, with the call that shows it.

    `diagnosis` names the mistake where the law itself knows it; `about` is the part of the
    operation that is wrong.
    """

    def __init__(
        self,
        message: str,
        call: Call,
        program: str = "",
        *,
        rows: Sequence[Row] = (),
        diagnosis: str = "",
        about: About = "gradient",
    ) -> None:
        super().__init__(message)
        self.message, self.call, self.program = message, call, program
        self.rows, self.diagnosis, self.about = tuple(rows), diagnosis, about


def broken(
    subject: Signature,
    call: Call,
    message: str,
    diagnosis: str = "",
    rows: Sequence[Row] = (),
    about: About = "gradient",
) -> LawBroken:
    """Make the failure of a law for a call that `check_gradient` repeats."""
    program = subject.program(call)
    return LawBroken(message, call, program, rows=rows, diagnosis=diagnosis, about=about)


@dataclass(frozen=True)
class Law:
    """A statement that holds for every correct operation that it applies to."""

    name: str
    statement: str
    examples: Callable[[Any], st.SearchStrategy[Call] | None]  # None: it does not apply
    check: Callable[[Any, Call, Tally], None]  # raises LawBroken
    exercises: Callable[[Any], tuple[str, ...]] = lambda subject: ()  # or it proves nothing
    at_edges: bool = False  # whether an operation may refuse its examples
    parts: Callable[[Any], list[Subject]] = Subject.by_case  # each is tried by itself
    most: int | None = None  # examples, where a few show as much as many


def program_of_uses(subject: Subject, call: Call, uses: Sequence[int]) -> str:
    """Write a call in which operands are the same as earlier ones, as a function of the others."""
    names, distinct = subject.names_of(call), list(dict.fromkeys(uses))
    words = [names[i] for i in uses]
    words += [f"{key}={literal(value)}" for key, value in call.attributes.items()]
    function = (
        f"lambda {', '.join(names[i] for i in distinct)}: {subject.op.name}({', '.join(words)})"
    )
    arguments = [literal(call.inputs[i]) for i in distinct]
    return f"check_gradient({function}, {', '.join(arguments)}, upstream={literal(call.upstream)})"
