"""How the tables come out: `python -m tests.testing.outsiders.figures [EXAMPLES]`.

Prints for each entry which laws it breaks, then how many wrong rules were found, how many right
rules were accused, and the seconds of the processor for each check.
"""

import sys
import time
import warnings
from statistics import median

from autolm.testing import Verdict
from autolm.testing.law_runner import Status
from autolm.testing.operation_checks import report_on
from autolm.testing.profiles import EXAMPLES, load_profiles
from autolm.testing.subject import Subject

from .right_rules import RIGHT
from .wrong_rules import WRONG


def check(entry, examples, **budget):
    """Check one entry; return its report and the seconds that it took."""
    forward, options, _ = entry
    start = time.process_time()
    report = report_on(Subject.of(forward, **options), examples, **budget)
    return report, time.process_time() - start


def print_table(title, entries, examples):
    """Check a table, and print a line for each entry."""
    verdicts, seconds = [], []
    for name, entry in entries.items():
        report, took = check(entry, examples)
        broken = [o.law.name for o in report.outcomes if o.status is Status.BROKEN]
        print(f"{took:5.1f} s  {report.verdict.value:9} {name}: {' '.join(broken)}", flush=True)
        if report.failure is not None:
            print(f"         {report.failure.diagnosis or report.failure.message}")
        elif report.verdict is Verdict.UNDECIDED:
            print(f"         {report.reason}")
        verdicts.append(report.verdict)
        seconds.append(took)
    counts = ", ".join(f"{verdicts.count(v)} {v.value}" for v in Verdict)
    print(f"{title}: {counts} of {len(verdicts)}; median {median(seconds):.1f} s", flush=True)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES["dev"]
    warnings.simplefilter("ignore")
    load_profiles("dev")
    print_table("wrong", WRONG, count)
    print_table("right", RIGHT, count)
