"""Every program in a report runs as pasted into an empty file, and fails there by itself."""

import functools
import math
import runpy
import types

import numpy as np
import pytest

from autolm import primitive
from autolm.ops import Case
from autolm.testing import GradientError, causal, causal_along, check_op

FACTOR = 1.5


def scaled_by_global(a):
    return a * FACTOR, lambda grad: (twice(grad),)


def twice(grad):
    return 2 * FACTOR * grad


def scaled(a, *, by):
    return a * by, lambda grad: (grad,)


def below(a, *, top):
    return np.where(a.real < top, a, 0), lambda grad: (2 * grad,)


@primitive(cases=(Case(((2,),)),))
def recorded(a):
    return a * a, lambda grad: (a * grad,)


def sees_ahead(a):
    return np.cumsum(a[::-1], axis=0)[::-1], lambda grad: (np.cumsum(grad, axis=0),)


def picky(a):
    assert np.all((a.real > 1) & (a.real < 1.01)), "outside of the domain"
    return a * a, lambda grad: (a * grad,)


def without_its_own_use(a, b):
    return a * b, lambda grad: (grad * b, grad * a * (0 if a is b else 1))


OPERATIONS = {
    "a function that mentions others": (scaled_by_global, {}),
    "a function with attributes": (scaled, {"attributes": {"by": 2.0}}),
    "an attribute that is not finite": (below, {"attributes": {"top": math.inf}}),
    "a primitive": (recorded, {}),
    "a domain": (picky, {"domain": (1, 1.01)}),
    "an operand that occurs twice": (without_its_own_use, {}),
    "a broken relation": (sees_ahead, {"relations": [causal_along(0)], "cases": [Case(((3,),))]}),
    "another relation": (sees_ahead, {"relations": [causal], "cases": [Case(((3, 2),))]}),
}


def program_of(name):
    operation, options = OPERATIONS[name]
    with pytest.raises(GradientError) as caught:
        check_op(operation, max_examples=4, **options)
    return caught.value.report.failure.program


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_program_fails_by_itself(name):
    with pytest.raises(GradientError):
        exec(compile(program_of(name), "pasted", "exec"), {})


FILE = """
import numpy as np

def halved(a):
    return a * a, lambda grad: (a * grad,)
"""


def test_a_file_outside_of_packages_is_run_for_its_operation(tmp_path):
    path = tmp_path / "kernel.py"
    path.write_text(FILE, encoding="utf-8")
    with pytest.raises(GradientError) as caught:
        check_op(runpy.run_path(str(path))["halved"], max_examples=4)
    program = caught.value.report.failure.program
    assert f"halved = runpy.run_path({str(path)!r})['halved']" in program.splitlines()
    with pytest.raises(GradientError):
        exec(program, {})


def test_the_program_tells_of_a_domain_that_the_record_does_not_know():
    assert "picky.domain = ((1.0, 1.01),)" in program_of("a domain").splitlines()


class Callable:
    def __call__(self, a):
        return a * 2, lambda grad: (grad,)


def local(a):
    return a * 2, lambda grad: (grad,)


OUT_OF_REACH = {
    "a lambda": lambda a: (a * 2, lambda grad: (grad,)),
    "an object": Callable(),
    "a function of another name": types.FunctionType(local.__code__, globals(), "other"),
    "a partial function": functools.partial(scaled, by=2.0),
}


@pytest.mark.parametrize("operation", OUT_OF_REACH.values(), ids=OUT_OF_REACH)
def test_an_operation_that_no_program_can_get_has_no_program(operation):
    with pytest.raises(GradientError) as caught:
        check_op(operation, max_examples=4)
    assert caught.value.report.failure.program == ""
