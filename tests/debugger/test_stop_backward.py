"""Where backward() stops, and that it is only backward() that does."""

import bdb
import contextvars
import gc
import os
import re
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from autolm import Tensor, Value, debug, set_trace
from autolm.debugger import commands as debugger
from autolm.debugger import stop_backward
from autolm.engine.recording import recorder
from autolm.engine.watching import backward_pass, watching_pass


@pytest.fixture
def commands(monkeypatch):
    """Type these lines at every prompt, and note how often one was opened."""

    class Typed(debugger.Debugger):
        lines: tuple[str, ...] = ("c", "c")
        opened = 0

        def open(self):
            Typed.opened += 1
            for line in Typed.lines:
                if self.onecmd(line):
                    return
            raise AssertionError("the prompt was not left")

    monkeypatch.setattr(stop_backward, "Debugger", Typed)
    return Typed


@pytest.mark.parametrize("leaf", [Value, Tensor])
def test_set_trace_stops_the_next_backward_and_only_that(commands, leaf):
    x = leaf(3.0)
    y = x * x
    set_trace()
    y.backward()
    assert (commands.opened, x.grad) == (1, 6.0)
    y.backward()
    assert (commands.opened, x.grad) == (1, 12.0)


def test_stopped_backward_keeps_what_backward_would_keep(commands):
    x = Tensor(3.0)
    square = x * x
    y = square * 2
    set_trace()
    y.backward()
    assert not square.has_grad and not y.has_grad
    set_trace()
    y.backward(10.0, retain_grads=True)
    assert (x.grad, square.grad) == (12.0 + 120.0, 20.0)


def test_quitting_raises_what_pdb_raises_and_restores(commands):
    commands.lines = ("s", "q")
    x = Value(3.0)
    set_trace()
    with pytest.raises(bdb.BdbQuit):
        (x * x * x * x).backward()
    assert not x.has_grad
    assert watching_pass() is None


def test_passes_at_the_prompt_do_not_stop_in_turn(commands):
    commands.lines = ("p (node * 1).backward()", "c", "c")
    x = Value(3.0)
    set_trace()
    (x * x).backward()
    assert commands.opened == 1


def test_passes_at_the_prompt_do_not_stop_even_where_every_backward_may(commands):
    commands.lines = ("p (node * 1).backward()", "r", "n")
    x = Value(3.0)
    context = contextvars.copy_context()
    context.run(backward_pass.set, stop_backward.stopped_backward)
    context.run((x * x).backward)
    assert commands.opened == 1
    context.run((x * x).backward)
    assert commands.opened == 2


def test_debug_left_early_changes_nothing_and_at_the_end_everything(commands):
    x = Value(3.0)
    y = x * x * x
    commands.lines = ("q",)
    debug(y)
    assert not x.has_grad
    commands.lines = ("c", "c")
    debug(y)
    assert x.grad == 27.0


def test_debug_sees_the_names_of_the_function_that_calls_it(commands, capsys):
    def somewhere():
        weight = Value(3.0)
        cube = weight * weight * weight
        debug(cube)

    commands.lines = ("p weight.data, cube.data", "s", "why weight", "q")
    somewhere()
    _, *lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "(3.0, 27.0)"
    assert lines[1].startswith("> 2/2")


def test_debug_says_of_how_many_steps_no_line_is_known(commands, capsys):
    def steps_without_a_line(root):
        debug(root)
        first = capsys.readouterr().out.splitlines()[0]
        match = re.fullmatch(
            r"the lines of (\d+) steps were not recorded: .* AUTOLM_LOCATIONS=1, .*", first
        )
        return int(match[1]) if match else 0

    token = recorder.set(None)
    try:
        x = Value(3.0)
        before = x * x * x
        assert steps_without_a_line(before) == 2
        assert steps_without_a_line(before * x + x) == 2  # from the first debug() on, they are
        assert steps_without_a_line(x * x) == 0
    finally:
        recorder.reset(token)


@pytest.mark.parametrize(("value", "stops"), [("1", True), ("", False), ("0", False)])
def test_environment_variable_stops_backward_and_next_at_its_end_goes_to_the_next(value, stops):
    program = (
        "from autolm import Value\nx = Value(3.0)\n"
        "for _ in range(2): (x * x).backward()\nprint('gradient', x.grad)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={
            **os.environ,
            "AUTOLM_DEBUG": value,
            "PYTHONPATH": str(Path(__file__).parent.parent.parent),
            "PYTHONIOENCODING": "utf-8",
        },
        input="r\nn\nr\nn\n",
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("backward of") == (2 if stops else 0)
    assert done.stdout.endswith("gradient 12.0\n")


def test_what_is_set_in_one_pass_holds_in_the_next(commands, capsys):
    commands.lines = (
        "b mul if up > 1",
        "b tanh",
        "watch x",
        "condition 1 up > 0",
        "disable 3",
        "display x.data",
        "alias g p x.grad",
        "c",
        "c",
        "c",
        "c",
    )
    x = Value(3.0, name="x")
    debug((x * x).tanh())
    capsys.readouterr()
    commands.lines = ("b", "g", "display", "c", "c", "c")
    debug(x * 2)
    assert capsys.readouterr().out.splitlines()[:5] == [
        "1  operation mul if up > 0   hits 0",
        "2  operation tanh   no step of this pass",
        "3  change of x.grad   hits 0   disabled",
        f"{x.grad - 2}",
        "display 1: x.data = 3.0",
    ]
    commands.lines = ("b", "c", "c", "c", "c")
    debug((x * 2 * 2).tanh())
    screen = capsys.readouterr().out
    assert "2  operation tanh   hits 0" in screen and "… breakpoint 1" in screen


def test_what_is_kept_for_the_next_pass_keeps_no_graph_alive(commands):
    commands.lines = ("b mul if up > 1", "watch x", "display x.grad", "q")
    x = Value(3.0, name="x")
    y = x * x
    alive = weakref.ref(y)
    debug(y)
    del y
    gc.collect()
    assert alive() is None


def typed_into(program, text, **environment):
    """Run Python, type this at its prompts, and return what it shows."""
    folder = str(Path(__file__).parent.parent.parent)
    done = subprocess.run(
        [sys.executable, "-W", "error", *program],
        env={**os.environ, "PYTHONPATH": folder, "PYTHONIOENCODING": "utf-8", **environment},
        input=text,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    return done.stdout


def test_environment_variable_is_read_at_the_first_pass_and_not_by_importing():
    program = "import os\nfrom autolm import Value\nos.environ['AUTOLM_DEBUG'] = '1'\n"
    screen = typed_into(["-c", program + "(Value(3.0) * 2).backward()"], "c\nc\n")
    assert "backward of" in screen


LINES = """import numpy as np
from autolm import Tensor, Value, scope
x = Value(-1.0, name="x")
with scope("head"):
    y = x.log() * x
(y + 1).backward()
held = np.ones(2)
z = (Tensor(held, requires_grad=True) ** 2).sum()
held += 1
z.backward()
"""


def test_under_the_environment_variable_places_and_messages_name_file_and_line(tmp_path):
    path = tmp_path / "p.py"
    path.write_text(LINES)
    screen = typed_into([str(path)], "s\nw\nnan\nr\nn\nr\nn\nq\n", AUTOLM_DEBUG="1")
    assert re.search(r"^backward of y \+ 1 = nan .* p\.py:6$", screen, re.M), screen
    assert re.search(r"> 1/3  \+ .* p\.py:6$", screen, re.M), screen
    assert re.search(r"> 2/3  × .*  head  p\.py:5$", screen, re.M), screen
    assert re.search(r"^>   head .*  p\.py:4$", screen, re.M), screen
    assert re.search(rf"log   x\.log\(\)   {path}:5 ", screen), screen
    assert re.search(
        rf"RuntimeError: pow .* at {path}:8: an array .* was changed in place", screen
    ), screen
