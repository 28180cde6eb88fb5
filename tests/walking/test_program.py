"""One hook for every way in: a program is stopped in its passes, and its exit code is its own."""

import bdb
from collections import deque
from dataclasses import replace

import pytest

from autolm import Value, set_trace
from autolm.engine.watching import backward_pass, watching_pass
from autolm.walking.passes import Passes
from autolm.walking.program import (
    Program,
    ProgramError,
    backward_hook,
    current_pass,
    program_call_stack,
)

LOOP = """
import sys
from autolm import Value
x = Value(3.0)
for i in range(3):
    loss = x * i
    loss.backward(2.0)
print(sys.argv[1:], x.grad)
"""


def write(folder, text):
    path = folder / "program.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("awaited", "roots", "stops"),
    [
        (Passes(), [0.0], [True]),
        (Passes(2), [6.0], [True]),
        (Passes(5), [], []),
        (Passes(None), [], []),
        (Passes(condition="i == 1"), [3.0], [True]),
        (Passes(condition="grad(x) >= 2"), [3.0], [True]),
        (Passes(condition="x.grad > 2"), [6.0], [True]),
        (Passes(condition="grad('x') > 2 and loss > 1"), [6.0], [True]),
        (Passes(condition="nobody > 2"), [0.0], [True]),
        (Passes(None, has_breakpoints=True), [0.0, 3.0, 6.0], [False] * 3),
        (Passes(1, has_breakpoints=True), [3.0, 6.0], [True, False]),
    ],
    ids=lambda value: repr(value)[:60] if isinstance(value, Passes) else "",
)
def test_it_stops_in_the_pass_that_is_awaited(tmp_path, capsys, awaited, roots, stops):
    roots_seen, stopped = [], []

    def on_pass(here):
        roots_seen.append(here.root.data)
        stopped.append(here.stops)
        assert here.number == here.variables["i"] and here.root.location.user.line == 6
        assert here.grad == 2.0 and here.variables["x"].data == 3.0
        assert [(frame.function, frame.line) for frame in here.call] == [("<module>", 7)]
        here.walk().finish()

    passes = replace(awaited, history=deque())
    program = Program(write(tmp_path, LOOP), ["a", "b c"], passes=passes)
    assert program.run(on_pass) == 0
    assert roots_seen == roots and stopped == stops and program.visited == len(roots)
    assert [backward.loss for backward in passes.history] == [0.0, 3.0, 6.0]
    assert capsys.readouterr().out == "['a', 'b c'] 6.0\n"
    assert watching_pass() is None


def test_doing_a_pass_is_what_backward_does(tmp_path, capsys):
    Program(write(tmp_path, LOOP)).run(lambda here: here.do())
    assert capsys.readouterr().out == "[] 6.0\n"


def test_passes_within_a_pass_do_not_stop(tmp_path):
    backward_passes = []

    def on_pass(here):
        backward_passes.append(here)
        (here.root * 1).backward()
        here.do()

    passes = Passes(None, has_breakpoints=True)
    Program(write(tmp_path, LOOP), passes=passes).run(on_pass)
    assert len(backward_passes) == 3


@pytest.mark.parametrize(("end", "code"), [("", 0), ("sys.exit()", 0), ("sys.exit(3)", 3)])
def test_the_exit_code_is_the_programs(tmp_path, end, code):
    assert Program(write(tmp_path, LOOP + end)).run(lambda here: here.do()) == code


def test_quitting_ends_the_program(tmp_path, capsys):
    def on_pass(here):
        raise bdb.BdbQuit

    assert Program(write(tmp_path, LOOP)).run(on_pass) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss = 1 +", ":1: invalid syntax"),
        (LOOP + "1 / 0", ":9: ZeroDivisionError: division by zero"),
        (LOOP + "sys.exit('no data')", ": the program exited with 'no data'"),
        ("x = 3", " has no variable loss; call backward() on a result"),
        (
            "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')",
            ":1: ModuleNotFoundError: No module named 'torch': pip install 'autolm[torch]'",
        ),
    ],
)
def test_what_goes_wrong_is_one_line(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ProgramError) as error:
        Program(path).run(lambda here: here.do())
    assert str(error.value) == f"{path}{message}"


def test_a_program_without_a_pass_ends_and_its_result_is_the_pass(tmp_path):
    passes = []
    path = write(tmp_path, "from autolm import Value\nloss = Value(2.0) * 3\n")
    assert Program(path).run(passes.append) == 0
    assert [(here.root.data, here.call) for here in passes] == [(6.0, ())]
    assert str(passes[0].root.location) == f"{path}:2"


@pytest.mark.parametrize(
    ("module", "folder", "argv"),
    [("loop", ".", ["1"]), ("package.loop", "package", []), ("package", "package", ["a", "-b"])],
)
def test_a_module_is_run_as_python_does(tmp_path, monkeypatch, capsys, module, folder, argv):
    (tmp_path / folder).mkdir(exist_ok=True)
    name = "__main__.py" if module == folder else "loop.py"
    (tmp_path / folder / name).write_text(LOOP + "print(sys.argv[0], __name__, __package__)")
    monkeypatch.chdir(tmp_path)
    passes = []
    program = Program(None, argv, module=module)
    assert program.run(lambda here: passes.append(here) or here.do()) == 0
    assert len(passes) == 1 and passes[0].call[0].line == 7
    output = capsys.readouterr().out.splitlines()
    assert output[0] == f"{argv} 6.0"
    assert output[1].split()[:2] == [str(tmp_path / folder / name), "__main__"]


def test_a_module_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProgramError, match=r"^-m nobody\.here: No module named 'nobody'$"):
        Program(None, module="nobody.here")


@pytest.mark.parametrize("text", ["loss >", "x = 3"])
def test_a_condition_of_passes_is_an_expression(text):
    with pytest.raises(ValueError, match="condition of a pass"):
        Passes(condition=text)


def test_a_pass_here_knows_the_calls_of_the_program_and_its_names():
    def somewhere(weight):
        return current_pass(weight * 2)

    here = somewhere(Value(3.0))
    assert here.call[0].function == "somewhere"
    assert here.call[1].function.startswith("test_a_pass_here")
    assert here.variables["weight"].data == 3.0
    assert all("autolm/walking" not in frame.path for frame in program_call_stack())


def test_a_pass_at_a_pass_does_not_stop_in_turn():
    x, passes = Value(3.0), []

    def on_pass(here):
        passes.append(here)
        assert len(passes) == 1
        (here.root * 1).backward()

    token = backward_pass.set(backward_hook(on_pass))
    try:
        (x * 2).backward()
    finally:
        backward_pass.reset(token)
    assert x.grad == 2.0


def test_stopping_is_undone_after_each_pass():
    x, passes = Value(3.0), []
    token = backward_pass.set(backward_hook(lambda here: passes.append(here) or here.do()))
    try:
        (x * 2).backward()
        (x * 2).backward(retain_grads=True)
    finally:
        backward_pass.reset(token)
    assert [here.retain_grads for here in passes] == [None, True] and x.grad == 4.0


def test_set_trace_records_lines_up_to_its_pass_and_no_further(monkeypatch):
    passes = []
    monkeypatch.setattr(
        "autolm.debugger.stop_backward.open_debugger",
        lambda here, *_: passes.append(here) or here.do() or True,
    )
    x = Value(3.0)
    set_trace()
    y = x * 2
    y.backward()
    assert y.location.user.function == "test_set_trace_records_lines_up_to_its_pass_and_no_further"
    assert passes[0].root is y and passes[0].call[0].line == y.location.user.line + 1
    assert (x * 2).location is None
