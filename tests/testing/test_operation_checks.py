import math
import re
import types

import numpy as np
import pytest
from hypothesis import given

from autolm import ops, primitive
from autolm.nn import Module
from autolm.ops.array_operation import Case
from autolm.testing import GradientError, UndecidedWarning, Verdict, calls, check_op
from autolm.testing.law_runner import Status, examine
from autolm.testing.operation_checks import report_on
from autolm.testing.registry import LAWS
from autolm.testing.subject import Subject

from .right_operations import product, softplus
from .wrong_operations import product_swapped


def message_of(op, **options):
    with pytest.raises(GradientError) as caught:
        check_op(op, max_examples=5, **options)
    return str(caught.value)


def in_one_line(text):
    return " ".join(text.split())


def outcomes_of(op, *names):
    """Examine an operation by the laws of these names; by all, if none is named."""
    laws = [law for law in LAWS if law.name in names or not names]
    return {o.law.name: o for o in examine(Subject.of(op), 12, laws)}


def power(a, b):
    y = a**b
    return y, lambda grad: (grad * b * a ** (b - 1), grad * y * np.log(a))


def total(*arrays):
    return sum(arrays), lambda grad: (grad,) * len(arrays)


def outer(a, b):
    return np.outer(a, b), lambda grad: (grad @ b, a @ grad)


PROVED = {
    "a plain function": (lambda a: (a**3, lambda grad: (3 * a**2 * grad,)), {}),
    "a domain per operand": (power, {"domain": [(0, math.inf), (-3, 3)]}),
    "attributes": (
        lambda a, *, by: (a * by, lambda grad: (grad * by,)),
        {"attributes": {"by": 3.0}},
    ),
    "an arity": (total, {"arity": 3}),
    "cases": (outer, {"cases": [Case(((2,), (3,)))]}),
}


@pytest.mark.parametrize(("op", "options"), PROVED.values(), ids=PROVED)
def test_a_right_function_is_proved_as_it_is_declared(op, options):
    assert check_op(op, max_examples=5, **options).digits > 10


def cube_defined_by(definition):
    @primitive(definition=definition)
    def cube(a):
        return a**3, lambda grad: (3 * a**2 * grad,)

    return cube


def with_rule(rule):
    return lambda a, b: (a + b, rule)


def raising(a):
    raise KeyError("weights")


VECTORS = {"cases": [Case(((3,), (3,)))]}
BROKEN = {  # the operation, its declaration, and words of the report
    "one contribution": (with_rule(lambda g: (g,)), VECTORS, "must return a tuple of 2"),
    "no tuple": (with_rule(lambda g: g), VECTORS, "must return a tuple of 2"),
    "a text": (with_rule(lambda g: (g, "1")), VECTORS, "to operand 1 must be an array"),
    "None": (with_rule(lambda g: (g, None)), VECTORS, "to operand 1 must be an array"),
    "another shape": (with_rule(lambda g: (g, np.ones(7))), VECTORS, "does not reduce to (3,)"),
    "a rule that raises": (
        with_rule(lambda g: 1 / 0),
        VECTORS,
        "the backward rule raised ZeroDivisionError",
    ),
    "a forward that raises": (raising, {}, "the forward raised KeyError: 'weights'"),
    "no rule": (lambda a: a * 2, {}, "must return (result, backward)"),
    "a function of Tensors": (lambda a: (a * a).sum(), {}, "there is check_gradient"),
    "shapes that are not found": (
        lambda a: (a.reshape(11), lambda grad: (grad.reshape(a.shape),)),
        {},
        "tell cases=[Case(shapes)]",
    ),
    "another arity": (
        lambda a: (a, lambda grad: (grad,)),
        {"arity": 2},
        "tell arity=, attributes= or cases=",
    ),
    "an unknown attribute": (
        primitive(name="same")(lambda a: (a, lambda grad: (grad,))),
        {"attributes": {"size": 3}},
        "tell arity=, attributes= or cases=",
    ),
    "a condition without a gradient": (
        lambda c, a: (np.where(c > 0, a, 0 * a), lambda g: (None, np.where(c > 0, g, 0))),
        {},
        "not None; send zeros where there is no gradient",
    ),
    "a definition that composes nothing": (
        cube_defined_by(lambda a: a.data**3),
        {},
        "the definition of cube must compose operations on its operands; it returned",
    ),
}


@pytest.mark.parametrize(("op", "options", "words"), BROKEN.values(), ids=BROKEN)
def test_an_operation_that_breaks_the_contract_is_reported(op, options, words):
    text = in_one_line(message_of(op, **options))
    assert " is WRONG" in text
    assert words in text


REFUSED = {  # the operation, the arguments, the error, and its words
    "an inverted domain": (ops.exp, {"domain": (2, 1)}, "domain is (2, 1); it must be (low, high)"),
    "a number for a domain": (ops.exp, {"domain": 3}, "domain is 3; it must be"),
    "too many domains": (ops.exp, {"domain": [(0, 1), (0, 1)]}, "2 domains for 1 operands"),
    "no examples": (ops.exp, {"max_examples": 0}, "exp: max_examples must be at least 1, not 0"),
    "no operands": (ops.exp, {"arity": 0}, "exp: arity must be at least 1, not 0"),
    "a tuple for a case": (
        ops.exp,
        {"cases": [(3, 3)]},
        "cases must be a list of Case; (3, 3) is none",
    ),
    "a text for a relation": (
        ops.exp,
        {"relations": ["causal"]},
        "relations must be a list of Relation; 'causal' is none",
    ),
    "a module": (Module(), {}, "assert_gradients checks those"),
    "a forward without operands": (lambda *, size: size, {}, "takes no operand"),
}


@pytest.mark.parametrize(("op", "options", "words"), REFUSED.values(), ids=REFUSED)
def test_an_invalid_argument_is_an_error(op, options, words):
    with pytest.raises((ValueError, TypeError), match=re.escape(words)):
        check_op(op, **options)


DEFINITIONS = {  # and the words of the outcome
    "another function": (lambda a: a * a * -a, "by its definition"),
    "another gradient": (
        lambda a: a * a * a.detach(),
        "the gradient differs from that of the definition",
    ),
    "right": (lambda a: a * a * a, ""),
}


@pytest.mark.parametrize(("definition", "words"), DEFINITIONS.values(), ids=DEFINITIONS)
def test_a_definition_is_compared_with_the_forward(definition, words):
    outcome = outcomes_of(cube_defined_by(definition), "opens")["opens"]
    assert outcome.status is (Status.BROKEN if words else Status.HOLDS)
    assert words in outcome.reason


def test_laws_that_say_nothing_of_an_operation_do_not_apply():
    outcomes = outcomes_of(softplus, "aliases", "scalar", "opens", "relations")
    assert {outcome.status for outcome in outcomes.values()} == {Status.DOES_NOT_APPLY}


def test_the_message_of_the_error_is_the_report():
    text = message_of(product_swapped)
    assert "the gradient of product_swapped is WRONG" in text
    assert "a      []     2              3          −1" in text
    assert "operands swapped: it receives ḡ · a, expected ḡ · b" in text
    assert "wrong_operations.py:" in text


def test_the_domain_that_is_told_is_kept():
    @primitive
    def picky(a):
        assert np.all((a.real > 1) & (a.real < 2)), "outside of the domain"
        return a * a, lambda grad: (2 * a * grad,)

    laws = [law for law in LAWS if law.name in ("rule", "shapes", "linear")]
    subject = Subject.of(picky, domain=(1, 2))
    assert {o.status for o in examine(subject, 10, laws)} == {Status.HOLDS}


@pytest.mark.parametrize("as_result", [np.asarray, lambda x: float(x) if x.dtype == float else x])
def test_an_operation_that_sums_needs_no_cases(as_result):
    def inner(a, b):
        total = np.asarray((a - b) ** 2).sum()
        slope = 2 * (a - b)
        return as_result(total), lambda grad: (grad * slope, -grad * slope)

    report = check_op(inner, max_examples=30)
    assert report.digits > 10
    assert "never met" not in report.reason


def test_legal_shapes_are_found_and_the_report_names_them():
    def product(a, b):
        return a @ b, lambda grad: (grad @ b.T, a.T @ grad)

    tried, _, left_out = str(check_op(product, max_examples=4)).partition("left out")
    assert "it refuses a number with a number; tried on guessed shapes 2×3 with 3×4" in tried
    assert " 3 with" not in tried  # a vector, for which the rule is not made
    assert "where its forward runs and its rule fails: 3 with 3, " in left_out
    assert "at the first, the backward rule raised ValueError: matmul: " in left_out


def test_sentences_of_a_report_fit_a_terminal_of_80_columns():
    def swapped(a, b):
        return a * b, lambda grad: (grad * a, grad * b)

    op = primitive(rule=("ḡ · b", "ḡ · a"))(swapped)
    with pytest.raises(GradientError) as caught:
        check_op(op, max_examples=4)
    options = str(caught.value).partition("reproduce:")[0].splitlines()[1:]
    assert any(line.strip().startswith("diagnosis: a: operands swapped") for line in options)
    assert all(len(line) <= 80 for line in options)


def test_other_mistakes_are_told_beside_the_diagnosis():
    def doubled_and_overflowing(a):
        return np.log(1 + np.exp(a)), lambda grad: (2 * grad / (1 + np.exp(-a)),)

    text = message_of(doubled_and_overflowing)
    assert "diagnosis: a: off by a factor of 2" in text
    assert "also broken: extremes: the result is" in text


def widened(a):
    return a * np.full(a.shape, 2.0), lambda grad: (2 * grad,)


def test_another_dtype_is_a_note_and_wrong_only_for_an_operation_of_ours():
    report = check_op(widened, max_examples=4)
    assert report.verdict is Verdict.CORRECT
    assert "float32 operands give a float64 result" in report.reason
    ours = types.FunctionType(widened.__code__, globals(), "widened")
    ours.__module__ = "autolm.ops.widened"
    with pytest.raises(GradientError, match="the purity of widened is WRONG"):
        check_op(ours, max_examples=4)


def test_what_is_almost_right_is_not_taken_for_any_mistake_that_is_as_near():
    def exponential(a):
        y = np.exp(a)
        return y, lambda grad: (grad * y * (1 + 5e-9 * np.cos(a)),)

    assert "diagnosis" not in message_of(exponential)


def test_a_forward_beyond_numpy_is_checked_all_the_same():
    erf = np.vectorize(math.erf, otypes=[float])

    def error_function(a):
        y = erf(np.asarray(a, dtype=float)).astype(a.dtype)
        return y, lambda grad: (grad * 2 / math.sqrt(math.pi) * np.exp(-a * a),)

    report = check_op(error_function, max_examples=5)
    assert report.verdict is Verdict.CORRECT
    assert 9 < report.digits < 15


def test_what_cannot_be_decided_is_said():
    rough = np.vectorize(lambda x: math.sin(x) + 1e-6 * math.sin(1e15 * x), otypes=[float])

    def coarse(a):
        y = rough(np.asarray(a, dtype=float)).astype(a.dtype)
        return y, lambda grad: (grad * np.cos(a),)

    with pytest.warns(UndecidedWarning, match=r"rule.*: Ridders is sure of \d digits only"):
        check_op(coarse, max_examples=3)


def test_a_law_that_was_never_exercised_is_said_not_skipped():
    @primitive(kinks="a = 0, or so it says")
    def smooth(a):
        return a * a, lambda grad: (2 * a * grad,)

    report = check_op(smooth, max_examples=12)
    outcome = {o.law.name: o for o in report.outcomes}["kinks"]
    assert (outcome.status, outcome.reason) == (Status.NOT_EXERCISED, "never met: kink")
    assert "not exercised: kinks: never met: kink" in str(report)


def test_what_was_exercised_is_counted():
    outcomes = outcomes_of(product, "shapes", "aliases")
    assert outcomes["shapes"].tally.exercised["stretched axis"] >= 3
    assert outcomes["aliases"].tally.exercised["alias"] >= 3
    assert outcomes_of(ops.maximum, "kinks")["kinks"].tally.exercised["tie"] >= 3
    assert outcomes_of(ops.embedding, "aliases")["aliases"].tally.exercised["repeated index"] >= 3


def test_a_law_that_some_examples_leave_undecided_says_so():
    rough = np.vectorize(lambda x: x + (1e-6 * math.sin(1e15 * x) if x < 2 else 0), otypes=[float])

    def partly_rough(a):
        return rough(np.asarray(a, dtype=float)).astype(a.dtype), lambda grad: (grad,)

    laws = [law for law in LAWS if law.name == "rule"]
    report = report_on(Subject.of(partly_rough), 60, laws)
    assert report.verdict is Verdict.CORRECT
    assert "undecided for some examples: rule: " in str(report)


def test_every_case_is_tried_however_few_the_examples():
    tried = set()

    @primitive(cases=[Case(((n,),), {"shift": shift}) for n in (2, 3) for shift in range(5)])
    def moved(a, *, shift):
        tried.add((a.shape, shift))
        return np.roll(a, shift), lambda grad: (np.roll(grad, -shift),)

    examine(Subject.of(moved), 1, [law for law in LAWS if law.name == "rule"])
    assert len(tried) == 10


def test_a_kink_at_a_generic_number_is_no_false_alarm():
    def hard_sigmoid(a):
        inside = np.abs(a.real) < 2
        slope = np.where(inside, 0.25, 0).astype(a.dtype if a.dtype.kind == "f" else float)
        return np.clip(a.real, -2, 2) * 0.25 + 0.5 + (a - a.real) * slope, lambda g: (g * slope,)

    laws = [law for law in LAWS if law.name in ("rule", "shapes", "linear")]
    assert report_on(Subject.of(hard_sigmoid), 30, laws).verdict is Verdict.CORRECT


@given(calls(ops.div))
def test_calls_are_for_tests_of_ones_own(call):
    a, b = call.inputs
    assert np.allclose(ops.div(a, b).data * b, a)
