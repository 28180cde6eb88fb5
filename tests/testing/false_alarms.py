"""How often right operations are called wrong: `python -m tests.testing.false_alarms [EXAMPLES]`.

It goes over the everyday operations, with other examples each time, until so many were tried; and
prints how many they were, which operations were accused, and the processor's time per check.
"""

import sys
import time
from dataclasses import dataclass
from itertools import cycle
from statistics import median

from autolm.testing import Verdict
from autolm.testing.operation_checks import report_on
from autolm.testing.subject import Subject

from .everyday_operations import RIGHT


@dataclass(frozen=True)
class Figure:
    """What came of checking right operations."""

    operations: int
    examples: int
    alarms: tuple[str, ...]
    seconds: tuple[float, ...]  # of the processor, for each check

    def __str__(self):
        options = f"{self.operations} right operations, {self.examples} examples"
        alarms = f"{len(self.alarms)} alarms {' '.join(self.alarms)}".strip()
        return (
            f"{options}: {alarms}; {median(self.seconds):.1f} s a check, {max(self.seconds):.1f} s"
        )


def figure(examples, of_each_law=30):
    """Check every operation at least once, and again until so many examples were tried."""
    seconds, alarms, tried = [], [], 0
    for checked, name in enumerate(cycle(RIGHT)):
        if checked >= len(RIGHT) and tried >= examples:
            break
        forward, options = RIGHT[name]
        start = time.process_time()
        report = report_on(Subject.of(forward, **options), of_each_law)
        seconds.append(time.process_time() - start)
        tried += report.examples
        if report.verdict is not Verdict.CORRECT:
            alarms.append(name)
            print(report, flush=True)
    return Figure(len(RIGHT), tried, tuple(alarms), tuple(seconds))


if __name__ == "__main__":
    print(figure(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
