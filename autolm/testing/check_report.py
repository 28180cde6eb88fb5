"""Reports of checks: verdict, counterexample, diagnosis, and a program that reproduces it."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from autolm.engine.graph import Node
from autolm.outside.columns import folded, padded, width
from autolm.outside.language import say
from autolm.testing.call import Call
from autolm.testing.law_runner import LawOutcome
from autolm.testing.laws.law import About
from autolm.testing.verdict import Row, Verdict

MOST_ROWS = 8
LOCATION_COLUMN = 60
WIDTH = 78  # of sentences; with the indent of a report, 80


class GradientError(AssertionError):
    """A gradient is wrong; `report` says which, and how."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


class UndecidedWarning(UserWarning):
    """A gradient could be neither proved nor refuted."""


@dataclass(frozen=True)
class Failure:
    """A counterexample and its diagnosis."""

    message: str
    law: str = ""
    example: Call | None = None
    given: str = ""  # the operands, by name
    rows: tuple[Row, ...] = ()
    diagnosis: str = ""
    known: str = ""  # facts, if there is no diagnosis
    also: tuple[str, ...] = ()  # other broken laws that the diagnosis does not explain
    about: About = "gradient"  # the part of the operation that is wrong
    program: str = ""  # runs as pasted
    decorator: str = ""  # keeps the example in a test of `calls()`
    node: Node | None = None  # the result of the counterexample, to be drawn

    def lines(self) -> list[str]:
        """Return the lines of the report."""
        message = say(self.message)
        lines = _folded(f"{say(self.law)}: {message}" if self.law else message)
        lines += [self.given] * bool(self.given)
        if self.rows:
            lines += table(self.rows)
        if self.diagnosis:
            lines += _folded(f"{say('diagnosis')}: {say(self.diagnosis)}")
        if self.known:
            lines += _folded(f"{say('known')}: {say(self.known)}")
        for law in self.also:
            lines += _folded(say(f"also broken: {law}"))
        if self.program:
            lines += [say("reproduce:"), *textwrap.indent(self.program, "    ").splitlines()]
        if self.decorator:
            lines += [say("keep it, in a test of calls():"), f"    {self.decorator}"]
        return lines


@dataclass(frozen=True)
class Report:
    """The result of a check; `str` is the report."""

    name: str
    verdict: Verdict
    digits: float = 0.0  # of agreement between gradient and oracle
    location: str = ""  # file:line of what was checked
    outcomes: tuple[LawOutcome, ...] = ()
    failure: Failure | None = None
    reason: str = ""  # why it is undecided; or what was not exercised

    @property
    def wrong(self) -> str:
        """The wrong part: gradient, forward, or purity, such as an upstream that is overwritten."""
        return f"the {self.failure.about if self.failure else 'gradient'}"

    @property
    def undiagnosed(self) -> Report:
        """The same report without diagnosis, for exercises."""
        if self.failure is None:
            return self
        return replace(self, failure=replace(self.failure, diagnosis="", known="", also=()))

    @property
    def examples(self) -> int:
        """The number of examples of all laws."""
        return sum(outcome.tally.examples for outcome in self.outcomes)

    @property
    def coverage(self) -> str:
        """What was tried, in one line: each law with its conditions, and how often each was met.

        Examples
        --------
        >>> from autolm import ops
        >>> from autolm.testing import check_op
        >>> check_op(ops.tanh, max_examples=4).coverage.partition("; dtypes: ")[2][:22]
        'float16 4×, float32 4×'
        """
        tried = {
            outcome.law.name: ", ".join(
                f"{feature} {count}×"
                for feature, count in sorted(outcome.tally.exercised.items())
                if count
            )
            for outcome in self.outcomes
        }
        return "; ".join(f"{law}: {features}" for law, features in tried.items() if features)

    def __str__(self) -> str:
        if self.failure is not None:
            wrong = say(f"{self.wrong} of {self.name} is WRONG")
            first = f"{padded(wrong, LOCATION_COLUMN)} {self.location}"
            return "\n  ".join([first, *self.failure.lines()])
        if self.verdict is Verdict.UNDECIDED:
            return say(f"{self.name} is UNDECIDED: {self.reason}")
        notes = [say(note) for note in self.reason.split("; ")]
        note = f"; {'; '.join(notes)}" if self.reason else ""
        return say(f"{self.name} is CORRECT to {self.digits:.0f} digits{note}")

    __repr__ = __str__

    def render(self, path: str | Path) -> Path | None:
        """Draw the counterexample into a file; None without a graph, or without Graphviz.

        `autolm.drawing.drawing` does it.
        """
        if self.failure is None or self.failure.node is None:
            return None
        try:
            import_module("autolm.drawing.drawing").render(self.failure.node, path)
        except (ImportError, RuntimeError):  # no Graphviz
            return None
        return Path(path)

    def require(self) -> Report:
        """Raise if the gradient is wrong; warn if that could not be decided."""
        if self.verdict is Verdict.WRONG:
            raise GradientError(self)
        if self.verdict is Verdict.UNDECIDED:
            warnings.warn(str(self), UndecidedWarning, stacklevel=3)
        return self


def _folded(sentence: str) -> list[str]:
    """Wrap a sentence; a long word, such as a path, is not broken."""
    return folded(sentence, WIDTH, "  ")


def table(rows: Sequence[Row]) -> list[str]:
    """Lay out wrong elements: operand, index, backward's value, true value, error."""
    lines = [list(map(say, ("input", "index", "backward says", "should be", "error")))]
    for row in rows[:MOST_ROWS]:
        numbers = f"{row.analytic:.10g}", f"{row.numeric:.10g}", f"{row.error:+.4g}"
        lines.append([row.operand, str(list(row.index)), *(n.replace("-", "−") for n in numbers)])
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    laid_out = [
        "  ".join(padded(cell, most) for cell, most in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    if len(rows) > MOST_ROWS:
        laid_out.append(say(f"and {len(rows) - MOST_ROWS} more"))
    return laid_out
