"""What `autolm check` shows: a table of operations by laws, and a report of each that is wrong."""

from __future__ import annotations

import difflib
import importlib.util
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import settings
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autolm.cli.console import SafeConsole
from autolm.cli.exit_codes import DONE, FAILED
from autolm.ops import OPERATIONS
from autolm.ops.array_operation import ArrayOperation
from autolm.outside.language import say
from autolm.outside.terminal import words_of
from autolm.testing import jax, torch
from autolm.testing.checking_operations import report_on
from autolm.testing.laws import LAWS, Law
from autolm.testing.profiles import load_profiles
from autolm.testing.report import GradientError, Report, UndecidedWarning
from autolm.testing.under_test import Subject
from autolm.testing.verdict import Verdict
from autolm.walking.program import program_error, side_errors_in_a_line

STYLES = {"✓": "green", "✗": "bold red", "?": "yellow", "○": "yellow", "–": "dim"}
FEW = 12  # operations, which a message still lists
UNBOUND = 1000  # columns, more than any table needs
LEGEND = "✓ holds  ✗ broken  ? undecided  ○ not exercised  – does not apply"


def show_verdicts(
    names: Sequence[str] = (),
    *,
    profile: str | None = None,
    modules: Sequence[Path] = (),
    diagnosis: bool = True,
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
    diagnosis
        Whether a report says the cause.
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
    console = console or SafeConsole()
    files = {check: path for path in dict.fromkeys(modules) for check in _checks_in(path)}
    checks = _chosen(list(files) if modules else list(map(_of_operation, OPERATIONS)), names)
    titles = _titles(checks, files)
    before = settings.get_current_profile_name()
    load_profiles(profile)
    try:
        reports, all_done = [], True
        with console.status("") as status:
            for check in checks:
                status.update(Text(say(f"checking {titles[check]}")))
                start = time.process_time()  # what others do on the machine is not its fault
                report, done = _report_on(check)
                reports.append((titles[check], report, time.process_time() - start))
                all_done &= done
    finally:
        settings.load_profile(before)
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
    wrong = [report for _, report, _ in reports if report.verdict is Verdict.WRONG]
    pictures = Path(tempfile.mkdtemp(prefix="autolm-check-")) if wrong else None
    for number, (title, report, _) in enumerate(reports, 1):
        if report.verdict is not Verdict.CORRECT or report.reason:
            console.print()
            console.print(Text(str(report if diagnosis else report.undiagnosed)), soft_wrap=True)
        picture_name = report.name if title == report.name else f"{report.name}-{number}"
        picture = pictures and report.render(pictures / f"{picture_name}.svg")
        if picture is not None:
            console.print(Text(say(f"  drawing: {picture}")), soft_wrap=True)
    return DONE if all_done and not wrong else FAILED


@dataclass(frozen=True)
class Check:
    """Something that can be proved, by name, and the laws that it is held against."""

    name: str
    report: Callable[[], Report]
    laws: tuple[Law, ...]


def _of_operation(op: ArrayOperation) -> Check:
    subject = Subject.of(op)
    return Check(op.name, lambda: report_on(subject), LAWS)


def _of_function(library: Any, laws: tuple[Law, ...], name: str, F: Any, told: Any) -> Check:
    """Check a function of another library, with the examples that its file declares, or others."""

    def report() -> Report:
        try:
            examples = library.find_examples(F) if told is None else tuple(told)
        except ValueError as error:  # such as that its device is not here
            return Report(name, Verdict.UNDECIDED, reason=words_of(error))
        if examples is None:
            reason = f'no call of it was found; declare one: EXAMPLES = {{"{name}": (x, …)}}'
            return Report(name, Verdict.UNDECIDED, reason=reason)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndecidedWarning)  # the report says so
            try:
                return library.check_function(F, *examples)
            except GradientError as error:
                return error.report

    return Check(name, report, laws)


def _report_on(check: Check) -> tuple[Report, bool]:
    """Check one operation; whatever that raises, the reports of the others are not lost."""
    try:
        return check.report(), True
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        said = f"the check ended in {type(error).__name__}: {words_of(error)}"
        return Report(check.name, Verdict.UNDECIDED, reason=said), False


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
    table.add_column(say("operation"), overflow="fold")
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
            near = difflib.get_close_matches(name.lower(), known, n=3)
            those = ", ".join(known) if len(known) <= FEW else "those that `autolm ops` lists"
            told = f"did you mean {' or '.join(near)}?" if near else f"there are {those}"
            raise ValueError(f"no operation is called {name!r}; {told}")
    return [check for name in dict.fromkeys(names) for check in known[name]] or list(checks)


def _checks_in(path: Path) -> list[Check]:
    """Run a Python file; return what it defines that can be proved.

    That is its primitives, its Functions of PyTorch and its rules of JAX. Of the latter two, what
    they are called with stands in its EXAMPLES, by name, or is searched for.
    """
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
        with side_errors_in_a_line(path):
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also of kinds that are no Exception
        raise program_error(path, error) from error
    finally:
        with suppress(ValueError):  # the file may have changed sys.path itself
            sys.path.remove(str(path.parent))
    defined = vars(module)
    operations = [
        value
        for value in defined.values()
        if isinstance(value, ArrayOperation) and value.__module__ == path.stem
    ]
    found = list(map(_of_operation, dict.fromkeys(operations)))
    told = defined.get("EXAMPLES", {})
    if not isinstance(told, Mapping):
        raise ValueError(f"{path}: EXAMPLES must be a dict of arguments by name of the function")
    for library, laws in ((torch, torch.TORCH_LAWS), (jax, jax.JAX_LAWS)):
        found += [
            _of_function(library, laws, name, value, told.get(name))
            for name, value in library.functions_in(defined, path.stem).items()
        ]
    if not found:
        raise ValueError(
            f"{path}: it defines no primitive (a function with @primitive), no autograd.Function "
            "of PyTorch and no custom_vjp of JAX"
        )
    return found
