"""The debugger as a person uses it: through a terminal, with wrong commands, Ctrl-D and Ctrl-C."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("pty")

from tests.debugger.terminal import Terminal

NEURON = Path(__file__).parents[2] / "demos" / "neuron.py"

STOPPED = """
import autolm
from autolm import Value
x = Value(3.0)
for _ in range(2):
    y = x * x + x
    autolm.set_trace() if _ == 0 else None
    y.backward()
    print("gradient", x.grad)
"""

LONG = """
import sys
from autolm import Value, debug
x = Value(0.5)
y = x
for _ in range(30_000):
    y = y * 0.999 + x
debug(y)
print("gradient", x.has_grad)
"""


def open_neuron(**environment):
    terminal = Terminal("-m", "autolm", "step", NEURON, **environment)
    terminal.opening = terminal.read()
    return terminal


def test_a_session_as_the_storyboard_tells_it():
    with open_neuron() as terminal:
        assert terminal.opening.startswith(
            "backward of o = 0.7071          5 steps, 5 leaves            neuron.py:10\n"
            "> 1/5  tanh   o = tanh(n)                                    neuron.py:10\n"
            "       ḡ = 1        ∂o/∂n = 1 − o² = 0.5      n.grad: – → 0.5\n"
        )
        assert terminal.say("s").startswith("> 2/5  +      n = x1w1x2w2 + b ")
        assert terminal.say("b op=*") == "breakpoint 1: operation ×"
        assert terminal.say("c").splitlines()[0].endswith("… breakpoint 1  neuron.py:7")
        assert terminal.say("rs").startswith("> 3/5  +      x1w1x2w2 = x1w1 + x2w2 ")
        assert terminal.say("why b") == (
            "b.grad = 0.5\n  0.5   from n = x1w1x2w2 + b   (1 × 0.5)   neuron.py:9"
        )
        assert terminal.say("b.grad * 2") == "0.9999999999999996"
        assert terminal.say("frobnicate").startswith(
            "NameError: frobnicate is neither a command nor a name"
        )
        assert terminal.say("w").endswith("neuron.py:8   x1w1x2w2 = x1w1 + x2w2")
        terminal.type("q\n")
        screen, code = terminal.wait()
        assert "left before step 3: all gradients and values that were set are restored" in screen
        assert code == 0


def test_an_empty_line_repeats_in_either_direction():
    with open_neuron() as terminal:
        terminal.say("s")
        assert terminal.say("").startswith("> 3/5")
        terminal.say("rs")
        assert terminal.say("").startswith("> 1/5")
        assert terminal.say("") == "at the start: no step has run yet"


def test_wrong_commands_cost_a_line_each():
    with open_neuron() as terminal:
        for line in ("goto x", "why nobody", "p 1/0", "b if (", "zoom 0", "set", "\t?!"):
            assert len(terminal.say(line).splitlines()) == 1
        assert terminal.say("s").startswith("> 2/5")


def test_the_end_of_input_leaves():
    with open_neuron() as terminal:
        terminal.type("\x04")
        screen, code = terminal.wait()
        assert "left before step 1" in screen
        assert "Traceback" not in screen
        assert code == 0


def test_interrupting_the_prompt_keeps_the_session():
    with open_neuron() as terminal:
        terminal.type("s half a li")
        terminal.read("s half a li")
        assert "interrupted; q leaves" in terminal.interrupt()
        assert terminal.say("s").startswith("> 2/5")


def test_interrupting_a_long_way_stops_between_two_steps(tmp_path):
    script = tmp_path / "long.py"
    script.write_text(LONG)
    with Terminal(script) as terminal:
        terminal.read()
        terminal.say("b if print('at step', step.index)")  # None: it never stops
        terminal.type("c\n")
        terminal.read("at step 50")
        terminal.type("\x03")
        screen = terminal.read()
        assert "interrupted" in screen and "Traceback" not in screen
        assert "at the end" not in screen
        where = int(screen.rpartition("> ")[2].partition("/")[0])
        assert terminal.say("rs").startswith(f"> {where - 1:>5}/")
        terminal.type("q\n")
        screen, _ = terminal.wait()
        assert screen.endswith("gradient False\n")


def test_history_and_completion():
    with open_neuron() as terminal:
        terminal.say("why x1w1x2w2")
        terminal.type("\x1b[A")  # the line before
        assert "why x1w1x2w2" in terminal.read("why x1w1x2w2")
        terminal.type("\x15why x1w1x\t\n")
        assert terminal.read().count("x1w1x2w2.grad") == 1


def test_history_goes_on_from_the_session_before_and_nobody_else_reads_it(tmp_path):
    with open_neuron(HOME=str(tmp_path)) as terminal:
        terminal.say("p n.data + 1")
        terminal.type("q\n")
        terminal.wait()
    assert (tmp_path / ".autolm_history").stat().st_mode & 0o777 == 0o600
    with open_neuron(HOME=str(tmp_path)) as terminal:
        terminal.type("\x1b[A\x1b[A\n")  # before q
        assert terminal.read().count("1.8813735870195432") == 1


def test_commands_to_begin_with_stand_in_the_home_folder(tmp_path):
    startup = tmp_path / ".autolmrc"
    startup.write_text("# mine\nalias g p %1.grad\nb op=*\ncommands\np 'here'\nend\n\nc\n")
    with open_neuron(HOME=str(tmp_path)) as terminal:
        assert "> 4/5" in terminal.opening and terminal.opening.count("'here'") == 1
        assert terminal.say("g o") == "1.0"


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_start_up_file_that_others_may_write_is_not_read(tmp_path, mode):
    startup = tmp_path / ".autolmrc"
    startup.write_text("goto end\n")
    startup.chmod(mode)
    with open_neuron(HOME=str(tmp_path)) as terminal:
        assert f"{startup} was not read: other users may write to it\n" in terminal.opening
        assert terminal.say("l").startswith("> 1/5")


def test_breakpoints_hold_in_the_next_pass(tmp_path):
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED.replace("autolm.set_trace() if _ == 0 else None", "pass"))
    with Terminal(script, AUTOLM_DEBUG="1") as terminal:
        terminal.read()
        terminal.say("b op=*")
        terminal.say("goto end")
        screen = terminal.say("c")
        assert "backward of y" in screen and "> 1/2" not in screen and "… breakpoint 1" in screen
        terminal.say("pass")
        terminal.type("c\n")
        screen, code = terminal.wait()
        assert code == 0 and screen.endswith("gradient 14.0\n")


def test_colour_on_a_terminal_and_none_where_it_is_not_wanted():
    with open_neuron() as terminal:
        assert "\x1b[1m> 1/5" in terminal.raw
        terminal.say("nonsense")
        assert "\x1b[31mNameError: nonsense is neither a command" in terminal.raw
    with open_neuron(NO_COLOR="1") as terminal:
        assert "\x1b[1m" not in terminal.raw


def test_set_trace_stops_once_and_the_program_goes_on(tmp_path):
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED)
    with Terminal(script) as terminal:
        assert "> 1/2  +      y = #2 + x" in terminal.read()
        assert terminal.say("p x.data, _") == "(3.0, 0)"
        assert terminal.say("c").startswith("> end of the pass")
        assert terminal.say("x.grad") == "7.0"
        terminal.type("c\n")
        screen, code = terminal.wait()
        assert screen.splitlines()[-2:] == ["gradient 7.0", "gradient 14.0"]
        assert code == 0


@pytest.mark.parametrize("value", ["0", "1"])
def test_quitting_a_program_ends_it_without_a_traceback(tmp_path, value):
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED)
    with Terminal(script, AUTOLM_DEBUG=value) as terminal:
        terminal.read()
        terminal.type("q\n")
        screen, code = terminal.wait()
        assert "gradient" not in screen.replace(
            "all gradients and values that were set are restored", ""
        )
        assert "Traceback" not in screen and code == 0


def test_under_the_environment_variable_next_leads_from_pass_to_pass(tmp_path):
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED.replace("autolm.set_trace() if _ == 0 else None", "pass"))
    with Terminal(script, AUTOLM_DEBUG="1") as terminal:
        assert "> 1/2  +      y = x * x + x " in terminal.read()
        terminal.say("c")
        screen = terminal.say("n")
        assert "gradient 7.0" in screen and "stopped.py:8" in screen and "> 1/2  +" in screen
        terminal.say("c")
        terminal.type("c\n")
        screen, code = terminal.wait()
        assert screen.endswith("gradient 14.0\n")
        assert code == 0


def test_without_a_terminal_commands_come_from_a_pipe():
    import subprocess

    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "autolm", "step", str(NEURON)],
        input="s\nrs\n",
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        cwd=Path(__file__).parent.parent.parent,
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert [line[:5] for line in done.stdout.splitlines() if "/5" in line] != []
    assert "left before step 1" in done.stdout
