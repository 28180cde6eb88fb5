"""`autolm step`: of a program and of a trained model; wrong use is one line and exit code 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = ("--kind=lines", "--steps=2", "--d-model=8", "--num-heads=2", "--num-layers=1")
NEURON = ROOT / "demos" / "neuron.py"


def autolm(*arguments, typed=""):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "autolm", *map(str, arguments)],
        input=typed,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    text = folder / "text.txt"
    text.write_text("a cat sat\na dog ran\n" * 20)
    done = autolm("train", text, *SMALL, "--output", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_program_is_stepped_through():
    done = autolm("step", NEURON, typed="s\nq\n")
    assert done.returncode == 0, done.stderr
    assert "> 1/5  tanh   o = tanh(n)" in done.stdout
    assert "> 2/5  +      n = x1w1x2w2 + b" in done.stdout


def test_the_exit_code_is_that_of_the_program(tmp_path):
    path = tmp_path / "ends.py"
    path.write_text(
        "import sys\nfrom autolm import Value\nx = Value(2.0)\n(x * x).backward()\nsys.exit(3)\n"
    )
    assert autolm("step", path, typed="c\nc\n").returncode == 3


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("q\n", "left before step 1: all gradients and values that were set are restored\n"),
        (
            "set n = 1\nset w1 = 5\nq\n",
            "left before step 1: all gradients and values that were set are restored\n",
        ),
        ("set n = 1\nc\nc\n", "left at the end: the values that were set are kept\n"),
    ],
)
def test_leaving_says_what_becomes_of_what_was_set(typed, left):
    assert autolm("step", NEURON, typed=typed).stdout.endswith(left)


def test_model_is_stepped_through_and_zoomed_into(run):
    typed = "b attention\nc\nw\nzoom 2,0\ns\nq\nwhy blocks.0.attention.W_O\nq\n"
    done = autolm("step", run, "--text", "a cat", typed=typed)
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert shown.startswith("the model reads: a cat\nbackward of loss = ")
    assert ">       blocks.0.attention" in shown
    assert "layers.py:" in shown
    assert "[2,0]) >  2/" in shown
    assert "row 2 ‘␣’" in shown
    assert "W_O.grad = 8×8 ‖" in shown
    assert shown.endswith("all gradients and values that were set are restored\n")


@pytest.mark.parametrize("kind", ["lines", "stream"])
@pytest.mark.parametrize("tokenizer", ["characters", "bpe"])
def test_what_a_model_reads_by_default_fits_into_its_context(tmp_path, kind, tokenizer):
    text = tmp_path / "text.txt"
    text.write_text("고양이가 매트 위에 앉았다.\n" * 300)
    options = [*SMALL[1:], f"--kind={kind}", f"--tokenizer={tokenizer}", "--block-size=9"]
    assert autolm("train", text, *options, "-o", tmp_path / "run").returncode == 0
    assert autolm("step", tmp_path / "run").returncode == 0


def test_attention_of_a_trained_model_opens(run):
    typed = "b attention\nc\nopen\nb weights\nc\nq\nq\n"
    shown = autolm("step", run, "--text", "a cat", typed=typed).stdout
    assert "(bp) backward of attention = " in shown
    assert "weights = softmax(masked_scores, axis=-1)" in shown
    assert shown.endswith("all gradients and values that were set are restored\n")


def test_model_reads_a_line_of_its_validation_text_by_default(run):
    assert autolm("step", run).stdout.startswith("the model reads: a ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody.py"], "autolm: nobody.py: cannot be read: No such file or directory\n"),
        ([NEURON, "--var", "z"], f"autolm: {NEURON} has no variable z\n"),
        ([NEURON, "--text", "a"], f"autolm: --text is for a run, and {NEURON} is not a folder\n"),
    ],
)
def test_wrong_use_of_a_program(arguments, message):
    done = autolm("step", *arguments)
    assert (done.returncode, done.stderr, done.stdout) == (2, message, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--var", "x"], "--var is for a program"), (["--text", "Ω"], "character 'Ω'")],
)
def test_wrong_use_of_a_run(run, arguments, message):
    done = autolm("step", run, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"autolm: {message}")
    assert len(done.stderr.splitlines()) == 1
