"""The output of `autolm check`: a table of operations by laws, and a report of each failure."""

from __future__ import annotations

import difflib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from hypothesis import settings
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autolm.cli.console import SafeConsole
from autolm.cli.exit_codes import DONE, FAILED, UNDECIDED
from autolm.cli.file_checks import Check, check_of_operation, checks_in
from autolm.ops import OPERATIONS
from autolm.outside.language import say
from autolm.outside.message import Message, message
from autolm.outside.terminal import words_of
from autolm.testing.check_report import Report
from autolm.testing.laws.law import Law
from autolm.testing.profiles import load_profiles, search
from autolm.testing.verdict import Verdict

STYLES = {"✓": "green", "✗": "bold red", "?": "yellow", "○": "yellow", "–": "dim"}
MAX_LISTED = 12  # operations in a message
UNLIMITED_WIDTH = 1000  # columns, more than any table needs
LEGEND = "✓ holds  ✗ broken  ? undecided  ○ not exercised  – does not apply"


def show_verdicts(
    names: Sequence[str] = (),
    *,
    profile: str | None = None,
    seconds: float | None = None,
    modules: Sequence[Path] = (),
    diagnosis: bool = True,
    drawings: Path | None = None,
    console: Console | None = None,
) -> int:
    """Check operations, print a table of them by laws, and return an exit code.

    Parameters
    ----------
    names
        Names of operations; default all.
    profile
        Effort of the search: dev, ci or nightly; default HYPOTHESIS_PROFILE.
    seconds
        CPU time to search each operation; the inputs that were tried are printed too.
    modules
        Python files whose operations are checked instead of those of autolm.
    diagnosis
        Whether a report names the cause.
    drawings
        Folder for drawings of the counterexamples.
    console
        Where to print.

    Returns
    -------
    int
        0 if all are correct, 1 if one is wrong, 3 if none is wrong and one is undecided.

    Raises
    ------
    ValueError
        For an unknown operation or profile, or a file that fails or defines no operation.
    """
    console = console or SafeConsole()
    files = {check: path for path in dict.fromkeys(modules) for check in checks_in(path)}
    checks = _select(list(files) if modules else list(map(check_of_operation, OPERATIONS)), names)
    titles = _titles(checks, files)
    before = settings.get_current_profile_name()
    load_profiles(profile, seconds)
    try:
        reports = []
        with console.status("") as status:
            for check in checks:
                status.update(Text(say(message("checking {title}", title=titles[check]))))
                start = time.process_time()  # independent of other processes
                report = _report_on(check)
                reports.append((titles[check], report, time.process_time() - start))
    finally:
        settings.load_profile(before)
        search.seconds = None
    for laws in dict.fromkeys(check.laws for check in checks):
        rows = [r for check, r in zip(checks, reports, strict=True) if check.laws == laws]
        wide = _table(rows, laws, wide=True)
        fits = console.measure(
            wide, options=console.options.update(max_width=UNLIMITED_WIDTH)
        ).maximum
        console.print(wide if fits <= console.width else _table(rows, laws, wide=False))
    console.print(say(LEGEND), style="dim")
    outcomes = [outcome for _, report, _ in reports for outcome in report.outcomes]
    for law in dict.fromkeys(outcome.law for outcome in outcomes if outcome.broken):
        statement = say(law.statement)
        console.print(Text(f"✗ {say(law.name)}: {statement}"), style="dim", soft_wrap=True)
    for number, (title, report, _) in enumerate(reports, 1):
        if report.verdict is not Verdict.CORRECT or report.reason:
            console.print()
            console.print(Text(str(report if diagnosis else report.undiagnosed)), soft_wrap=True)
        if seconds is not None and report.coverage:
            console.print(Text(say(f"{title} was tried at: {report.coverage}")), soft_wrap=True)
        if drawings is not None:
            picture_name = report.name if title == report.name else f"{report.name}-{number}"
            drawings.mkdir(parents=True, exist_ok=True)
            picture = report.render(drawings / f"{picture_name}.svg")
            if picture is not None:
                console.print(
                    Text(say(message("  drawing: {picture}", picture=picture))), soft_wrap=True
                )
    verdicts = {report.verdict for _, report, _ in reports}
    if Verdict.WRONG in verdicts:
        return FAILED
    return UNDECIDED if Verdict.UNDECIDED in verdicts else DONE


def _report_on(check: Check) -> Report:
    """Check one operation; an error in it is a report, so that the other reports are not lost."""
    try:
        return check.report()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        reason = message(
            "the check ended in {kind}: {error}", kind=type(error).__name__, error=words_of(error)
        )
        return Report(check.name, Verdict.UNDECIDED, reason=reason)


def _titles(checks: Sequence[Check], files: Mapping[Check, Path]) -> dict[Check, str]:
    """Name each operation; add its file if several files define one of this name."""
    count = Counter(check.name for check in checks)
    return {
        check: f"{check.name} ({files[check]})"
        if count[check.name] > 1 and check in files
        else check.name
        for check in checks
    }


def _table(reports: Sequence[tuple[str, Report, float]], laws: Sequence[Law], wide: bool) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(say(message("operation")), overflow="fold")
    for law in laws:
        name = say(law.name)
        heading = name if wide else "\n".join(name)
        table.add_column(heading, justify="center", vertical="bottom", no_wrap=True)
    for heading in ("digits", "examples", "time"):
        table.add_column(say(heading), justify="right", no_wrap=True)
    for title, report, seconds in reports:
        marks = [outcome.status.value for outcome in report.outcomes] or ["?"] * len(laws)
        style = "red" if report.verdict is Verdict.WRONG else ""
        digits = f"{report.digits:.0f}" if report.verdict is Verdict.CORRECT else "–"
        table.add_row(
            Text(title, style=style),
            *(Text(mark, style=STYLES[mark]) for mark in marks),
            *(digits, str(report.examples), f"{seconds:.1f} s"),
        )
    return table


def _select(checks: Sequence[Check], names: Sequence[str]) -> list[Check]:
    by_name: dict[str, list[Check]] = {}
    for check in checks:
        by_name.setdefault(check.name, []).append(check)
    for name in names:
        if name not in by_name:
            _refuse_paths(name)
            near = difflib.get_close_matches(name.lower(), by_name, n=3)
            raise ValueError(
                message(
                    "no operation is called {name!r}; {advice}",
                    name=name,
                    advice=_advice(near, by_name),
                )
            )
    return [check for name in dict.fromkeys(names) for check in by_name[name]] or list(checks)


def _advice(near: Sequence[str], by_name: Mapping[str, object]) -> Message:
    """Suggest similar names of operations, or list all names."""
    if near:
        return message("did you mean {names}?", names=" or ".join(near))
    if len(by_name) <= MAX_LISTED:
        return message("there are {names}", names=", ".join(by_name))
    return message("there are those that `autolm ops` lists")


def _refuse_paths(name: str) -> None:
    """Raise ValueError for a path that is not a Python file."""
    path = Path(name)
    if path.is_dir():
        raise ValueError(message("{name}: it is a folder; name the Python files in it", name=name))
    if path.is_file():
        raise ValueError(
            message("{name}: this is not a Python file; its name must end in .py", name=name)
        )
    if path.name != name:
        raise ValueError(message("{name}: there is no such file", name=name))
