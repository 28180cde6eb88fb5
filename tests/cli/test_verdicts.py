import io
import re

import pytest
from hypothesis import settings
from rich.console import Console

from autolm.cli.verdicts import show_verdicts

MY_OPS = """
import numpy as np
from autolm import ops, primitive

@primitive
def my_mul(a, b):
    return a * b, lambda grad: (grad * a, grad * b)

@primitive
def my_square(a):
    return a * a, lambda grad: (2 * a * grad,)
"""


@pytest.fixture
def my_ops(tmp_path):
    path = tmp_path / "my_ops.py"
    path.write_text(MY_OPS, encoding="utf-8")
    return path


def run(*names, width=200, **options):
    console = Console(file=io.StringIO(), width=width)
    code = show_verdicts(names, console=console, profile="dev", **options)
    return code, console.file.getvalue()


def test_a_table_of_operations_by_laws():
    code, text = run("mul", "tanh")
    heading, first, second, *_ = text.splitlines()
    assert heading.split()[:4] == ["operation", "rule", "shapes", "layouts"]
    assert first.split()[:4] == ["mul", "✓", "✓", "✓"]
    assert second.split()[:5] == ["tanh", "✓", "✓", "✓", "–"]
    assert code == 0


def test_a_budget_of_seconds_prints_what_was_tried():
    code, text = run("tanh", seconds=0.1)
    assert "tanh was tried at: shapes: three axes " in text
    assert "magnitudes: up to 1e" in text
    assert code == 0


def test_a_narrow_terminal_gets_the_whole_table():
    _, text = run("mul", width=80)
    (row,) = [line for line in text.splitlines() if line.startswith("mul")]
    assert row.split()[1:17] == [*"✓✓✓✓✓✓✓✓✓✓✓✓–✓––"]
    assert max(map(len, text.splitlines())) <= 80


def test_the_primitives_of_a_file_are_checked_and_a_wrong_one_is_reported(my_ops):
    code, text = run(modules=[my_ops])
    assert code == 1
    assert "the gradient of my_mul is WRONG" in text
    assert "\n✗ rule: the backward rule is what the oracle says" in text
    assert "✗ linear:" not in text
    assert "operands swapped" in text
    assert "my_square" in text
    assert "my_square is" not in text


def test_without_hints_a_report_says_where_and_not_why(my_ops):
    code, text = run("my_mul", modules=[my_ops], diagnosis=False)
    assert code == 1
    assert "the gradient of my_mul is WRONG" in text
    assert "backward says" in text
    assert not any(word in text for word in ("swapped", "diagnosis:", "known:", "also broken:"))


def test_one_operation_of_a_file(my_ops):
    code, text = run("my_square", modules=[my_ops])
    assert code == 0
    assert "my_mul" not in text


def test_several_files_are_checked_and_namesakes_are_told_apart(my_ops, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(MY_OPS.replace("my_square", "square"), encoding="utf-8")
    code, text = run(modules=[my_ops, other, my_ops])
    rows = [line for line in text.splitlines() if "✓" in line and "holds" not in line]
    assert code == 1
    assert [re.split(" +[✓✗?○–]", line)[0] for line in rows] == [
        f"my_mul ({my_ops})",
        "my_square",
        f"my_mul ({other})",
        "square",
    ]
    _, text = run(modules=[my_ops, other], drawings=tmp_path / "drawings")
    pictures = [line for line in text.splitlines() if "drawing" in line]
    assert len(set(pictures)) == len(pictures) == 2
    _, text = run("my_mul", "square", modules=[my_ops, other])
    assert "my_square" not in text
    assert text.count("the gradient of my_mul is WRONG") == 2


def test_a_name_given_twice_is_checked_once():
    _, text = run("neg", "neg")
    assert sum(line.startswith("neg") for line in text.splitlines()) == 1


def test_long_names_do_not_cut_the_numbers_off(tmp_path):
    path = tmp_path / "long.py"
    path.write_text(MY_OPS.replace("my_square", "square_" * 12), encoding="utf-8")
    _, text = run("square_" * 12, modules=[path], width=80)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("names", "content", "words"),
    [
        (("qqq",), None, "no operation is called 'qqq'; there are those that `autolm ops` lists"),
        (("MUL",), None, "no operation is called 'MUL'; did you mean mul"),
        (
            ("nope",),
            "from autolm import primitive\n@primitive\ndef same(a): return a, lambda grad: (grad,)",
            "'nope'; there are same",
        ),
        (("soft_max",), None, "'soft_max'; did you mean softmax or log_softmax"),
        ((), "import gone_for_good", r"file\.py:1: ModuleNotFoundError: No module named 'gone_for"),
        (
            (),
            "raise ModuleNotFoundError('gone', name='torch')",
            r"gone: pip install 'autolm\[torch\]'",
        ),
        ((), "\nraise KeyError(1)", r"file\.py:2: KeyError: 1"),
        ((), "def f(:", r"file\.py:1: invalid syntax"),
        ((), "import sys; sys.exit(3)", r"file\.py:1: SystemExit: 3"),
        ((), "x = 1", "defines no primitive"),
        (
            (),
            "from autolm import primitive\n@primitive(domain=(0, 9))\ndef half(a): pass",
            r"half: its domain is \(0, 9\); .* or one for all: domain=\(\(0, 9\),\)",
        ),
        ((), "from autolm.ops import mul", "defines no primitive"),
    ],
)
def test_wrong_use_is_an_error(names, content, words, tmp_path):
    path = tmp_path / "file.py"
    path.write_text(content or "", encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        run(*names, modules=[] if content is None else [path])


@pytest.mark.parametrize("error", [RecursionError("too deep"), SystemExit(3), KeyError("x")])
def test_one_operation_that_cannot_be_checked_loses_no_report(my_ops, monkeypatch, error):
    from autolm.cli import file_checks

    def report_on(subject, real=file_checks.report_on):
        if subject.op.name == "my_mul":
            raise error
        return real(subject)

    monkeypatch.setattr(file_checks, "report_on", report_on)
    code, text = run(modules=[my_ops])
    assert code == 3
    assert f"my_mul is UNDECIDED: the check ended in {type(error).__name__}" in text
    assert "my_square" in text


def test_nothing_is_checked_before_all_is_known_to_be_such_that_it_can(tmp_path, monkeypatch):
    path = tmp_path / "file.py"
    path.write_text(MY_OPS + "\n@primitive\ndef nothing(): return 1, lambda g: ()")
    monkeypatch.setattr("autolm.cli.file_checks.report_on", lambda subject: 1 / 0)
    with pytest.raises(ValueError, match="nothing: it takes no operand"):
        run(modules=[path])


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"gone\.py: there is no such file"):
        run(modules=[tmp_path / "gone.py"])


def test_the_profile_is_as_before():
    before = settings.get_current_profile_name()
    run("neg")
    assert settings.get_current_profile_name() == before


KERNELS = """
import torch

class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, grad):
        x, w = ctx.saved_tensors
        return grad @ w.mT, 2 * (x.mT @ grad)

class Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, table):
        return x.sum() * table["weight"]

    @staticmethod
    def backward(ctx, grad):
        return grad, None
"""
EXAMPLE = """
EXAMPLES = {"Product": (torch.randn(2, 3), torch.randn(3, 4))}
"""


def test_functions_of_pytorch_are_found_in_a_file_with_calls_of_them(tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "kernels.py"
    path.write_text(KERNELS + EXAMPLE, encoding="utf-8")
    code, shown = run(modules=[path])
    assert code == 1
    assert "the gradient of Product is WRONG" in shown
    assert "w: off by a factor of 2" in shown
    assert "Lookup is UNDECIDED: it needs example arguments" in shown
