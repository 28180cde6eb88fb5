"""Every program in a report runs as pasted into an empty file, and fails there by itself."""

import functools
import math
import subprocess
import sys

import numpy as np
import pytest

from autolm import primitive
from autolm.ops import Case
from autolm.testing import GradientError, causal, causal_along, check_op
from autolm.testing.source import written_out

FACTOR = 1.5


def scaled_by_global(a):
    return a * FACTOR, lambda grad: (twice(grad),)


def twice(grad):
    return 2 * FACTOR * grad


def scaled(a, *, by):
    return a * by, lambda grad: (grad,)


def sees_ahead(a):
    return np.cumsum(a[::-1], axis=0)[::-1], lambda grad: (np.cumsum(grad, axis=0),)


def local_with_a_closure():
    table, offset = np.array([1.0, 2.0]), math.inf

    @primitive(cases=(Case(((2,),)),))
    def local(a):
        return np.minimum(a.real, offset) * 0 + a * table, lambda grad: (grad,)

    return local


def local_without_a_decorator():
    def local(a):
        return a * a, lambda grad: (a * grad,)

    return local


def picky(a):
    assert np.all((a.real > 1) & (a.real < 1.01)), "outside of the domain"
    return a * a, lambda grad: (a * grad,)


def without_its_own_use(a, b):
    return a * b, lambda grad: (grad * b, grad * a * (0 if a is b else 1))


OPERATIONS = {
    "a function that mentions others": (scaled_by_global, {}),
    "a function with attributes": (scaled, {"attributes": {"by": 2.0}}),
    "an attribute that is not finite": (
        lambda a, *, top: (np.where(a.real < top, a, 0), lambda grad: (2 * grad,)),
        {"attributes": {"top": math.inf}},
    ),
    "a partial function": (functools.partial(scaled, by=2.0), {}),
    "a function with a closure": (local_with_a_closure(), {}),
    "a local function": (local_without_a_decorator(), {}),
    "a lambda": (lambda a: (np.log(a), lambda grad: (grad * a,)), {"domain": (0, math.inf)}),
    "a domain": (picky, {"domain": (1, 1.01)}),
    "an operand that occurs twice": (without_its_own_use, {}),
    "a broken relation": (sees_ahead, {"relations": [causal_along(0)], "cases": [Case(((3,),))]}),
    "another relation": (sees_ahead, {"relations": [causal], "cases": [Case(((3, 2),))]}),
}


def program_of(name):
    operation, told = OPERATIONS[name]
    with pytest.raises(GradientError) as caught:
        check_op(operation, max_examples=4, **told)
    return caught.value.report.failure.program


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_program_fails_by_itself(name):
    with pytest.raises(GradientError):
        exec(compile(program_of(name), "pasted", "exec"), {})


def test_the_program_fails_in_a_process_of_its_own(tmp_path):
    path = tmp_path / "pasted.py"
    path.write_text(program_of("a function with a closure"), encoding="utf-8")
    ended = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "GradientError: the gradient of local is WRONG" in ended.stderr


def test_the_program_tells_of_a_domain_that_the_record_does_not_know():
    assert "picky.domain = ((1.0, 1.01),)" in program_of("a domain").splitlines()


def test_what_cannot_be_defined_anew_has_no_program():
    class Operation:
        def __call__(self, a):
            return a * 2, lambda grad: (grad,)

    with pytest.raises(GradientError) as caught:
        check_op(Operation(), max_examples=4)
    assert caught.value.report.failure.program == ""


def test_a_function_that_holds_what_does_not_print_is_not_written_out():
    held = object()
    assert written_out("f", lambda a: (a, held)) is None
