"""The pytest plugin: its fixture and marker `autolm`, and its option."""

from pathlib import Path

import pytest

from autolm.cli.command import main

pytest_plugins = "pytester"

DEMOS = Path(__file__).resolve().parents[2] / "demos"
RULE = """
@primitive
def doubled(a):
    return 2 * a, lambda g: (2 * g,)
"""
RULES = """
import numpy as np
import pytest

def square(a):
    return a * a, lambda g: (2 * a * g,)

def cube(a):
    return a**3, lambda g: (2 * a**2 * g,)
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run pytest with the plugin on a test file."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # it may be installed too

    def run(test, *options):
        pytester.makepyfile(RULES + test)
        return pytester.runpytest("-p", "autolm.testing.pytest_plugin", *options)

    return run


def test_a_right_rule_passes_and_a_wrong_one_fails_with_the_report(run):
    result = run("""
def test_square(autolm):
    assert autolm(square).verdict.value == "correct"

def test_cube(autolm):
    autolm(cube)
""")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E*the gradient of cube is WRONG*", "E*off by a factor of *"])
    result.stdout.no_fnmatch_line("*operation_checks.py*")  # no frame of the check


def test_options_come_from_the_call_the_marker_and_the_command_line(run):
    result = run(
        """
import autolm.testing.operation_checks as checks

@pytest.fixture
def options(monkeypatch):
    calls = []
    monkeypatch.setattr(checks, "check_op", lambda op, **options: calls.append(options))
    return calls

@pytest.mark.autolm(max_examples=3, domain=(0, 1))
def test_of_options(options, autolm):
    autolm(square, domain=(1, 2))
    assert options == [{"seconds": 0.5, "max_examples": 3, "domain": (1, 2)}]
""",
        "--autolm-seconds=0.5",
        "--strict-markers",
    )
    result.assert_outcomes(passed=1)


def test_functions_of_pytorch_are_checked_and_skipped_without_their_device(run):
    pytest.importorskip("torch")
    result = run(
        """
import torch

class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return 2 * ctx.saved_tensors[0] * grad

class OnCuda(Square):
    @staticmethod
    def forward(ctx, x):
        raise RuntimeError("x must be a CUDA tensor")

@pytest.mark.autolm(max_examples=2)
def test_square(autolm):
    autolm(Square, torch.ones(2))

@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device")
def test_of_a_kernel(autolm):
    autolm(OnCuda, torch.ones(2))
""",
        "-rs",
    )
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*OnCuda cannot be called*it needs CUDA*"])


def test_the_example_for_github_runs_commands_that_exist(pytester, monkeypatch, capsys):
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((DEMOS / "check_gradients.yml").read_text("utf-8"))
    steps = workflow["jobs"]["check"]["steps"]
    _, check, tests = (step["run"].split() for step in steps if "run" in step)
    package = pytester.mkpydir("my_package")
    (package / "rules.py").write_text(f"from autolm import primitive\n{RULE}", encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        main([word.replace("10", "0") for word in check[3:]])
    assert (check[:3], end.value.code) == (["python", "-m", "autolm"], 0)
    assert "doubled" in capsys.readouterr().out
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("def test_nothing(autolm):\n    pass")
    result = pytester.runpytest("-p", "autolm.testing.pytest_plugin", *tests[1:])
    result.assert_outcomes(passed=1)
