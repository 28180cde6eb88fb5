"""Run a program and call back at its backward passes; every entry to the debugger uses this.

The program runs unchanged, with its lines recorded. `Program.run` calls back at each `backward()`
on the chosen variable that `Passes` awaits, by default the first. The callback does or walks the
pass. If the program never calls `backward()`, the callback gets its result at the end.
`backward_hook` serves `set_trace()`, `debug()` and the environment variables too.
"""

from __future__ import annotations

import ast
import bdb
import gc
import os
import re
import runpy
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import takewhile
from os.path import dirname, join
from pathlib import Path
from typing import Any

from autolm.engine.backprop import backward
from autolm.engine.graph import Node, topological_order
from autolm.engine.location import Frame, Locations, calling_location, is_machinery
from autolm.engine.recording import Recording, recorder, recording, recording_here
from autolm.engine.watching import backward_pass
from autolm.outside.language import say
from autolm.outside.message import Message, joined, message, plain_message
from autolm.outside.terminal import in_a_line, print_safely, words_of
from autolm.tensor.nodes import node_of
from autolm.walking.passes import Passes
from autolm.walking.program_names import variable_of_caller, variables_of_caller
from autolm.walking.torch_recording import TorchRecording, unwalked_passes
from autolm.walking.walk import Walk

LOSS = "loss"
_HOME = join(dirname(dirname(__file__)), "")


EXTRAS = ("torch", "jax")  # each installs the library of the same name


class ProgramError(ValueError):
    """A program failed or has no graph to debug; the message is one line."""


@dataclass(frozen=True)
class Pass:
    """A backward pass that a program is about to do.

    Attributes
    ----------
    root
        The node that `backward()` was called on.
    grad, retain_grads
        The arguments of `backward()`.
    variables
        The variables of the program at the call, innermost first.
    call
        The call stack of the program, innermost first; empty if the program has ended.
    number
        The number of the pass in the program, from 0.
    stops
        Whether to stop at its start; otherwise only at breakpoints.
    """

    root: Node
    grad: Any = None
    retain_grads: bool | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    call: tuple[Frame, ...] = ()
    number: int = 0
    stops: bool = True

    def walk(self, segment: int | None = None) -> Walk:
        """Return a walk of the pass; see `Walk` for `segment`."""
        return Walk(self.root, self.grad, self.retain_grads, segment=segment)

    def do(self) -> None:
        """Run the pass as `backward()` would without the hook."""
        token = backward_pass.set(None)
        try:
            self.root.backward(self.grad, retain_grads=self.retain_grads)
        finally:
            backward_pass.reset(token)


OnPass = Callable[[Pass], object]


def current_pass(root: Node, grad: Any = None, retain_grads: bool | None = None) -> Pass:
    """Return the pass that the program which called autolm is about to do."""
    return Pass(root, grad, retain_grads, variables_of_caller(), program_call_stack())


def program_call_stack() -> tuple[Frame, ...]:
    """Return the call stack of the program, without the calls of autolm and of `runpy`."""
    frames = list(
        takewhile(lambda frame: not _runs_programs(frame), calling_location(Locations()).frames)
    )
    is_internal = (frame.path.startswith(_HOME) or is_machinery(frame.path) for frame in frames)
    return tuple(frame for frame, internal in zip(frames, is_internal, strict=True) if not internal)


def backward_hook(on_pass: OnPass) -> Callable[[Node, Any, bool | None], None]:
    """Return a hook that replaces `backward()` by `on_pass`; passes inside it do not stop."""

    def stopped(root: Node, grad: Any, retain_grads: bool | None) -> None:
        here = current_pass(root, grad, retain_grads)
        token = backward_pass.set(None)
        try:
            on_pass(here)
        finally:
            backward_pass.reset(token)

    return stopped


def visit_pass(here: Pass, passes: Passes, on_pass: OnPass) -> None:
    """Count a pass; call `on_pass` if it is awaited or breakpoints are set, else do it."""
    stops = passes.stops_in(here.root, here.grad, here.variables)
    passes.begin(here.root.data)
    if stops or passes.has_breakpoints:
        on_pass(replace(here, number=passes.count - 1, stops=stops))
    else:
        here.do()


def record_lines(is_recording: bool) -> None:
    """Turn the recording of lines on or off for new nodes."""
    now = recording_here()
    locations = (now.locations or Locations()) if is_recording else None
    state = Recording(now.enabled, now.scope, locations, now.entered, now.constants)
    is_usual = state.enabled and locations is None and state.note is None and not state.constants
    recorder.set(None if is_usual else state)  # None costs a new node nothing


class Program:
    """A program to run for its backward passes.

    Parameters
    ----------
    path, args
        The file of the program, and its command-line arguments.
    variable
        The variable that holds the root. By default every root of `backward()`; if the program
        has a `loss`, only roots computed from it. Without a pass: `loss`, or the only result that
        the program does not use further.
    passes
        The passes to stop in; by default the first.
    module
        Run it as `python -m MODULE`; the path is left out then.
    """

    def __init__(
        self,
        path: Path | None,
        args: Sequence[str] = (),
        variable: str | None = None,
        passes: Passes | None = None,
        module: str | None = None,
    ) -> None:
        self.module = module
        self.path = _file_of(module) if module is not None else Path(path or "")
        self.args, self.variable = list(args), variable
        self.passes = Passes() if passes is None else passes
        self.visited = 0  # passes that `on_pass` was called for
        self.unwalked: list[str] = []  # passes of PyTorch that cannot be walked
        self.skipped: dict[str, str] = {}  # roots of passes that were not walked: name -> FILE:LINE
        self._libraries = TorchRecording(self._count_plain)
        self._assigning: set[str] = set()
        self._is_recorded = True

    def run(self, on_pass: OnPass) -> int:
        """Run the program and return its exit code.

        `on_pass` does or walks each awaited pass; it ends the program by raising `BdbQuit`.

        Raises
        ------
        ProgramError
            When the program fails, or it is not clear which variable is meant.
        """
        self._assigning = _functions_assigning(self.path, LOSS)
        self._is_recorded = self.passes.must_record
        visiting = backward_hook(lambda here: self._visit(here, on_pass))

        def stopped(root: Node, grad: Any, retain_grads: bool | None) -> None:
            if self._is_recorded:
                visiting(root, grad, retain_grads)
            else:
                Pass(root, grad, retain_grads).do()
                self._count(root, root.data)
            self._record_next()

        token = backward_pass.set(stopped)
        try:
            variables, code = self._run()
            is_first = not self.passes.number and not self.passes.condition
            if not self.passes.count and is_first:
                backward_pass.set(None)
                stops = self.passes.number == 0
                self.passes.wait()
                root = self._root_at_the_end(variables)
                self.visited += 1
                on_pass(Pass(root, variables=variables, stops=stops))
        except bdb.BdbQuit:
            return 0
        finally:
            backward_pass.reset(token)
        return code

    def _visit(self, here: Pass, on_pass: OnPass) -> None:
        """Call `on_pass` for a recorded pass if it is awaited; else do the pass."""
        if not self._is_of_root(here.root, here.variables, here.call):
            self._skip(here)
            here.do()
            return

        def visited(here: Pass) -> None:
            self.visited += 1
            on_pass(here)

        visit_pass(here, self.passes, visited)

    def _count_plain(self, tensors: Any) -> None:
        """Count a pass of PyTorch that was not recorded."""
        tensor = tensors if hasattr(tensors, "grad_fn") else tensors[0]
        self._count(tensor, tensor.detach())
        self._record_next()

    def _count(self, root: Any, loss: Any) -> None:
        name = LOSS if self.variable is None else self.variable
        is_root = variable_of_caller(name) is root  # the fast path for the usual case
        if is_root or self._is_of_root(root, variables_of_caller(), program_call_stack()):
            self.passes.begin(loss)

    def _record_next(self) -> None:
        """Record the next pass, or run it at plain speed, as `passes` needs it."""
        self._is_recorded = self.passes.must_record
        self._libraries.record(self._is_recorded)
        record_lines(self._is_recorded)

    def _is_of_root(self, root: Any, variables: Mapping[str, Any], call: Sequence[Frame]) -> bool:
        """Whether a root is the chosen variable or, by default, is computed from `loss`.

        A loss is often scaled, as in `(loss / 4).backward()`, or returned by a function under
        another name. In a function that assigns `loss` later, an earlier pass is not of the loss.
        """
        if self.variable is not None:
            return _holds(variables, self.variable, root)
        if _holds(variables, LOSS, root):
            return True
        loss = variables.get(LOSS)
        if isinstance(loss, Node) or hasattr(loss, "grad_fn"):
            return _reaches(root, loss)
        return LOSS in variables or call[0].function not in self._assigning

    def other_roots(self, here: Pass) -> dict[str, int]:
        """Return the other variables that the program calls `backward()` on, with their lines."""
        calls = (n for n in ast.walk(ast.parse(self.path.read_bytes())) if isinstance(n, ast.Call))
        lines = {
            call.func.value.id: call.lineno
            for call in calls
            if isinstance(call.func, ast.Attribute)
            and call.func.attr == "backward"
            and isinstance(call.func.value, ast.Name)
        }
        if here.call:
            lines = {name: line for name, line in lines.items() if line != here.call[0].line}
        return {n: k for n, k in lines.items() if _node_held_by(here.variables, n) is not here.root}

    def _skip(self, here: Pass) -> None:
        """Record the root of a pass that is not walked."""
        names = (name for name in here.variables if name[:1] != "_")
        name = next(
            (name for name in names if _node_held_by(here.variables, name) is here.root), ""
        )
        if name and here.call:
            self.skipped.setdefault(name, f"{here.call[0].path}:{here.call[0].line}")

    def _root_at_the_end(self, variables: Mapping[str, Any]) -> Node:
        """Choose the root if no pass was walked; raise ProgramError if there is none."""
        unwalked = [] if self.variable is not None else self.unwalked
        if any(not name_of_pass.startswith("a process") for name_of_pass in unwalked):
            raise ProgramError(
                message(
                    "{path}: no pass can be debugged: {names}",
                    path=self.path,
                    names=", ".join(unwalked),
                )
            )
        name = LOSS if self.variable is None else self.variable
        if self.skipped and _node_held_by(variables, name) is None:
            skipped = ", ".join(f"{other} ({place})" for other, place in self.skipped.items())
            raise ProgramError(
                message(
                    "{path}: backward() was not called on {name}, but on {roots}; choose "
                    "one with --var",
                    path=self.path,
                    name=name,
                    roots=skipped,
                )
            )
        try:
            return choose_root(self.path, variables, self.variable)
        except ProgramError:
            if unwalked:
                raise ProgramError(
                    message(
                        "{path}: backward() was not called in this process, and autolm does "
                        "not follow others: {names}",
                        path=self.path,
                        names=", ".join(unwalked),
                    )
                ) from None
            raise

    def _run(self) -> tuple[Mapping[str, Any], int]:
        """Run it as `python FILE` does; return its variables and its exit code."""
        with (
            _as_main(self.path, self.args, self.module),
            recording(),
            self._libraries.watch(is_recording=self._is_recorded),
        ):
            record_lines(self._is_recorded)
            gc.freeze()  # the collector need not search our own objects in each of its rounds
            try:
                if self.module is not None:
                    return runpy.run_module(self.module, run_name="__main__", alter_sys=True), 0
                return runpy.run_path(str(self.path), run_name="__main__"), 0
            except SystemExit as end:
                if self.passes.count and isinstance(end.code, int | None):
                    return {}, end.code or 0
                raise ProgramError(
                    message(
                        "{path}: the program exited with {code!r}", path=self.path, code=end.code
                    )
                ) from None
            except (
                bdb.BdbQuit,
                KeyboardInterrupt,
                BrokenPipeError,
            ):  # BrokenPipeError: output piped to `head`
                raise
            except BaseException as error:  # also those that do not derive from Exception
                raise program_error(self.path, error) from error
            finally:
                gc.unfreeze()
                self.unwalked = unwalked_passes()


def program_error(path: Path, error: BaseException) -> ProgramError:
    """Describe an error of a program in one line: location, type and message."""
    if isinstance(error, SyntaxError):
        line = f":{error.lineno}" if error.lineno else ""  # None for a null byte
        file = f"{error.filename or path}{line}"
        return ProgramError(joined(": ", [file, plain_message(error.msg)]))
    files = {str(path), str(path.absolute())}
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename in files]
    where = f"{path}:{lines[-1]}" if lines else str(path)
    kind, text = type(error).__name__, words_of(error)
    problem = text if text.startswith(kind) else joined(": ", [kind, text])
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        problem = joined(": ", [problem, f"pip install 'autolm[{error.name}]'"])
    library: Any = sys.modules.get("torch")
    if library and re.search("cuda|nvidia", problem, re.I) and not library.cuda.is_available():
        problem = message(
            "{problem}; there is no CUDA device here, so let the program use the device 'cpu'",
            problem=problem,
        )
    return ProgramError(joined(": ", [where, problem]))


def _thread_label(thread: threading.Thread | None) -> Message:
    return message("in {thread}", thread=thread.name) if thread else message("in a thread")


def program_traceback(path: Path, error: BaseException) -> list[str]:
    """Write the traceback of an error from the program's first frame on."""
    trace = error.__traceback__
    files = {str(path), str(path.absolute())}
    while trace is not None and trace.tb_frame.f_code.co_filename not in files:
        trace = trace.tb_next
    return traceback.format_exception(type(error), error, trace)


@contextmanager
def background_errors_in_one_line(path: Path) -> Iterator[None]:
    """Print errors of the program's threads and finalizers in one line, without a traceback."""

    def report(error: BaseException, where: str) -> None:
        text = message("{error} ({where})", error=words_of(program_error(path, error)), where=where)
        print_safely(f"autolm: {in_a_line(say(text))}", sys.stderr)

    def report_thread_error(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            report(arguments.exc_value, _thread_label(arguments.thread))

    def report_unraisable(arguments: Any) -> None:
        if arguments.exc_value is not None:
            report(arguments.exc_value, message("ignored"))

    before = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = report_thread_error, report_unraisable
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before


def root_of_program(
    path: Path | None,
    variable: str | None = None,
    args: Sequence[str] = (),
    module: str | None = None,
    passes: Passes | None = None,
) -> tuple[Node, Mapping[str, Any]]:
    """Run a program up to a pass, and return the root and the variables.

    The pass is run, and every gradient is kept. If the program never called `backward()`, the root
    at its end is returned without a pass.
    """
    passes_found: list[Pass] = []

    def stop(here: Pass) -> None:
        passes_found.append(here)
        if here.call:
            backward(here.root, here.grad, retain_grads=True)
        raise bdb.BdbQuit

    program = Program(path, args, variable, passes, module)
    if code := program.run(stop):
        raise ProgramError(
            message("{path}: the program exited with {code}", path=program.path, code=code)
        )
    if not passes_found:
        raise ProgramError(f"{program.path}: {program.passes.unreached_message()}")
    return passes_found[0].root, passes_found[0].variables


def _holds(variables: Mapping[str, Any], name: str, root: Any) -> bool:
    """Whether a variable holds this root, a node or a tensor of PyTorch."""
    value = variables.get(name)
    return value is root or (isinstance(root, Node) and _node_held_by(variables, name) is root)


def _reaches(root: Any, loss: Any) -> bool:
    """Whether the loss is in the graph of a root, a node or an unrecorded PyTorch tensor."""
    if isinstance(root, Node):
        node = loss if isinstance(loss, Node) else node_of(loss)
        return node in set(topological_order(root))
    waiting, visited = deque([root.grad_fn]), {None}
    while waiting:
        function = waiting.popleft()
        if function is getattr(loss, "grad_fn", None):
            return function is not None
        if function not in visited:
            visited.add(function)
            waiting += (next_function for next_function, _ in function.next_functions)
    return False


def _functions_assigning(path: Path, variable: str) -> set[str]:
    """Return the functions of a program, or `<module>`, that assign this variable."""
    try:
        waiting: list[tuple[ast.AST, str]] = [(ast.parse(path.read_bytes(), str(path)), "<module>")]
    except OSError as error:
        raise ProgramError(
            message(
                "{path}: cannot be read: {reason}",
                path=path,
                reason=plain_message(error.strerror or ""),
            )
        ) from None
    except SyntaxError as error:
        raise program_error(path, error) from None
    except ValueError as error:
        raise ProgramError(
            message("{path}: not a Python program: {error}", path=path, error=error)
        ) from None
    functions = set()
    while waiting:
        node, function = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        elif isinstance(node, ast.Name) and node.id == variable and isinstance(node.ctx, ast.Store):
            functions.add(function)
        waiting += ((child, function) for child in ast.iter_child_nodes(node))
    return functions


def _last_line_of(path: Path, variable: str) -> str:
    """Return the last line that assigns this variable, as `:LINE`; empty if there is none."""
    names = (node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Name))
    lines = [n.lineno for n in names if n.id == variable and isinstance(n.ctx, ast.Store)]
    return f":{max(lines)}" if lines else ""


@contextmanager
def _as_main(path: Path, args: Sequence[str], module: str | None) -> Iterator[None]:
    arguments, folders, here = sys.argv, sys.path, os.getcwd()
    streams = sys.stdin, sys.stdout, sys.stderr
    folder = here if module is not None else str(path.resolve().parent)
    sys.argv, sys.path = [str(path), *args], [folder, *sys.path]
    try:
        with background_errors_in_one_line(path):
            yield
    finally:
        sys.argv, sys.path = arguments, folders
        sys.stdin, sys.stdout, sys.stderr = streams
        os.chdir(here)  # the front end writes files in the user's folder


def _file_of(module: str) -> Path:
    """Return the file that `python -m MODULE` runs.

    Raises
    ------
    ProgramError
        When there is no such module, or it is a package without a __main__.
    """
    sys.path.insert(0, os.getcwd())
    try:
        spec = find_spec(module)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = find_spec(f"{module}.__main__")
    except (ImportError, ValueError) as error:
        raise ProgramError(f"-m {module}: {error}") from None
    finally:
        sys.path.remove(os.getcwd())
    if spec is None or not spec.has_location or spec.origin is None:
        raise ProgramError(message("-m {module}: no module of this name can be run", module=module))
    return Path(spec.origin)


def _runs_programs(frame: Frame) -> bool:
    return frame.path == "<frozen runpy>" or frame.path == runpy.__file__


def choose_root(path: Path, variables: Mapping[str, Any], variable: str | None) -> Node:
    """Choose the root in a program that did not call `backward()`."""
    name = LOSS if variable is None else variable
    wanted = _node_held_by(variables, name)
    if wanted is not None and not wanted.requires_grad:
        raise ProgramError(
            message(
                "{path}{line}: {name} requires no gradient: it was computed under "
                "no_grad(), or from constants; compute it outside, from parameters",
                path=path,
                line=_last_line_of(path, name),
                name=name,
            )
        )
    if wanted is not None:
        return wanted
    if variable is not None:
        raise ProgramError(_no_root(path, variables, variable))
    nodes = {name: _node_held_by(variables, name) for name in variables}
    results = {name: node for name, node in nodes.items() if node is not None and node.parents}
    used = {n for root in results.values() for n in topological_order(root) if n is not root}
    last = {node: name for name, node in results.items() if node not in used}
    if len(last) != 1:
        names = ", ".join(last.values())
        advice = (
            message("choose one with --var: {names}", names=names)
            if last
            else message("call backward() on a result")
        )
        raise ProgramError(joined("; ", [_no_root(path, variables, LOSS), advice]))
    return next(iter(last))


def _node_held_by(variables: Mapping[str, Any], name: str) -> Node | None:
    """Return the node that a variable holds, or None."""
    value = variables.get(name)
    return value if isinstance(value, Node) else node_of(value)


def _no_root(path: Path, variables: Mapping[str, Any], variable: str) -> str:
    """Say why a variable cannot be the root: it is missing, or its type is wrong."""
    if variable not in variables:
        inside = sorted(_functions_assigning(path, variable) - {"<module>"})
        if inside:
            return message(
                "{path}: {variable} is a variable of {function}, and was not differentiated",
                path=path,
                variable=variable,
                function=inside[0],
            )
        return message("{path} has no variable {variable}", path=path, variable=variable)
    kind = type(variables[variable])
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return message(
        "{path}: {variable} is of type {module}{kind}, not a Value or a Tensor",
        path=path,
        variable=variable,
        module=module,
        kind=kind.__name__,
    )
