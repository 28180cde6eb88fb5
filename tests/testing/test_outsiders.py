"""Rules that were written without knowledge of the laws: how many are found, and none accused."""

import itertools

import pytest

from autolm.testing import GradientError, Verdict

pytest.importorskip("scipy")

from .outsiders.figures import check
from .outsiders.right_rules import RIGHT
from .outsiders.wrong_rules import WRONG

EXAMPLES = 12


def test_there_are_enough_of_them():
    assert len(WRONG) > 50
    assert len(RIGHT) > 50


@pytest.mark.table(5)
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_rule_is_not_accused(name):
    report, _ = check(RIGHT[name], EXAMPLES)
    assert report.verdict is Verdict.CORRECT, report


@pytest.mark.table(5)
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_found(name):
    report, _ = check(WRONG[name], EXAMPLES)
    assert report.verdict is Verdict.WRONG, report


@pytest.fixture(scope="module")
def functions():
    pytest.importorskip("torch")
    from .outsiders import right_functions, wrong_functions

    return {"right": right_functions.RIGHT, "wrong": wrong_functions.WRONG}


def is_accused(function, examples):
    from autolm.testing.torch import check_function

    try:
        check_function(function, *examples)
    except GradientError:
        return True
    return False


def test_no_right_function_is_accused(functions, rows_of):
    rows = rows_of(list(functions["right"].items()), 4)
    assert [name for name, (F, examples, _) in rows if is_accused(F, examples)] == []


def test_every_wrong_function_is_found(functions, rows_of):
    rows = rows_of(list(functions["wrong"].items()), 4)
    assert [name for name, (F, examples, _) in rows if not is_accused(F, examples)] == []


@pytest.mark.parametrize("seed", range(8))
def test_a_wrong_slope_in_bfloat16_is_found_with_any_numbers(seed):
    torch = pytest.importorskip("torch")
    from autolm.testing.torch import check_function

    class Tanh(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.tanh(x)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            slope = 1 - torch.tanh(x) ** 2
            return grad * slope * (1.5 if x.dtype == torch.bfloat16 else 1)

    torch.manual_seed(seed)
    with pytest.raises(GradientError, match="in bfloat16 the gradient of x is"):
        check_function(Tanh, torch.randn(3, 4), laws=["rule", "precision"])


def test_a_budget_of_seconds_buys_more_examples(monkeypatch):
    clock = itertools.count(0.0, 0.01)
    monkeypatch.setattr("autolm.testing.law_runner.time.process_time", lambda: next(clock))
    few, more = (
        check(RIGHT["hyperbolic_tangent"], 2, seconds=seconds)[0] for seconds in (None, 0.5)
    )
    assert more.examples > few.examples
    assert "magnitudes: up to 1e" in more.coverage
