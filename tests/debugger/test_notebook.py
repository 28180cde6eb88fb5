"""IPython's magic commands, in a shell of its own."""

import math

import pytest

pytest.importorskip("IPython")

from IPython.core.interactiveshell import InteractiveShell

from autolm import Value, post_mortem

CELL = "x = Value(3.0)\nloss = x * x + x\n"


@pytest.fixture
def shell(monkeypatch):
    """Type lines at every prompt: `shell.typed`."""
    InteractiveShell.clear_instance()
    interactive = InteractiveShell.instance()
    interactive.run_line_magic("load_ext", "autolm")
    interactive.run_cell("from autolm import Value")
    interactive.typed = []
    monkeypatch.setattr("builtins.input", lambda prompt="": interactive.typed.pop(0))
    yield interactive
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(
    ("line", "end", "typed", "gradient"),
    [
        ("", "loss.backward()\n", ["c", "c"], 7.0),
        ("", "loss.backward()\nloss.backward()\n", ["c", "c"], 14.0),
        ("", "loss.backward()\n", ["q"], 0.0),
        ("", "", ["c", "c"], 7.0),
        ("loss", "", ["c", "c"], 7.0),
    ],
)
def test_a_cell_is_stepped_through(shell, capsys, line, end, typed, gradient):
    shell.typed = typed
    shell.run_cell(f"%%step {line}\n{CELL}{end}")
    screen = capsys.readouterr()
    assert screen.out.count("backward of loss = 12") == 1
    assert "Traceback" not in screen.out + screen.err and "Error" not in screen.out
    assert shell.user_ns["x"].grad == gradient and shell.typed == []
    shell.run_cell(CELL + "loss.backward()")  # and later cells are not
    assert shell.user_ns["x"].grad == 7.0


def test_a_graph_is_drawn(shell):
    shell.run_cell(CELL)
    assert "loss" in shell.run_line_magic("autolm", "draw loss").source
    with pytest.raises(
        ValueError, match=r"nobody: the notebook has no Value or Tensor of this name"
    ):
        shell.run_line_magic("autolm", "draw nobody")
    with pytest.raises(ValueError, match="draw"):
        shell.run_line_magic("autolm", "paint")


def test_post_mortem_opens_where_a_nan_was_born(monkeypatch, capsys):
    typed = ["p node.op.name", "q"]
    monkeypatch.setattr("builtins.input", lambda prompt="": typed.pop(0))
    x = Value(-1.0, name="x")
    y = x.log()
    z = y * 2.0 + x
    z.backward()
    assert math.isnan(z.data)
    post_mortem()
    screen = capsys.readouterr().out
    assert "'log'" in screen and "> 3/3  ln" in screen and "input −1  →  nan" in screen
    assert x.grad == x.grad or math.isnan(x.grad)
