"""Run a program, and be asked at its backward passes: what every way into the debugger stands on.

The program runs as it would by itself, with its lines recorded. `Program.run` calls back at the
first `backward()` on the variable in question (a training loop in its first step), or at every one;
who is called does the pass, or walks it. A program that differentiates nothing runs to its end, and
then its result is the pass. `set_trace()`, `debug()` and the environment variables stop passes by
the same `stopping`.
"""

from __future__ import annotations

import ast
import bdb
import os
import re
import runpy
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from os.path import dirname, join
from pathlib import Path
from typing import Any

from autolm.engine.backprop import backward
from autolm.engine.graph import Node, topological_order
from autolm.engine.recording import record_sites
from autolm.engine.site import Frame, Sites, calling_site, is_machinery
from autolm.engine.watching import backward_pass
from autolm.ops.arguments import read_choice
from autolm.outside.language import say
from autolm.outside.terminal import in_a_line, print_safely, words_of
from autolm.tensor.arguments import node_of
from autolm.walking.libraries import (
    passes_not_walked,
    recording_libraries,
    stop_recording_libraries,
)
from autolm.walking.program_names import variables_of_caller
from autolm.walking.walk import Walk

LOSS = "loss"
_HOME = join(dirname(dirname(__file__)), "")


EXTRAS = ("torch", "jax")  # which bring a library of the same name


class ProgramError(ValueError):
    """A program has no graph to look into; the message is one line."""


@dataclass(frozen=True)
class Pass:
    """A backward pass that a program is about to do.

    Attributes
    ----------
    root, grad, retain_grads
        What `backward()` was called on, and with what.
    variables
        The names that the program has there, the nearest first.
    call
        The calls of the program that led there, innermost first; none where it has ended.
    """

    root: Node
    grad: Any = None
    retain_grads: bool | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    call: tuple[Frame, ...] = ()

    def walk(self, segment: int | None = None) -> Walk:
        """Return the pass to be walked, in segments or with all of it at hand."""
        return Walk(self.root, self.grad, self.retain_grads, segment=segment)

    def do(self) -> None:
        """Do it, as `backward()` would have if nobody had asked."""
        token = backward_pass.set(None)
        try:
            self.root.backward(self.grad, retain_grads=self.retain_grads)
        finally:
            backward_pass.reset(token)


OnPass = Callable[[Pass], object]


def pass_here(root: Node, grad: Any = None, retain_grads: bool | None = None) -> Pass:
    """Return the pass that the program which called autolm is about to do."""
    return Pass(root, grad, retain_grads, variables_of_caller(), call_of_program())


def call_of_program() -> tuple[Frame, ...]:
    """Return the running calls of the program, without autolm's and those that run the program."""
    own = list(takewhile(lambda frame: not _runs_programs(frame), calling_site(Sites()).frames))
    ours = (frame.path.startswith(_HOME) or is_machinery(frame.path) for frame in own)
    return tuple(frame for frame, is_ours in zip(own, ours, strict=True) if not is_ours)


def stopping(on_pass: OnPass) -> Callable[[Node, Any, bool | None], None]:
    """Return what `backward()` is to be while `on_pass` is asked: passes within it do not stop."""

    def stopped(root: Node, grad: Any, retain_grads: bool | None) -> None:
        here = pass_here(root, grad, retain_grads)
        token = backward_pass.set(None)
        try:
            on_pass(here)
        finally:
            backward_pass.reset(token)

    return stopped


class Program:
    """A program in a file, to be run for its backward passes.

    Parameters
    ----------
    path, args
        The program, and the arguments that it is given.
    variable
        Its name for the root. By default what it calls `backward()` on, `loss` or made of it where
        there is a `loss`; without a pass, `loss` or the one result that it makes no further use of.
    stop_at
        Whether to stop at the "first" such pass or at "every" one.
    """

    def __init__(
        self,
        path: Path,
        args: Sequence[str] = (),
        variable: str | None = None,
        stop_at: str = "first",
    ) -> None:
        self.path, self.args, self.variable = path, list(args), variable
        self.stop_at = read_choice("Program", "stop_at", stop_at, ("first", "every"))
        self.passes = 0  # at how many it was stopped
        self.unwalked: list[str] = []  # passes of PyTorch that were only named
        self.skipped: dict[str, str] = {}  # roots of the passes that were not: name -> FILE:LINE

    def run(self, on_pass: OnPass) -> int:
        """Run it, and return its exit code; `on_pass` does each pass, or ends it all by `BdbQuit`.

        Raises
        ------
        ProgramError
            When the program fails, or it is not clear which variable is meant.
        """
        assigning = _functions_assigning(self.path, LOSS)

        def stopped(here: Pass) -> None:
            is_over = self.passes > 0 and self.stop_at == "first"
            if self.variable is None:
                is_wanted = _is_of_the_loss(here, assigning)
            else:
                is_wanted = _held(here.variables, self.variable) is here.root
            if is_over or not is_wanted:
                self._skip(here)
                here.do()
                return
            self.passes += 1
            on_pass(here)
            if self.stop_at == "first":
                stop_recording_libraries()

        token = backward_pass.set(stopping(stopped))
        try:
            variables, code = self._run()
            if not self.passes:
                backward_pass.set(None)
                root = self._root_at_the_end(variables)
                self.passes += 1
                on_pass(Pass(root, variables=variables))
        except bdb.BdbQuit:
            return 0
        finally:
            backward_pass.reset(token)
        return code

    def other_roots(self, here: Pass) -> dict[str, int]:
        """Return what else the program calls `backward()` on, by name, with the line."""
        calls = (n for n in ast.walk(ast.parse(self.path.read_bytes())) if isinstance(n, ast.Call))
        found = {
            call.func.value.id: call.lineno
            for call in calls
            if isinstance(call.func, ast.Attribute)
            and call.func.attr == "backward"
            and isinstance(call.func.value, ast.Name)
        }
        if here.call:
            found = {name: line for name, line in found.items() if line != here.call[0].line}
        return {n: k for n, k in found.items() if _held(here.variables, n) is not here.root}

    def _skip(self, here: Pass) -> None:
        """Note what a pass that is not walked began at."""
        names = (name for name in here.variables if name[:1] != "_")
        name = next((name for name in names if _held(here.variables, name) is here.root), "")
        if name and here.call:
            self.skipped.setdefault(name, f"{here.call[0].path}:{here.call[0].line}")

    def _root_at_the_end(self, variables: Mapping[str, Any]) -> Node:
        """Choose what to differentiate when no pass was walked, or say which passes there were."""
        unwalked = [] if self.variable is not None else self.unwalked
        if any(not each.startswith("a process") for each in unwalked):
            raise ProgramError(f"{self.path}: no pass can be walked: {', '.join(unwalked)}")
        name = LOSS if self.variable is None else self.variable
        if self.skipped and _held(variables, name) is None:
            told = ", ".join(f"{other} ({place})" for other, place in self.skipped.items())
            raise ProgramError(
                f"{self.path}: backward() was not called on {name}, but on {told}; choose one "
                "with --var"
            )
        try:
            return choose_root(self.path, variables, self.variable)
        except ProgramError:
            if unwalked:
                raise ProgramError(
                    f"{self.path}: no backward() in this process; autolm does not look into "
                    f"others: {', '.join(unwalked)}"
                ) from None
            raise

    def _run(self) -> tuple[Mapping[str, Any], int]:
        """Run it as `python FILE` does; return its variables and its exit code."""
        with _as_main(self.path, self.args), record_sites(), recording_libraries():
            try:
                return runpy.run_path(str(self.path), run_name="__main__"), 0
            except SystemExit as end:
                if self.passes and isinstance(end.code, int | None):
                    return {}, end.code or 0
                raise ProgramError(f"{self.path}: ended by itself, with {end.code!r}") from None
            except (bdb.BdbQuit, KeyboardInterrupt, BrokenPipeError):  # whose reader is `head`
                raise
            except BaseException as error:  # also of kinds that are no Exception
                raise program_error(self.path, error) from error
            finally:
                self.unwalked = passes_not_walked()


def program_error(path: Path, error: BaseException) -> ProgramError:
    """Say in one line where in a program an error came up, and which."""
    if isinstance(error, SyntaxError):
        line = f":{error.lineno}" if error.lineno else ""  # none of a null byte
        return ProgramError(f"{error.filename or path}{line}: {error.msg}")
    files = {str(path), str(path.absolute())}
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename in files]
    where = f"{path}:{lines[-1]}" if lines else str(path)
    kind, text = type(error).__name__, words_of(error)
    told = text if text.startswith(kind) else f"{kind}: {text}"
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        told += f": pip install 'autolm[{error.name}]'"
    library: Any = sys.modules.get("torch")
    if library and re.search("cuda|nvidia", told, re.I) and not library.cuda.is_available():
        told += "; there is no CUDA device here, so let the program use the device 'cpu'"
    return ProgramError(f"{where}: {told}")


@contextmanager
def side_errors_in_a_line(path: Path) -> Iterator[None]:
    """Let an error of a program's thread, or of its garbage, be one line, and not a traceback."""

    def tell(error: BaseException, where: str) -> None:
        told = say(f"{in_a_line(str(program_error(path, error)))} ({where})")
        print_safely(f"autolm: {told}", sys.stderr)

    def of_thread(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None:
            tell(told.exc_value, f"in {told.thread.name}" if told.thread else "in a thread")

    def unraisable(told: Any) -> None:
        if told.exc_value is not None:
            tell(told.exc_value, "ignored")

    before = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = of_thread, unraisable
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before


def root_of_program(path: Path, variable: str | None = None) -> tuple[Node, Mapping[str, Any]]:
    """Run a program up to its pass, and return the root that it differentiates, and its variables.

    The pass is done, with every gradient kept; one that the program does not do is not.
    """
    found: list[Pass] = []

    def find(here: Pass) -> None:
        found.append(here)
        if here.call:
            backward(here.root, here.grad, retain_grads=True)
        raise bdb.BdbQuit

    if code := Program(path, variable=variable).run(find):
        raise ProgramError(f"{path}: ended by itself, with {code}")
    return found[0].root, found[0].variables


def _is_of_the_loss(here: Pass, assigning: Collection[str]) -> bool:
    """Whether a pass goes through what the program calls `loss`, or it has no such result there.

    A loss is often differentiated under another name, scaled (`(loss / 4).backward()`), or where a
    function returned it. Before a function has computed its `loss`, a pass in it is another's.
    """
    loss = _held(here.variables, LOSS)
    if loss is not None:
        return loss is here.root or loss in set(topological_order(here.root))
    return LOSS in here.variables or here.call[0].function not in assigning


def _functions_assigning(path: Path, variable: str) -> set[str]:
    """Return the names of a program's functions, or `<module>`, that give something this name."""
    try:
        waiting: list[tuple[ast.AST, str]] = [(ast.parse(path.read_bytes(), str(path)), "<module>")]
    except OSError as error:
        raise ProgramError(f"{path}: cannot be read: {error.strerror}") from None
    except SyntaxError as error:
        raise program_error(path, error) from None
    except ValueError as error:
        raise ProgramError(f"{path}: not a program: {error}") from None
    found = set()
    while waiting:
        node, function = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        elif isinstance(node, ast.Name) and node.id == variable and isinstance(node.ctx, ast.Store):
            found.add(function)
        waiting += ((child, function) for child in ast.iter_child_nodes(node))
    return found


def _last_line_of(path: Path, variable: str) -> str:
    """Return the last line that gives something this name, as `:LINE`; empty if there is none."""
    names = (each for each in ast.walk(ast.parse(path.read_bytes())) if isinstance(each, ast.Name))
    lines = [n.lineno for n in names if n.id == variable and isinstance(n.ctx, ast.Store)]
    return f":{max(lines)}" if lines else ""


@contextmanager
def _as_main(path: Path, args: Sequence[str]) -> Iterator[None]:
    arguments, folders, here = sys.argv, sys.path, os.getcwd()
    streams = sys.stdin, sys.stdout, sys.stderr
    sys.argv, sys.path = [str(path), *args], [str(path.resolve().parent), *sys.path]
    try:
        with side_errors_in_a_line(path):
            yield
    finally:
        sys.argv, sys.path = arguments, folders
        sys.stdin, sys.stdout, sys.stderr = streams
        os.chdir(here)  # what is written for the user goes where he is


def _runs_programs(frame: Frame) -> bool:
    return frame.path == "<frozen runpy>" or frame.path == runpy.__file__


def choose_root(path: Path, variables: Mapping[str, Any], variable: str | None) -> Node:
    """Choose what to differentiate when the program itself differentiated nothing."""
    name = LOSS if variable is None else variable
    wanted = _held(variables, name)
    if wanted is not None and not wanted.requires_grad:
        raise ProgramError(
            f"{path}{_last_line_of(path, name)}: {name} requires no gradient: it was computed "
            "under no_grad(), or of constants; compute it outside, of parameters"
        )
    if wanted is not None:
        return wanted
    if variable is not None:
        raise ProgramError(_no_root(path, variables, variable))
    held = {name: _held(variables, name) for name in variables}
    results = {name: node for name, node in held.items() if node is not None and node.parents}
    used = {n for root in results.values() for n in topological_order(root) if n is not root}
    last = {node: name for name, node in results.items() if node not in used}
    if len(last) != 1:
        names = ", ".join(last.values())
        advice = f"choose one with --var: {names}" if last else "call backward() on a result"
        raise ProgramError(f"{_no_root(path, variables, LOSS)}; {advice}")
    return next(iter(last))


def _held(variables: Mapping[str, Any], name: str) -> Node | None:
    """Return the node that a variable holds; None where it holds none."""
    value = variables.get(name)
    return value if isinstance(value, Node) else node_of(value)


def _no_root(path: Path, variables: Mapping[str, Any], variable: str) -> str:
    """Say why a variable is no root: there is none so called, or it holds something else."""
    if variable not in variables:
        inside = sorted(_functions_assigning(path, variable) - {"<module>"})
        if inside:
            return f"{path}: {variable} is a variable of {inside[0]}, and was not differentiated"
        return f"{path} has no variable {variable}"
    kind = type(variables[variable])
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{path}: {variable} is of type {module}{kind.__name__}, not a Value or a Tensor"
