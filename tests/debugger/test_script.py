"""A program is debugged where it differentiates; what cannot be debugged is told in one line."""

import os
import subprocess
import sys

import pytest

from autolm import Value
from autolm.debugger import script, stop_backward
from autolm.debugger.script import debug_script
from autolm.engine.watching import watching_pass
from autolm.walking.program import Program, ProgramError


class Opened(list):
    """The data of every root that the debugger is opened on; it goes on at once, or quits."""

    goes_on = True

    def __call__(self, here, segment=None, passes=None):
        self.append(here.root.data)
        self.variables = here.variables
        self.location = here.root.location
        return self.goes_on


@pytest.fixture
def opened(monkeypatch):
    note = Opened()
    monkeypatch.setattr(script, "open_debugger", note)
    monkeypatch.setattr(stop_backward, "open_debugger", note)
    return note


@pytest.fixture
def program(tmp_path):
    def write(text):
        path = tmp_path / "program.py"
        path.write_text(f"from autolm import Value\nx = Value(3.0)\n{text}")
        return path

    return write


@pytest.mark.parametrize(
    ("text", "variable", "roots"),
    [
        ("loss = x * x", None, [9.0]),
        ("loss = x * x\nloss.backward()", None, [9.0]),
        ("y = x * 5\ny.backward()\nloss = x * x\nloss.backward()", None, [9.0]),
        ("y = x * 5\ny.backward()\nloss = x * x\nloss.backward()", "y", [15.0]),
        ("for i in range(3):\n    loss = x * i\n    loss.backward()", None, [0.0]),
        ("y = x * 5\no = y * y", None, [225.0]),
        ("y = x * 5\no = y * y", "y", [15.0]),
        ("def train():\n    loss = x * 4\n    loss.backward()\ntrain()", None, [12.0]),
        ("(x * 7).backward()", None, [21.0]),
        ("loss = x * x\nloss.backward()\nloss = loss.data", None, [9.0]),
        ("loss = x * 4\n(loss / 2).backward()", None, [6.0]),
        ("def f():\n    loss = x * 4\n    return loss\nf().backward()", None, [12.0]),
        ("loss = {'a': x * 2}\nsum(loss.values()).backward()", None, [6.0]),
        ("def f():\n    y.backward()\ny = x * 5\nloss = x * x\nf()\nloss.backward()", None, [9.0]),
    ],
)
def test_the_debugger_opens_on_the_loss_where_it_is_differentiated(
    opened, program, text, variable, roots
):
    debug_script(Program(program(text), variable=variable))
    assert opened == roots


def test_the_program_sees_itself_as_the_main_one_and_its_lines_are_recorded(opened, program):
    path = program(
        "import sys\nfrom pathlib import Path\n"
        "assert __name__ == '__main__' and sys.argv == [__file__]\n"
        "assert Path(sys.path[0]) == Path(__file__).resolve().parent\n"
        "loss = x * x\n"
    )
    arguments, folders = sys.argv, list(sys.path)
    debug_script(Program(path))
    assert str(opened.location) == f"{path}:7"
    assert opened.variables["x"].data == 3.0
    assert (sys.argv, sys.path) == (arguments, folders)
    assert Value(1.0).location is None


def test_quitting_ends_the_program_quietly(opened, program, capsys):
    opened.goes_on = False
    usual = watching_pass()
    debug_script(Program(program("loss = x * x\nloss.backward()\nprint('went on')")))
    assert opened == [9.0]
    assert capsys.readouterr().out == ""
    assert watching_pass() is usual


def test_going_on_runs_the_program_to_its_end(opened, program, capsys):
    debug_script(Program(program("loss = x * x\nloss.backward()\nprint('went on')")))
    assert capsys.readouterr().out == "went on\n"


@pytest.mark.parametrize(
    ("text", "variable", "message"),
    [
        ("y = 1 +", None, ":3: invalid syntax"),
        ("y = nobody", None, ":3: NameError: name 'nobody' is not defined"),
        ("import sys\nsys.exit(3)", None, ": the program exited with 3"),
        ("", None, " has no variable loss; call backward() on a result"),
        ("y, z = x * 2, x * 3", None, " has no variable loss; choose one with --var: y, z"),
        (
            "loss = 3",
            None,
            ": loss is of type int, not a Value or a Tensor; call backward() on a result",
        ),
        (
            "class Tensor: __module__ = 'torch'\nloss = Tensor()",
            None,
            ": loss is of type torch.Tensor, not a Value or a Tensor; call backward() on a result",
        ),
        ("y = x * 2", "z", " has no variable z"),
        ("y = 3", "y", ": y is of type int, not a Value or a Tensor"),
    ],
)
def test_what_cannot_be_debugged_is_told_in_one_line(opened, program, text, variable, message):
    path = program(text)
    with pytest.raises(ProgramError) as error:
        debug_script(Program(path, variable=variable))
    assert str(error.value) == f"{path}{message}"
    assert not opened


def test_missing_program_is_told(tmp_path):
    with pytest.raises(ProgramError, match=r"nobody\.py: cannot be read: No such file"):
        debug_script(Program(tmp_path / "nobody.py"))


@pytest.mark.parametrize("typed", ["", "help\n", "help s\nnonsense\ngoto end\n", "alias EOF p 1\n"])
def test_without_docstrings_the_prompt_still_steps_and_ends_with_its_input(tmp_path, typed):
    script = tmp_path / "neuron.py"
    script.write_text("from autolm import Value\nx = Value(2.0)\nloss = x * x\nloss.backward()\n")
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "autolm", "step", str(script)],
        input=typed,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "NoneType" not in done.stdout
    assert ("> end of the pass" in done.stdout) == ("goto" in typed)
    assert done.stdout.count("python -OO removes help texts") == typed.count("help")
    assert ("breakpoint" in done.stdout or " break " in done.stdout) == ("help\n" in typed)
