"""Rules wrong in public, as a table: `python -m tests.testing.table_of_reported [NumPy …]`.

Each of the three collections (rules in NumPy, Functions of PyTorch, rules of JAX) gives one row: of
how many the mistake was found, named and given a false cause, how many of the right twins were
called wrong, and the processor's time per check; also what the library's own check finds at
the same examples in the same run. Time depends on the machine: it is printed, and never asserted.
"""

import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from statistics import median

from autolm.testing import Verdict
from autolm.testing.check_report import GradientError
from autolm.testing.operation_checks import report_on
from autolm.testing.profiles import load_profiles
from autolm.testing.subject import Subject

from .reported_operations import REPORTED
from .right_twins import TWINS

COLLECTIONS = ("NumPy", "PyTorch", "JAX")
HEADINGS = ("", "wrong", "found", "named", "false cause", "twins", "alarms", "median", "worst")


@dataclass
class Line:
    """What came of one wrong rule and of its twin."""

    name: str
    address: str
    kind: str  # of the diagnosis: right, false or none; or missed
    alarm: str  # the report on the right twin, if it was called wrong
    by_the_library: bool | None  # whether its own check finds the mistake; None: it has none
    seconds: list[float] = field(default_factory=list)


def kind_of(report, words):
    """Say how a wrong rule came out."""
    if report.verdict is not Verdict.WRONG:
        return "missed"
    failure = report.failure
    text = " ".join((failure.diagnosis or f"{failure.message} {failure.known}").split())
    if any(word in text for word in words):
        return "right"
    return "false" if failure.diagnosis else "none"


def timed(check, *arguments, **options):
    """Check, and return the report with the processor's time."""
    start = time.process_time()
    try:
        report = check(*arguments, **options)
    except GradientError as error:
        report = error.report
    return report, time.process_time() - start


def line_of(name, address, words, wrong, right, by_the_library):
    """Check a wrong rule and its twin; each is a function that checks."""
    report, seconds = timed(wrong)
    proved, more = timed(right)
    alarm = "" if proved.verdict is Verdict.CORRECT else str(proved)
    kind = kind_of(report, words)
    return Line(name, address, kind, alarm, by_the_library, [seconds, more])


def lines_of(collection, examples_count=None, names=None):
    """Check a collection, or some of it."""
    if collection == "NumPy":
        for name in names or REPORTED:
            forward, options, address, words = REPORTED[name]
            subjects = [Subject.of(rule, **options) for rule in (forward, TWINS[name])]
            wrong, right = (lambda s=s: report_on(s, examples_count) for s in subjects)
            yield line_of(name, address, words, wrong, right, None)
        return
    if collection == "PyTorch":
        from autolm.testing.torch import check_function

        from .torch.reported_functions import REPORTED as CASES
        from .torch.reported_functions import passes_gradcheck as passes
    else:
        from autolm.testing.jax import check_function

        from .jax.reported_rules import REPORTED as CASES
        from .jax.reported_rules import passes_check_grads as passes
    for name in names or CASES:
        case = CASES[name]
        options = {"examples_count": examples_count, **case.options}
        wrong, right = (
            lambda F=F, case=case, options=options: check_function(F, *case.examples, **options)
            for F in (case.wrong, case.right)
        )
        yield line_of(name, case.address, case.words, wrong, right, not passes(case))


def row(collection, lines):
    """Sum up a collection."""
    kinds = Counter(line.kind for line in lines)
    seconds = [each for line in lines for each in line.seconds]
    alarms = sum(bool(line.alarm) for line in lines)
    counts = [len(lines), len(lines) - kinds["missed"], kinds["right"], kinds["false"]]
    counts += [len(lines), alarms]
    return [collection, *map(str, counts), f"{median(seconds):.2f} s", f"{max(seconds):.2f} s"]


def table(rows):
    """Lay rows out under their headings."""
    whole = [HEADINGS, *rows]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in whole
    )


def main(collections):
    """Check all, tell of what is not as it should be, and print the table."""
    load_profiles("dev")
    rows, beside = [], []
    for collection in collections:
        lines = []
        for line in lines_of(collection):
            lines.append(line)
            print(f"{line.kind:7} {line.name}  {line.address}  {line.alarm}", flush=True)
        rows.append(row(collection, lines))
        actual = [line.by_the_library for line in lines if line.by_the_library is not None]
        own = {"PyTorch": "gradcheck", "JAX": "check_grads"}.get(collection)
        beside += [f"{own} finds {sum(actual)} of {len(actual)}"] if own else []
    print(table(rows))
    print("; ".join(beside))


if __name__ == "__main__":
    main(sys.argv[1:] or COLLECTIONS)
