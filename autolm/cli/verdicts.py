"""What `autolm check` shows: a table of operations by laws, and a report of each that is wrong."""

from __future__ import annotations

import difflib
import importlib.util
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autolm.cli.exit_codes import DONE, FAILED
from autolm.ops import OPERATIONS
from autolm.ops.array_operation import ArrayOperation
from autolm.testing.checking_operations import report_on
from autolm.testing.laws import LAWS
from autolm.testing.profiles import load_profiles
from autolm.testing.report import Report
from autolm.testing.under_test import Subject
from autolm.testing.verdict import Verdict

STYLES = {"✓": "green", "✗": "bold red", "?": "yellow", "○": "yellow", "–": "dim"}
FEW = 12  # operations, which a message still lists
UNBOUND = 1000  # columns, more than any table needs
LEGEND = "✓ holds  ✗ broken  ? undecided  ○ not exercised  – does not apply"


def show_verdicts(
    names: Sequence[str] = (),
    *,
    profile: str | None = None,
    modules: Sequence[Path] = (),
    hints: bool = True,
    console: Console | None = None,
) -> int:
    """Check operations, print a table of them by laws, and return an exit code.

    Parameters
    ----------
    names
        Which operations; all, if none is named.
    profile
        How long to search: dev, ci or nightly; by default what HYPOTHESIS_PROFILE says.
    modules
        Python files whose primitives are checked instead of ours.
    hints
        Whether a report says why; without, it has the counterexample alone.
    console
        Where to print.

    Returns
    -------
    int
        0 if all are right, 1 if one is wrong or could not be checked.

    Raises
    ------
    ValueError
        For an unknown operation or profile, or a file without primitives or that does not run.
    """
    console = console or Console()
    files = {op: path for path in dict.fromkeys(modules) for op in _primitives_in(path)}
    operations = _chosen(list(files) if modules else OPERATIONS, names)
    subjects = [Subject.of(op) for op in operations]
    titles = _titles(operations, files)
    before = settings.get_current_profile_name()
    load_profiles(profile)
    try:
        reports, all_done = [], True
        with console.status("") as status:
            for op, subject in zip(operations, subjects, strict=True):
                status.update(f"checking {titles[op]}")
                start = time.process_time()  # what others do on the machine is not its fault
                report, done = _report_on(subject)
                reports.append((titles[op], report, time.process_time() - start))
                all_done &= done
    finally:
        settings.load_profile(before)
    wide = _table(reports, wide=True)
    fits = console.measure(wide, options=console.options.update(max_width=UNBOUND)).maximum
    console.print(wide if fits <= console.width else _table(reports, wide=False))
    console.print(LEGEND, style="dim")
    outcomes = [outcome for _, report, _ in reports for outcome in report.outcomes]
    for law in dict.fromkeys(outcome.law for outcome in outcomes if outcome.broken):
        console.print(Text(f"✗ {law.name}: {law.statement}"), style="dim", soft_wrap=True)
    wrong = [report for _, report, _ in reports if report.verdict is Verdict.WRONG]
    pictures = Path(tempfile.mkdtemp(prefix="autolm-check-")) if wrong else None
    for number, (title, report, _) in enumerate(reports, 1):
        if report.verdict is not Verdict.CORRECT or report.reason:
            console.print()
            console.print(Text(str(report if hints else report.without_cause())), soft_wrap=True)
        picture_name = report.name if title == report.name else f"{report.name}-{number}"
        picture = pictures and report.render(pictures / f"{picture_name}.svg")
        if picture is not None:
            console.print(Text(f"  drawing: {picture}"), soft_wrap=True)
    return DONE if all_done and not wrong else FAILED


def _report_on(subject: Subject) -> tuple[Report, bool]:
    """Check one operation; whatever that raises, the reports of the others are not lost."""
    try:
        return report_on(subject), True
    except (Exception, SystemExit) as error:
        said = f"the check ended in {type(error).__name__}: {error}"
        return Report(subject.op.name, Verdict.UNDECIDED, reason=said), False


def _titles(
    operations: Sequence[ArrayOperation], files: Mapping[ArrayOperation, Path]
) -> dict[ArrayOperation, str]:
    """Call each operation by its name; where several files have one so called, with its file."""
    count = Counter(op.name for op in operations)
    return {
        op: f"{op.name} ({files[op]})" if count[op.name] > 1 and op in files else op.name
        for op in operations
    }


def _table(reports: Sequence[tuple[str, Report, float]], wide: bool) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("operation", overflow="fold")
    for law in LAWS:
        heading = law.name if wide else "\n".join(law.name)
        table.add_column(heading, justify="center", vertical="bottom", no_wrap=True)
    for heading in ("digits", "examples", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for title, report, seconds in reports:
        marks = [outcome.status.value for outcome in report.outcomes] or ["?"] * len(LAWS)
        style = "red" if report.verdict is Verdict.WRONG else ""
        digits = f"{report.digits:.0f}" if report.verdict is Verdict.CORRECT else "–"
        table.add_row(
            Text(title, style=style),
            *(Text(mark, style=STYLES[mark]) for mark in marks),
            *(digits, str(report.examples), f"{seconds:.1f} s"),
        )
    return table


def _chosen(operations: Sequence[ArrayOperation], names: Sequence[str]) -> list[ArrayOperation]:
    known: dict[str, list[ArrayOperation]] = {}
    for op in operations:
        known.setdefault(op.name, []).append(op)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name.lower(), known, n=3)
            those = ", ".join(known) if len(known) <= FEW else "those that `autolm ops` lists"
            told = f"did you mean {' or '.join(near)}?" if near else f"there are {those}"
            raise ValueError(f"no operation is called {name!r}; {told}")
    return [op for name in dict.fromkeys(names) for op in known[name]] or list(operations)


def _last_line(path: Path, error: BaseException) -> str:
    """Return file:line of the last line of a file that ran."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == path.absolute()]
    return f"{path}:{lines[-1]}" if lines else str(path)


def _primitives_in(path: Path) -> list[ArrayOperation]:
    """Run a Python file and return the primitives that it defines."""
    if not path.is_file():
        raise ValueError(
            f"{path}: {'it is a folder' if path.is_dir() else 'there is no such file'}"
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path}: this is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # so that it can import its neighbours
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ValueError(f"{error.filename}:{error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        raise ValueError(f"{_last_line(path, error)}: {type(error).__name__}: {error}") from error
    finally:
        with suppress(ValueError):  # the file may have changed sys.path itself
            sys.path.remove(str(path.parent))
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, ArrayOperation) and value.__module__ == path.stem
    ]
    if not found:
        raise ValueError(f"{path}: it defines no primitive (a function with @primitive)")
    return list(dict.fromkeys(found))
