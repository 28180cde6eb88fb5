"""A training loop at the prompt: from pass to pass, by number, by condition, by breakpoint."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.session import Session, the_neuron

VALUES = """\
import sys
from autolm import Value
w = Value(2.0, name="w")
for k in range(10):
    h = w * 3.0
    loss = (h - 1.0) ** 2
    w.zero_grad()
    loss.backward()
    w.data -= 0.01 * w.grad
print("end", sys.argv[1:], w.data)
"""
TORCH = """\
import sys
import torch
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
for k in range(10):
    if k % 2:
        (net(torch.ones(1, 4)) ** 2).sum().backward()  # of another root
    loss = (net(torch.randn(5, 4)) ** 2).mean()
    net.zero_grad()
    (loss / 2).backward()
    with torch.no_grad():
        for p in net.parameters():
            p -= 0.1 * p.grad
print("end", sys.argv[1:], sum(p.sum().item() for p in net.parameters()))
"""
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="no PyTorch is installed")
PROGRAMS = [
    pytest.param(VALUES, "mul", id="values"),
    pytest.param(TORCH, "tanh", id="torch", marks=needs_torch),
]


def run(*arguments, typed, folder):
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        input=typed,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "120"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def step(*arguments, typed, folder):
    return run("-m", "autolm", "step", *arguments, typed=typed, folder=folder)


@pytest.fixture
def loop(tmp_path):
    def write(text):
        path = tmp_path / "loop.py"
        path.write_text(text)
        return path

    return write


def numbers_shown(screen):
    """List what `p k` has printed, in order."""
    return [int(number) for number in re.findall(r"^\(bp\) (\d+)$", screen, re.M)]


@pytest.mark.parametrize(("text", "operation"), PROGRAMS)
def test_passes_are_reached_by_number_condition_breakpoint_and_step(loop, text, operation):
    path = loop(text)
    typed = [
        "p k",
        f"b {operation} if k == 5",
        "c",
        "p k",
        "cl",
        "pass 6",
        "p k",
        "until-pass k > 7",
        "p k",
        "r",
        "n",
        "p k",
        "c",
        "c",
    ]
    screen = step("--pass", "3", path, "a", "--", "-b", typed="\n".join(typed), folder=path.parent)
    assert numbers_shown(screen) == [3, 5, 6, 8, 9]
    assert screen.count("backward of") == 5
    assert screen.count("loop.py:") >= 10
    plain = run(path, "a", "-b", typed="", folder=path.parent)
    assert screen.endswith(plain) and "['a', '-b']" in plain


@pytest.mark.parametrize(("text", "operation"), PROGRAMS)
def test_a_pass_is_chosen_by_a_gradient(loop, text, operation):
    path = loop(text)
    name = "w" if text is VALUES else "0.weight"
    condition = f"k > 1 and abs(grad({name!r})).sum() > 0" if text is TORCH else "grad('w') < 8"
    screen = step("--when", condition, path, typed="p k\nq\n", folder=path.parent)
    assert numbers_shown(screen) == [2 if text is TORCH else 7]


def test_breakpoints_stop_at_neither_start_nor_end_of_any_pass(loop):
    path = loop(VALUES)
    screen = step(
        path, typed="b sub if k % 4 == 1\nc\np k\nc\np k\nc\np k\nc\n", folder=path.parent
    )
    assert numbers_shown(screen) == [1, 5, 9]
    assert "the end of the pass" not in screen
    assert screen.endswith("no breakpoint was reached: the program had 10 passes\n")


def test_passes_are_listed_with_loss_norm_and_time(loop):
    path = loop(VALUES)
    screen = step(path, typed="r\nn\npass\npass 0\npass 12\n", folder=path.parent)
    assert screen.count("‖∇‖") == 1
    assert "pass: pass 0 is over, this is pass 1; to start again: autolm step --pass 0" in screen
    assert screen.endswith("pass 12 was not reached: the program had 10 passes\n")
    rows = re.findall(r"^\d +\S+.*$", screen, re.M)
    assert rows[0].split()[:3] == ["0", "25", "30"] and rows[1].split()[0] == "1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pass", "10"], "loop.py: pass 10 was not reached: the program had 10 passes"),
        (
            ["--when", "loss < 0"],
            "loop.py: loss < 0 was not true in any pass: the program had 10 passes",
        ),
        (["--when", "loss <"], "condition of a pass: 'loss <' is not an expression"),
        (["--when", "k", "--pass", "1"], "--pass and --when each choose the pass"),
        (["--lr", "3"], "No such option: --lr"),
    ],
)
def test_a_pass_that_does_not_come_is_one_line(loop, options, message):
    path = loop(VALUES)
    done = subprocess.run(
        [sys.executable, "-m", "autolm", "step", *options, path.name],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        cwd=path.parent,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"autolm: {message}") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("line", ["pass", "pass 3", "until-pass k > 2"])
def test_without_a_program_there_are_no_other_passes(line):
    screen = Session(*the_neuron()).say(line)
    assert "this prompt debugs a single graph, without a program around it" in screen
