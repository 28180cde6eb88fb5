"""Within autolm nan and inf travel in silence; outside, NumPy's warnings are as they were."""

import warnings

import numpy as np
import pytest

from autolm import Tensor, primitive
from autolm.nn import Module
from autolm.tensor.quiet import quiet


def warns():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        np.float64(1) / np.float64(0)
    return bool(caught)


@pytest.mark.parametrize("levels", [1, 3])
def test_warnings_are_off_inside_and_on_again_after_an_error(levels):
    def down(level):
        with quiet():
            assert not warns()
            if level:
                down(level - 1)
                assert not warns()
                return
            raise KeyError

    with pytest.raises(KeyError):
        down(levels)
    assert warns()


def test_interrupt_when_warnings_have_come_back_leaves_nobody_thinking_that_all_is_quiet(
    monkeypatch,
):
    class Interrupted(np.errstate):
        def __exit__(self, *exception):
            super().__exit__(*exception)
            raise KeyboardInterrupt

    monkeypatch.setattr(np, "errstate", Interrupted)
    with pytest.raises(KeyboardInterrupt), quiet():
        pass
    monkeypatch.undo()
    with quiet():
        assert not warns()
    assert warns()


@pytest.mark.filterwarnings("error")
def test_operations_rules_and_modules_do_not_warn_of_what_is_not_finite():
    class Reciprocal(Module):
        def forward(self, x):
            assert not warns()
            return (1 / x).sum()

    x = Tensor([0.0, 1.0])
    loss = Reciprocal()(x)
    loss.backward()
    assert (loss.item(), x.grad.tolist()) == (np.inf, [-np.inf, -1])
    next(iter((1 / Tensor([0.0])).sum().steps()))
    assert warns()


def test_rules_that_a_user_writes_run_in_silence_too():
    @primitive
    def twice(a):
        def backward(grad):
            assert not warns()
            return (2 * grad,)

        assert not warns()
        return 2 * a, backward

    y = twice(Tensor(1.0))
    y.backward()
    assert [step.index for step in y.steps()] == [0]


def test_steps_where_infinities_meet_do_not_warn_and_leave_warnings_on_between():
    x = Tensor([2.0])
    y = (x * np.inf - x * np.inf).sum()
    for _ in y.steps():
        assert warns()
    assert np.isnan(x.grad).all()
