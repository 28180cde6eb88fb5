"""What `autolm check` shows: a table of operations by laws, and a report of each that is wrong."""

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
from autolm.testing.laws.law import Law
from autolm.testing.profiles import load_profiles, search
from autolm.testing.report import Report
from autolm.testing.verdict import Verdict

STYLES = {"✓": "green", "✗": "bold red", "?": "yellow", "○": "yellow", "–": "dim"}
FEW = 12  # operations, which a message still lists
UNBOUND = 1000  # columns, more than any table needs
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
        Which operations; all, if none is named.
    profile
        How long to search: dev, ci or nightly; by default what HYPOTHESIS_PROFILE says.
    seconds
        Of the processor for each operation; then what was tried is printed too.
    modules
        Python files whose primitives are checked instead of ours.
    diagnosis
        Whether a report says the cause.
    drawings
        A folder into which the counterexample of each wrong operation is drawn.
    console
        Where to print.

    Returns
    -------
    int
        0 if all are right, 1 if one is wrong, 3 if none is wrong and one could not be decided.

    Raises
    ------
    ValueError
        For an unknown operation or profile, or a file without primitives or that does not run.
    """
    console = console or SafeConsole()
    files = {check: path for path in dict.fromkeys(modules) for check in checks_in(path)}
    checks = _chosen(list(files) if modules else list(map(check_of_operation, OPERATIONS)), names)
    titles = _titles(checks, files)
    before = settings.get_current_profile_name()
    load_profiles(profile, seconds)
    try:
        reports = []
        with console.status("") as status:
            for check in checks:
                status.update(Text(say(message("checking {title}", title=titles[check]))))
                start = time.process_time()  # what others do on the machine is not its fault
                report = _report_on(check)
                reports.append((titles[check], report, time.process_time() - start))
    finally:
        settings.load_profile(before)
        search.seconds = None
    for laws in dict.fromkeys(check.laws for check in checks):
        those = [r for check, r in zip(checks, reports, strict=True) if check.laws == laws]
        wide = _table(those, laws, wide=True)
        fits = console.measure(wide, options=console.options.update(max_width=UNBOUND)).maximum
        console.print(wide if fits <= console.width else _table(those, laws, wide=False))
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
    """Check one operation; whatever that raises, the reports of the others are not lost."""
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
    """Call each operation by its name; where several files have one so called, with its file."""
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


def _chosen(checks: Sequence[Check], names: Sequence[str]) -> list[Check]:
    known: dict[str, list[Check]] = {}
    for check in checks:
        known.setdefault(check.name, []).append(check)
    for name in names:
        if name not in known:
            _refuse_paths(name)
            near = difflib.get_close_matches(name.lower(), known, n=3)
            raise ValueError(
                message(
                    "no operation is called {name!r}; {advice}",
                    name=name,
                    advice=_advice(near, known),
                )
            )
    return [check for name in dict.fromkeys(names) for check in known[name]] or list(checks)


def _advice(near: Sequence[str], known: Mapping[str, object]) -> Message:
    """Name the operations that a wrong name may have meant, or else those that there are."""
    if near:
        return message("did you mean {names}?", names=" or ".join(near))
    if len(known) <= FEW:
        return message("there are {names}", names=", ".join(known))
    return message("there are those that `autolm ops` lists")


def _refuse_paths(name: str) -> None:
    """Refuse what is no name of an operation but a path, if only Python files can be checked."""
    path = Path(name)
    if path.is_dir():
        raise ValueError(message("{name}: it is a folder; name the Python files in it", name=name))
    if path.is_file():
        raise ValueError(
            message("{name}: this is not a Python file; its name must end in .py", name=name)
        )
    if path.name != name:
        raise ValueError(message("{name}: there is no such file", name=name))
