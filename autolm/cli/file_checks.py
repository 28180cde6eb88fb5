"""Checks of the operations in a Python file or package, of autolm, PyTorch and JAX.

Each operation is checked on the example arguments in the file. Without an example, arguments are
guessed; a guess can show that an operation is correct, but never that it is wrong.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import tokenize
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autolm.ops.array_operation import ArrayOperation
from autolm.outside.message import message
from autolm.outside.terminal import words_of
from autolm.testing import jax, torch
from autolm.testing.call import Call
from autolm.testing.check_report import Failure, GradientError, Report, UndecidedWarning
from autolm.testing.example_arguments import Arguments, ExampleFinder
from autolm.testing.example_operations import subject_of_example
from autolm.testing.laws.law import Law
from autolm.testing.operation_checks import report_on
from autolm.testing.registry import JAX_LAWS, LAWS, TORCH_LAWS
from autolm.testing.subject import Subject
from autolm.testing.verdict import Verdict
from autolm.walking.program import background_errors_in_one_line, program_error

MATRIX = "[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]"  # source text of an array for `EXAMPLES`


@dataclass(frozen=True)
class Check:
    """An operation to check: its name, its report and the laws that it must obey."""

    name: str
    report: Callable[[], Report]
    laws: tuple[Law, ...]


def check_of_operation(op: ArrayOperation) -> Check:
    """Return the check of an operation of autolm."""
    subject = Subject.of(op)
    return Check(op.name, lambda: report_on(subject), LAWS)


def checks_in(path: Path) -> list[Check]:
    """Run a Python file, or import a package; return a check of each operation that it defines.

    Raises
    ------
    ValueError
        If the file cannot be run, or it defines no operation.
    """
    if path.is_dir():
        checks = _checks_in_package(path)
    elif path.is_file():
        checks = _checks_of_module(path, _run(path), path.stem)
    else:
        raise ValueError(message("{path}: there is no such file", path=path))
    if not checks:
        raise ValueError(
            message(
                "{path}: it defines no primitive (a function with @primitive), no "
                "autograd.Function of PyTorch and no custom_vjp of JAX",
                path=path,
            )
        )
    return checks


def _checks_in_package(folder: Path) -> list[Check]:
    """Import all modules of a package; a module that cannot be imported is an undecided check."""
    if not (folder / "__init__.py").is_file():
        raise ValueError(message("{path}: it is a folder", path=folder))
    folder = folder.resolve()
    root = folder.parent
    while (root / "__init__.py").is_file():
        root = root.parent
    checks: list[Check] = []
    sys.path.insert(0, str(root))
    try:
        for path in sorted(folder.rglob("*.py")):
            if path.name == "__main__.py":
                continue  # to import it would run the program
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            try:
                variables = vars(importlib.import_module(name))
            except Exception as error:  # such as a missing optional dependency
                checks.append(_unimportable(name, error))
                continue
            checks += _checks_of_module(path, variables, name)
    finally:
        sys.path.remove(str(root))
    return checks


def _unimportable(name: str, error: Exception) -> Check:
    reason = message(
        "it cannot be imported: {kind}: {error}",
        kind=type(error).__name__,
        error=words_of(error),
    )
    report = Report(name, Verdict.UNDECIDED, reason=reason)
    return Check(name, lambda: report, LAWS)


def _checks_of_module(path: Path, variables: Mapping[str, Any], module: str) -> list[Check]:
    """Return a check of each operation that a module defines itself."""
    with tokenize.open(path) as file:
        source = file.read()
    try:
        examples = ExampleFinder(variables, source)
    except ValueError as error:
        raise ValueError(message("{path}: {error}", path=path, error=words_of(error))) from None
    operations: dict[ArrayOperation, str] = {}
    for name, value in variables.items():
        if isinstance(value, ArrayOperation) and value.__module__ == module:
            operations.setdefault(value, name)
    checks = [
        _of_operation(op, examples.find(name), _Advice(path.name, name, variables))
        for op, name in operations.items()
    ]
    for library, laws in ((torch, TORCH_LAWS), (jax, JAX_LAWS)):
        for name, F in library.functions_in(variables, module).items():
            advice = _Advice(path.name, name, variables)
            checks.append(_of_function(library, laws, F, examples.find(name), advice))
    return checks


def _run(path: Path) -> Mapping[str, Any]:
    """Run a file and return its variables."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(message("{path}: this is not a Python file", path=path))
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # for imports from the same folder
    try:
        with background_errors_in_one_line(path):
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also SystemExit
        raise program_error(path, error) from error
    finally:
        with suppress(ValueError):  # the file may have changed sys.path itself
            sys.path.remove(str(path.parent))
    return vars(module)


@dataclass(frozen=True)
class _Advice:
    """How to give example arguments of a function in its file."""

    file: str
    name: str
    variables: Mapping[str, Any]  # of the file

    def report(self, arguments: Sequence[str], guess: str) -> Report:
        """Return an undecided report that asks for example arguments.

        `arguments` is the source text of possible arguments; `guess` describes the guessed
        arguments that were tried, if any.
        """
        reason = "it needs example arguments"
        if guess:
            reason += f" (guessed: {guess})"
        listed = ", ".join(arguments) + "," * (len(arguments) == 1)
        line = f'EXAMPLES = {{"{self.name}": ({listed})}}'
        reason += f"\n  write into {self.file} how it is called, such as\n      {line}"
        return Report(self.name, Verdict.UNDECIDED, reason=reason)

    def imported(self, module: str) -> str:
        """Return the name of a module in the file."""
        loaded = sys.modules[module]
        names = (name for name, value in self.variables.items() if value is loaded)
        return next(names, f'__import__("{module}")')


def _of_operation(op: ArrayOperation, example: Arguments | None, advice: _Advice) -> Check:
    """Return the check of a primitive; one without cases takes any shapes that broadcast."""
    subject = Subject.of(op)

    def report() -> Report:
        if example is not None:
            return report_on(subject_of_example(op, example))
        result = report_on(subject)
        is_declared = subject.cases or subject.patterns
        if result.failure is None or is_declared or _is_scalar_failure(result.failure):
            return result
        arguments = [MATRIX] * len(subject.operands)
        needed = [k for k, v in subject.defaults().items() if v is inspect.Parameter.empty]
        arguments += ["{" + ", ".join(f'"{key}": ...' for key in needed) + "}"] * bool(needed)
        call = result.failure.example
        tried = Call(*call.inputs, **call.attributes) if isinstance(call, Call) else None
        guess = subject.describe(tried).replace("  ", ", ") if tried else ""
        return advice.report(arguments, guess)

    return Check(op.name, _undecided_if_refused(op.name, report), LAWS)


def _is_scalar_failure(failure: Failure) -> bool:
    """Whether a rule fails on scalars, where no shape had to be guessed."""
    example = failure.example[0] if isinstance(failure.example, tuple) else failure.example
    if not isinstance(example, Call) or not (failure.rows or failure.about != "gradient"):
        return False
    return all(x.ndim == 0 for x in example.inputs)


def _of_function(
    library: Any, laws: tuple[Law, ...], F: Any, example: Arguments | None, advice: _Advice
) -> Check:
    """Return the check of a function of PyTorch or JAX."""

    def report() -> Report:
        if example is not None:
            return _checked(library, F, example.in_order(F))
        guess = library.guess_arguments(F)
        result = _checked(library, F, guess.arguments) if guess.accepted else None
        if result is not None and result.verdict is Verdict.CORRECT:
            notes = [f"on guessed arguments: {guess}", *filter(None, [result.reason])]
            return replace(result, reason="; ".join(notes))
        if library is torch:
            array = f"{advice.imported('torch')}.randn{{}}"
        else:
            array = f"{advice.imported('jax.numpy')}.ones({{}})"
        return advice.report(guess.written(array), str(guess) if guess.accepted else "")

    return Check(advice.name, _undecided_if_refused(advice.name, report), laws)


def _checked(library: Any, F: Any, arguments: Sequence[Any]) -> Report:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndecidedWarning)  # the report says so
        try:
            return library.check_function(F, *arguments)
        except GradientError as error:
            return error.report


def _undecided_if_refused(name: str, report: Callable[[], Report]) -> Callable[[], Report]:
    """Turn TypeError and ValueError, as of a bad example, into an undecided report."""

    def undecided() -> Report:
        try:
            return report()
        except (TypeError, ValueError) as error:
            return Report(name, Verdict.UNDECIDED, reason=words_of(error))

    return undecided
