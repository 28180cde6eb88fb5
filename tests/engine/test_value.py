"""Value: what it accepts, IEEE arithmetic, and each operation's gradient by complex step."""

import array
import cmath
import gc
import math
import operator
import statistics
import struct
import sys
import tracemalloc
from collections import defaultdict
from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autolm import Tensor, Value, no_grad, scope
from autolm.engine.value import OPERATIONS as OWN
from autolm.engine.value import operation as define
from autolm.ops import PRIMITIVES
from autolm.ops.error_function import erf as error_function
from autolm.ops.error_function import erfc as complementary_error_function

STEP = 1e-30  # of the complex step: so small that f(x + ih) = f(x) + ih·f'(x) holds to the last bit


def piecewise(function):
    """Make a function that chooses by comparing numbers choose by the real parts."""
    return lambda *args: function(*args, key=lambda z: z.real)


def by_maclaurin(z):
    """Return erf z, for a z of which no power is large."""
    terms = ((-1) ** n * z ** (2 * n + 1) / (math.factorial(n) * (2 * n + 1)) for n in range(30))
    return 2 / math.sqrt(math.pi) * sum(terms)


# name: (on Values, on complex numbers, the interval of each operand)
ANYWHERE, POSITIVE = (-3.0, 3.0), (0.1, 3.0)
OPERATIONS = {
    "add": (operator.add, operator.add, (ANYWHERE, ANYWHERE)),
    "sub": (operator.sub, operator.sub, (ANYWHERE, ANYWHERE)),
    "mul": (operator.mul, operator.mul, (ANYWHERE, ANYWHERE)),
    "div": (operator.truediv, operator.truediv, (ANYWHERE, POSITIVE)),
    "pow": (operator.pow, operator.pow, (POSITIVE, ANYWHERE)),
    "neg": (operator.neg, operator.neg, (ANYWHERE,)),
    "abs": (abs, lambda z: max(z, -z, key=lambda z: z.real), (ANYWHERE,)),
    "exp": (Value.exp, cmath.exp, (ANYWHERE,)),
    "log": (Value.log, cmath.log, (POSITIVE,)),
    "sqrt": (Value.sqrt, cmath.sqrt, (POSITIVE,)),
    "sin": (Value.sin, cmath.sin, (ANYWHERE,)),
    "cos": (Value.cos, cmath.cos, (ANYWHERE,)),
    "tanh": (Value.tanh, cmath.tanh, (ANYWHERE,)),
    "sigmoid": (Value.sigmoid, lambda z: 1 / (1 + cmath.exp(-z)), (ANYWHERE,)),
    "softplus": (Value.softplus, lambda z: cmath.log(1 + cmath.exp(z)), (ANYWHERE,)),
    "erf": (Value.erf, by_maclaurin, ((-1.5, 1.5),)),
    "erfc": (Value.erfc, lambda z: 1 - by_maclaurin(z), ((-1.5, 1.5),)),
    "relu": (Value.relu, lambda z: max(z, 0j, key=lambda z: z.real), (ANYWHERE,)),
    "maximum": (Value.maximum, piecewise(max), (ANYWHERE, ANYWHERE)),
    "minimum": (Value.minimum, piecewise(min), (ANYWHERE, ANYWHERE)),
    "sum": (lambda *v: Value.sum(v), lambda *z: sum(z), (ANYWHERE,) * 3),
    "dot": (lambda *v: Value.dot(v[:2], v[2:]), lambda a, b, c, d: a * c + b * d, (ANYWHERE,) * 4),
}
KINKED = {"abs", "relu", "maximum", "minimum"}


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
def test_gradient_equals_the_complex_step(name, data):
    operation, reference, intervals = OPERATIONS[name]
    point = [data.draw(st.floats(*interval, allow_subnormal=False)) for interval in intervals]
    seed = data.draw(st.floats(-2, 2))
    assume(name not in KINKED or len({0.0, *map(abs, point)}) > len(point))
    values = [Value(x) for x in point]
    y = operation(*values)
    y.backward(seed)
    assert y.data == pytest.approx(reference(*map(complex, point)).real, rel=1e-13, abs=1e-15)
    for i, value in enumerate(values):
        nudged = [complex(x, STEP * (i == j)) for j, x in enumerate(point)]
        slope = reference(*nudged).imag / STEP
        assert value.grad == pytest.approx(seed * slope, rel=1e-11, abs=1e-14)


@given(st.floats(0.2, 3))
def test_one_value_on_both_sides_gets_both_contributions(x):
    for operation, slope in (
        (operator.add, 2.0),
        (operator.sub, 0.0),
        (operator.mul, 2 * x),
        (operator.truediv, 0.0),
        (operator.pow, x**x * (1 + math.log(x))),
        (Value.maximum, 1.0),
        (lambda a, b: Value.dot([a, a], [b, a]), 4 * x),
        (lambda a, b: Value.sum([a, b, a]), 3.0),
    ):
        value = Value(x)
        operation(value, value).backward()
        assert value.grad == pytest.approx(slope, rel=1e-12, abs=1e-12)


# What is a number


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2), np.float32(2), np.int64(2), Fraction(2)])
def test_numbers_become_python_floats(number):
    assert type(Value(number).data) is float
    for result in (Value(3) * number, number * Value(3)):
        assert isinstance(result, Value)
        assert (type(result.data), result.data) == (float, 6.0)


NOT_NUMBERS = [True, np.True_, "2", 2j, None, [2.0]]


@pytest.mark.parametrize("wrong", NOT_NUMBERS, ids=repr)
def test_anything_else_is_a_type_error(wrong):
    with pytest.raises(TypeError, match=f"one int or float is needed, not {type(wrong).__name__}"):
        Value(wrong)
    with pytest.raises(TypeError, match="one int or float is needed"):
        Value(2) + wrong
    with pytest.raises(TypeError, match="one int or float is needed"):
        Value.sum([Value(2), wrong])


@pytest.mark.parametrize("array", [np.ones(3), np.array(2.0)], ids=repr)
def test_array_is_told_where_to_go(array):
    with pytest.raises(TypeError, match="see Tensor"):
        Value(array)
    with pytest.raises(TypeError, match="one int or float is needed, not ndarray"):
        Value.sum([Value(2), array])


@pytest.mark.parametrize(
    "operation",
    [
        *(operator.add, operator.sub, operator.mul, operator.truediv, operator.pow),
        *(Value.maximum, Value.minimum),
    ],
)
def test_operation_with_an_array_is_one_with_each_of_its_elements(operation):
    x, array = Value(2.0), np.array([[1.0, 3.0], [2.0, 0.5]])
    results = operation(x, array)
    assert (type(results), results.shape) == (np.ndarray, (2, 2))
    for result, number in zip(results.flat, array.flat, strict=True):
        expected = operation(x, float(number))
        assert (result.op, result.data) == (expected.op, expected.data)
    Value.sum(results.flat).backward()
    whole = x.grad
    x.grad = None
    Value.sum(operation(x, float(number)) for number in array.flat).backward()
    assert x.grad == whole


def test_function_of_the_class_takes_a_number_or_an_array_in_either_place():
    x = Value(2.0)
    assert (Value.maximum(3, x).data, Value.minimum(3, x).data) == (3.0, 2.0)
    assert Value.exp(np.float64(0)).data == Value.exp(0).data == 1.0
    assert [y.data for y in Value.maximum(np.array([1.0, 3.0]), x)] == [2.0, 3.0]
    for wrong in ("2", None, [2.0]):
        for call in (Value.exp, lambda a: Value.maximum(a, x), lambda a: Value.maximum(x, a)):
            with pytest.raises(TypeError, match="one int or float is needed"):
                call(wrong)


def test_array_on_the_left_has_each_of_its_elements_on_the_left():
    results = np.array([6.0, 3.0]) / Value(3.0)
    assert [result.data for result in results] == [2.0, 1.0]


def test_tensor_and_value_do_not_mix():
    with pytest.raises(TypeError, match="one int or float is needed, not Tensor"):
        Value(2.0) * Tensor([1.0, 2.0])
    with pytest.raises(TypeError, match=r"Value, a single number; use its \.data"):
        Tensor([1.0, 2.0]) * Value(2.0)


@given(st.floats(-3, 3), st.floats(0.5, 3))
def test_numbers_may_stand_on_either_side(a, b):
    for operation in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow):
        both = operation(Value(b), Value(a or 1.0))
        assert operation(Value(b), a or 1.0).data == both.data
        assert operation(b, Value(a or 1.0)).data == both.data


def test_builtin_sum_works():
    values = [Value(1), Value(2), Value(3)]
    total = sum(values)
    total.backward()
    assert total.data == 6.0
    assert [value.grad for value in values] == [1.0, 1.0, 1.0]


# IEEE arithmetic: nothing raises

ANY_FLOAT = st.floats() | st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 3.0, -3.0])


@pytest.mark.parametrize(
    ("operation", "reference"),
    [
        (Value.silu, lambda z: z / (1 + cmath.exp(-z))),
        (Value.gelu, lambda z: z * (1 + by_maclaurin(z / math.sqrt(2))) / 2),
        (Value.leaky_relu, lambda z: z if z.real > 0 else z / 100),
        (lambda x: x.leaky_relu(0.25), lambda z: z if z.real > 0 else z / 4),
    ],
)
@given(st.floats(-2, 2).filter(bool))
def test_composed_ones_give_the_result_and_slope_of_their_formula(operation, reference, number):
    x = Value(number)
    y = operation(x)
    y.backward()
    expected = reference(complex(number, STEP))
    assert y.data == pytest.approx(expected.real, rel=1e-12, abs=1e-15)
    assert x.grad == pytest.approx(expected.imag / STEP, rel=1e-12, abs=1e-15)


ON_NUMPY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "pow": np.power,
    "neg": np.negative,
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "softplus": lambda a: np.logaddexp(0.0, a),
    "erf": lambda a: error_function(np.asarray(a, np.longdouble)),
    "erfc": lambda a: complementary_error_function(np.asarray(a, np.longdouble)),
    "relu": lambda a: np.maximum(a, 0.0),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "sum": lambda a, b, c: np.float64(0) + a + b + c,
    "dot": lambda a, b, c, d: a * c + b * d,
}


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
def test_any_float_gives_what_ieee_says_and_backward_never_raises(name, data):
    operation, _, intervals = OPERATIONS[name]
    point = [data.draw(ANY_FLOAT) for _ in intervals]
    if name == "pow":
        assume(point[0] != -math.inf)  # there C's pow is inf, and NumPy's nan on some processors
    y = operation(*map(Value, point))
    with np.errstate(all="ignore"):
        expected = float(ON_NUMPY[name](*map(np.float64, point)))
    assert y.data == pytest.approx(expected, rel=1e-13, abs=1e-300, nan_ok=True)
    y.backward()
    assert all(type(value.grad) is float for value in y.parents)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (lambda: Value(1) / 0, inf),
        (lambda: Value(1) / -0.0, -inf),
        (lambda: Value(0) / 0, nan),
        (lambda: 1e308 * Value(10), inf),
        (lambda: Value(0).log(), -inf),
        (lambda: Value(-1).log(), nan),
        (lambda: Value(-1).sqrt(), nan),
        (lambda: Value(1000).exp(), inf),
        (lambda: Value(-1000).exp(), 0.0),
        (lambda: Value(0) ** 0, 1.0),
        (lambda: Value(0) ** -1, inf),
        (lambda: Value(-0.0) ** -1, -inf),
        (lambda: Value(-8) ** (1 / 3), nan),
        (lambda: Value(-10) ** 309, -inf),
        (lambda: Value(10) ** 309, inf),
        (lambda: Value(inf).sin(), nan),
        (lambda: Value(nan).relu(), nan),
        (lambda: Value(1).maximum(nan), nan),
        (lambda: Value(-1000).sigmoid(), 0.0),
        (lambda: Value(1000).sigmoid(), 1.0),
        (lambda: Value(-1000).softplus(), 0.0),
        (lambda: Value(1000).softplus(), 1000.0),
        (lambda: Value(-inf).softplus(), 0.0),
        (lambda: Value(inf).softplus(), inf),
        (lambda: Value(inf).erf(), 1.0),
    ],
)
def test_where_python_raises_ieee_has_a_value(result, expected):
    assert result().data == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("operation", "at", "slopes"),
    [
        (Value.relu, (0,), (0.0,)),
        (Value.abs, (0,), (0.0,)),
        (Value.abs, (-0.0,), (0.0,)),
        (Value.sqrt, (0,), (inf,)),
        (Value.log, (0,), (inf,)),
        (Value.maximum, (2, 2), (0.5, 0.5)),
        (Value.minimum, (2, 2), (0.5, 0.5)),
        (operator.pow, (0, 0), (0.0, 0.0)),
        (operator.pow, (0, 1), (1.0, 0.0)),
        (operator.pow, (0, 2), (0.0, 0.0)),
        (operator.pow, (-3, 2), (-6.0, nan)),
        (operator.truediv, (1, 0), (inf, -inf)),
        (Value.sigmoid, (1000,), (0.0,)),
        (Value.sigmoid, (-1000,), (0.0,)),
        (Value.tanh, (1000,), (0.0,)),
        (Value.softplus, (1000,), (1.0,)),
        (Value.softplus, (-1000,), (0.0,)),
        (Value.softplus, (0,), (0.5,)),
        (Value.erf, (1e200,), (0.0,)),
    ],
)
def test_slope_at_a_kink_or_an_extreme_is_the_convention(operation, at, slopes):
    values = [Value(x) for x in at]
    operation(*values).backward()
    assert [value.grad for value in values] == pytest.approx(slopes, nan_ok=True)


# n-ary operations


def test_sum_and_dot_are_single_nodes():
    xs, ys = [Value(1), Value(2)], [Value(3), Value(4)]
    assert Value.sum(xs).parents == tuple(xs)
    assert Value.dot(xs, ys).parents == (*xs, *ys)
    assert (Value.sum(xs).data, Value.dot(xs, ys).data) == (3.0, 11.0)


def test_sum_and_dot_take_iterators_and_numbers():
    x = Value(2)
    y = Value.sum(x for _ in range(3)) + Value.dot(iter([x, 5]), [1, x])
    y.backward()
    assert (y.data, x.grad) == (18.0, 9.0)


def test_sum_of_nothing_is_a_leaf():
    for make in (lambda: Value.sum([]), lambda: Value.dot([], [])):
        results = []
        for walk in (Value.backward, lambda root: list(root.steps())):
            zero, x = make(), Value(3.0)
            for _ in range(2):
                walk(zero * x)
            results.append((zero.data, zero.grad, x.grad, zero.parents))
        assert results == [(0.0, 6.0, 0.0, ())] * 2
    with no_grad():
        assert not Value.sum([]).requires_grad


def test_dot_of_different_lengths_is_an_error():
    with pytest.raises(ValueError, match="dot: 2 and 1 numbers do not pair up"):
        Value.dot([1, 2], [3])


# The rest of a Value


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_has_a_complete_record(name):
    operation, _, intervals = OPERATIONS[name]
    y = operation(*[Value(1)] * len(intervals))
    assert y.op.name == name
    assert y.op.symbol and y.op.formula
    assert len(y.op.rule) == {"sum": 1, "dot": 2}.get(name, len(intervals))
    assert all(y.op.rule)


def test_name_labels_a_value():
    assert Value(2, "x").name == Value(2, name="x").name == "x"


def test_name_of_one_node_is_not_that_of_another_of_its_scope():
    with scope("neuron"):
        x, y = Value(2), Value(3)
    x.name = "x"
    assert [(node.name, node.scope) for node in (x, y)] == [("x", "neuron"), ("", "neuron")]


@pytest.mark.parametrize("name", [(), (Value(1.0),), None, 3])
def test_name_that_is_no_text_is_refused(name):
    message = r"^Value: name must be a str, not a .*operations record them"
    with pytest.raises(TypeError, match=message):
        Value(2.0, name)
    x = Value(2.0)
    with pytest.raises(TypeError, match=message):
        x.name = name
    assert x.name == ""


@pytest.mark.parametrize(
    "wrong", ["1.5", b"1", 1j, np.complex128(1), np.array(1j), [1.0], np.ones(1)]
)
def test_gradient_that_is_no_real_number_is_refused(wrong):
    x = Value(2.0)
    with pytest.raises(TypeError, match=r"^the gradient must be one real number, not"):
        x.grad = wrong
    with pytest.raises(TypeError, match=r"^the gradient must be one real number, not"):
        (x * 3).backward(wrong)
    assert not x.has_grad


@pytest.mark.parametrize(
    "number", [2, 2.0, np.float32(2), np.int64(2), np.array(2), Fraction(2), Value(2.0)]
)
def test_gradient_may_be_any_real_number(number):
    x = Value(2.0)
    x.grad = number
    assert (x.grad, type(x.grad)) == (2.0, float)


def test_gradient_reads_zero_before_it_is_computed():
    x = Value(2)
    assert (x.grad, x.has_grad) == (0.0, False)
    x.grad = 0
    assert (x.grad, x.has_grad) == (0.0, True)
    x.grad = None
    assert not x.has_grad


def test_constants_get_no_gradient():
    x, constant = Value(2), Value(3, requires_grad=False)
    (x * constant).backward()
    assert (x.grad, constant.has_grad) == (3.0, False)


DETACHING = {
    "float": float,
    "complex": complex,
    "%": lambda v: "%.2f" % v,  # noqa: UP031
    "math": math.sqrt,
    "math.fsum": lambda v: math.fsum([v, v]),
    "fmean": lambda v: statistics.fmean([v, 1.0]),
    "array.array": lambda v: array.array("d", [v]),
    "np.array": lambda v: np.array([v, v], dtype=float),
    "astype": lambda v: np.array([v, v]).astype(float),
    "np.fromiter": lambda v: np.fromiter([v], float),
    "np.float64": np.float64,
    "setitem": lambda v: np.ones(2).__setitem__(0, v),
    "np.random": lambda v: np.random.default_rng(0).normal(v),
    "initial": lambda v: np.sum([1.0, 2.0], initial=v),
}


@pytest.mark.parametrize("convert", DETACHING.values(), ids=DETACHING.keys())
@pytest.mark.parametrize(
    "make", [lambda: Value(2.0), lambda: Value(2.0) * 3], ids=["leaf", "result"]
)
def test_a_value_that_requires_a_gradient_is_converted_to_no_float_in_passing(make, convert):
    with pytest.raises(TypeError, match=r"does not become a float by itself: use v\.data"):
        convert(make())
    convert(Value(2.0, requires_grad=False))
    with no_grad():
        convert(make())


def test_function_of_numpys_that_converts_its_results_does_not_detach_values():
    x = Value(2.0)
    with pytest.raises(TypeError, match=r"use v\.data"):
        np.vectorize(lambda a: a * x, otypes=[float])([1.0, 2.0])
    assert [type(y) for y in np.vectorize(lambda a: a * x)([1.0, 2.0])] == [Value, Value]


def test_a_gradient_may_be_a_value():
    x = Value(2.0)
    (x * x).backward(Value(3.0) * 2)
    assert x.grad == 24.0


def test_value_reads_as_a_number():
    x = Value(2.5)
    x.backward()
    assert f"{x:.3f}" == "2.500"
    assert repr(x) == "Value(data=2.5, grad=1)"
    assert repr(Value(2.5, "x").tanh()) == "Value(data=0.986614, grad=0, op=tanh)"
    assert repr(Value(2.5, "x")) == "Value(data=2.5, grad=0, name='x')"
    assert f"{x:.2f} {x:5.1f}" == "2.50   2.5"
    assert f"{x}" == str(x) == repr(x)


def test_data_changed_after_use_does_not_change_the_gradient():
    x = Value(2)
    y = x * x
    x.data = 100.0
    y.backward()
    assert x.grad == 4.0


# How an operation is written


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
def test_recorded_result_is_that_of_the_definition_bit_for_bit(name, data):
    operation, _, intervals = OPERATIONS[name]
    point = [data.draw(ANY_FLOAT) for _ in intervals]
    y = operation(*map(Value, point))
    defined, _ = y.op.at(y.operands[len(y.parents) :])
    assert struct.pack("d", y.data) == struct.pack("d", defined)


def rules_by_line():
    """Return which rules have code on each line of the engine, past the line of their `def`."""
    lines = defaultdict(set)
    for name, op in OWN.items():
        (rule,) = (c for c in op.forward.__code__.co_consts if hasattr(c, "co_code"))
        for _, _, line in rule.co_lines():
            if line not in (None, rule.co_firstlineno):
                lines[line].add(name)
    return lines


def test_each_rule_has_lines_of_its_own_on_which_nothing_else_stands():
    lines = rules_by_line()
    assert {name for names in lines.values() for name in names} == OWN.keys()
    assert all(len(names) == 1 for names in lines.values())
    for op in OWN.values():
        forward = {line for _, _, line in op.forward.__code__.co_lines()}
        assert not forward & lines.keys()


def test_recording_runs_no_rule_and_a_pass_runs_each_once():
    calls = []

    def traced(frame, event, argument):
        if event == "call" and frame.f_code.co_name == "backward" and "grad" in frame.f_locals:
            calls.append(frame.f_code.co_firstlineno)

    x = Value(0.5)
    sys.setprofile(traced)
    try:
        y = x.tanh() * x.exp()
        recorded = len(calls)
        y.backward()
    finally:
        sys.setprofile(None)
    firsts = [OWN[name].forward.__code__.co_firstlineno for name in ("tanh", "mul", "exp")]
    ran = [sum(first < call < first + 12 for call in calls) for first in firsts]
    assert (recorded, ran) == (0, [1, 1, 1])


def test_operation_is_one_entry_with_a_method_and_a_record():
    for name, op in OWN.items():
        method = getattr(Value, name)
        assert (method.operation, method.__name__, op.name) == (op, name, name)
        assert method.__doc__ == f"Return {op.formula}."
        assert repr(op) == f"<operation {name}: {op.formula}>"
    # The laws of testing prove those that have no line in the table of this file.
    assert OPERATIONS.keys() <= OWN.keys() <= {"dot"} | {op.name for op in PRIMITIVES}


def test_operation_of_the_users_differentiates_as_those_of_value_do():
    @define("erf", "erf a", "ḡ · 2/√π · e^(−a²)")
    def erf(a):
        def backward(grad):
            return (grad * 2 / math.sqrt(math.pi) * math.exp(-a * a),)

        return math.erf(a), backward

    x = Value(0.5)
    y = erf(x) * x
    y.backward()
    h = 1e-6
    slope = ((0.5 + h) * math.erf(0.5 + h) - (0.5 - h) * math.erf(0.5 - h)) / (2 * h)
    assert x.grad == pytest.approx(slope, rel=1e-9)
    assert repr(erf(x)) == "Value(data=0.5205, grad=0, op=erf)"


class SixSlots:
    """An object as lean as a node may be; how many bytes that takes, each Python decides."""

    __slots__ = ("__weakref__", "data", "gradient", "note", "op", "operands", "order")


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (Value, (0.5,)),
        (Value.tanh, (0.5, (None, 0.5), 10**6)),  # its data, its operands, its order
        (lambda x: x * x, (0.5, (None, None, 0.5, 0.5), 10**6)),
    ],
    ids=["leaf", "of one number", "of two"],
)
def test_node_keeps_its_slots_and_numbers_and_nothing_else(make, parts):
    most = sum(map(sys.getsizeof, (SixSlots(), *parts)))
    number = 0.5 if make is Value else Value(0.5)
    created = [None] * 1000
    gc.collect()
    tracemalloc.start()
    try:
        for i in range(len(created)):
            created[i] = make(number)
        allocated, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert allocated / len(created) < most + 4


def test_leaves_of_one_number_are_two_by_equality_and_hash():
    x, y = Value(2.0), Value(2.0)
    assert x == x and x != y and len({x, y, x}) == 2


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
def test_value_compares_with_numbers_and_arrays_as_its_data_does(compare):
    x = Value(2.0)
    array = np.array([1.0, 2.0, 3.0])
    for other in (1, 2.0, Fraction(5, 2), *array, np.float32(2), np.int64(3), np.array(2.0)):
        assert compare(x, other) == compare(2.0, other)
        assert compare(other, x) == compare(other, 2.0)
        assert compare(x, Value(float(other))) == compare(2.0, other)
    assert list(compare(x, array)) == list(compare(2.0, array))
    assert list(compare(array, x)) == list(compare(array, 2.0))


@pytest.mark.parametrize("other", ["2", None, [1.0], 1j])
def test_comparison_with_what_is_no_number_names_both_types(other):
    with pytest.raises(TypeError, match=f"'Value' and '{type(other).__name__}'"):
        _ = Value(2.0) < other


@pytest.mark.parametrize("wrong", [2, 1, "yes", None], ids=repr)
def test_requires_grad_is_true_or_false_and_else_refused(wrong):
    x = Value(2.0)
    with pytest.raises(TypeError, match="Value: requires_grad must be True or False, not"):
        x.requires_grad = wrong
    with pytest.raises(TypeError, match="Value: requires_grad must be True or False, not"):
        Value(2.0, requires_grad=wrong)
    assert x.requires_grad


@pytest.mark.parametrize(
    ("takes", "rule", "words"),
    [
        (3, 3, "f has rules for 3 operands: it may have one, two, or rows"),
        (0, 0, "f has rules for 0 operands"),
        (2, 1, "f takes 2 operands and has rules for 1"),
        (1, 2, "f takes 1 operands and has rules for 2"),
    ],
)
def test_operation_whose_operands_cannot_be_is_refused_where_it_is_written(takes, rule, words):
    f = {0: lambda: 0, 1: lambda a: a, 2: lambda a, b: a, 3: lambda a, b, c: a}[takes]
    f.__name__ = "f"
    with pytest.raises(TypeError, match=f"operation: {words}"):
        define("f", "f(a)", *["ḡ"] * rule)(f)


@pytest.mark.parametrize(
    "arguments", [{"_children": (), "_op": "+"}, {"children": (), "grads": ()}]
)
def test_parents_that_are_told_are_refused_with_the_way_it_is_done_here(arguments):
    with pytest.raises(TypeError, match=r"argument '_?children' \(parents cannot be"):
        Value(2.0, **arguments)


def test_number_too_large_for_a_float_is_one_line():
    x = Value(2.0)
    for make in (lambda: Value(10**400), lambda: x * 10**400):
        with pytest.raises(OverflowError, match="Value: the data, of type int, is too large for"):
            make()
    with pytest.raises(OverflowError, match="Value: the gradient, of type int, is too large for"):
        x.grad = 10**400


@pytest.mark.parametrize("wrong", ["a", 1j, None, [], True, np.ones(2)])
def test_data_that_is_no_real_number_is_refused_and_leaves_the_old(wrong):
    x = Value(2.0)
    with pytest.raises(TypeError, match="one int or float is needed"):
        x.data = wrong
    assert x.data == 2.0


def test_data_that_is_set_becomes_a_python_float():
    x = Value(2.0)
    x.data = np.float32(3)
    assert (type(x.data), type((x * x).data)) == (float, float)
