import numpy as np
import pytest

from autolm import SGD, Tensor, Value, ops, primitive, scope
from autolm.engine.recording import record_locations
from autolm.lm.tinylm import TinyLM
from autolm.nn import Module
from autolm.testing import (
    GradientError,
    UndecidedWarning,
    Verdict,
    assert_gradients,
    check_gradient,
    check_graph,
)

from .seldom_wrong_operations import product_of_the_first_use
from .wrong_operations import exponential_almost, product_swapped

A = [[1.0, 2.0], [-3.0, 0.5]]


def failure_of(check, *arguments, **options):
    with pytest.raises(GradientError) as caught:
        check(*arguments, **options)
    return caught.value.report.failure


def test_a_function_of_tensors():
    report = check_gradient(lambda x, w: (x @ w).softmax().log(), [0.5, -1.0], A)
    assert report.verdict is Verdict.CORRECT
    assert report.digits > 12


def test_a_function_of_values():
    report = check_gradient(lambda x, y: (x * y + x).tanh() / y, Value(0.5), Value(-0.25))
    assert report.digits > 12


@pytest.mark.parametrize(
    "operation",
    [
        lambda x, y: Value.sum([x, y, x]),
        lambda x, y: Value.dot([x, y], [y, y]),
        lambda x, y: x.maximum(y),
        lambda x, y: x.minimum(y),
        lambda x, y: abs(-x) ** y,
        lambda x, y: (x.exp() + y.sigmoid()).log().sqrt(),
        lambda x, y: x.sin() - y.cos() + x.relu(),
    ],
)
def test_every_operation_on_values(operation):
    assert check_gradient(operation, Value(0.75), Value(1.25)).digits > 12


def test_integers_and_other_things_are_passed_on():
    def loss(logits, targets, scale):
        return ops.cross_entropy(logits, targets=targets) * int(scale)

    assert check_gradient(loss, A, np.array([1, 0]), "2").digits > 12


def test_the_upstream_gradient_may_be_given():
    failure = failure_of(check_gradient, product_swapped, [2.0], [3.0], upstream=[10.0])
    assert [(row.analytic, row.numeric) for row in failure.rows] == [(20, 30), (30, 20)]


def test_an_upstream_gradient_of_another_shape_is_an_error():
    with pytest.raises(ValueError, match=r"upstream is \(3,\), and the result \(2,\)"):
        check_gradient(lambda x: x * 2, [1.0, 2.0], upstream=[1.0, 2.0, 3.0])


@pytest.mark.parametrize("f", [ops.relu, ops.abs, lambda x: x.relu() + x.abs()])
def test_at_a_kink_the_convention_is_not_held_for_a_mistake(f):
    assert check_gradient(f, [0.0, 1.0, -1.0]).verdict is Verdict.CORRECT


def test_terms_that_cancel_are_no_false_alarm():
    x = np.linspace(0.1, 3, 5)
    report = check_gradient(lambda x: x.exp() / 3 - x.exp() * (1 / 3), x)
    assert report.verdict is Verdict.CORRECT


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * x.data,
        lambda x: x * Tensor(np.tanh(x.data)),
        lambda x: x * x.detach(),
    ],
)
def test_a_path_outside_of_the_graph_is_found(f):
    assert "outside" not in failure_of(check_gradient, f, [2.0, 3.0]).message
    assert ".detach()" in failure_of(check_gradient, f, [2.0, 3.0]).diagnosis


def test_in_a_function_the_guilty_operation_is_named():
    def f(x):
        return ops.sum(ops.tanh(product_swapped(x, ops.sin(x))))

    failure = failure_of(check_gradient, f, [1.0, 2.0])
    assert "the rule of product_swapped 'product_swapped(x, ops.sin(x))' at" in failure.message
    assert "operands swapped" in failure.diagnosis
    assert "check_gradient(product_swapped, " in failure.program


def test_what_is_no_function_of_nodes_is_an_error():
    with pytest.raises(TypeError, match="must return a Tensor or a Value, not float"):
        check_gradient(lambda x: 1.0, [1.0])
    with pytest.raises(TypeError, match="nothing to differentiate"):
        check_gradient(lambda x: x, "text")


def test_a_graph_of_right_rules_is_right():
    x, w = Tensor(A), Tensor(A)
    assert check_graph(((x @ w).tanh() * x).mean()).digits > 12


def test_single_precision_beside_double_is_not_blamed_for_its_rounding():
    x = Tensor([1.0, 4.0, 1.0, 3.0], dtype="float32")
    for y in (ops.rms_norm(x, np.ones(4)), x.exp() * np.full(4, 0.1), x.astype(float).tanh()):
        assert y.dtype == float
        assert check_graph(y.sum()).verdict is Verdict.CORRECT


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_right_rule_is_not_blamed_for_parameters_that_moved_since(dtype):
    w, x = (Tensor([1.0, 2.0], name=name, dtype=dtype) for name in "wx")
    loss = ops.rms_norm(ops.concatenate([w * w, w * x]), np.ones(4)).tanh().sum()
    loss.backward()
    assert check_graph(loss).verdict is Verdict.CORRECT
    SGD([w], learning_rate=0.01).step()
    with pytest.warns(UndecidedWarning, match="its operands were changed after it was computed"):
        assert check_graph(loss).verdict is Verdict.UNDECIDED


def test_neither_is_that_of_values():
    w, x = Value(2.0, "w"), Value(3.0)
    loss = Value.dot([w, x], [w, w]) + Value.sum([w, x]) ** 2 + w * w
    w.data = 2.5
    with pytest.warns(UndecidedWarning, match="its operands were changed after it was computed"):
        assert check_graph(loss).verdict is Verdict.UNDECIDED


def test_the_guilty_node_is_named_with_its_operation_scope_and_location():
    x = Tensor([1.0, 2.0, 3.0], name="x")
    with record_locations(), scope("head"):
        y = exponential_almost(ops.sin(x))
    failure = failure_of(check_graph, ops.sum(y * x))
    assert failure.node is y
    assert "the rule of exponential_almost in head at" in failure.message
    assert "test_gradient_checks.py:" in failure.message
    assert "factor of 1.000001" in failure.diagnosis


def test_a_rule_that_fails_only_at_this_data_is_found():
    @primitive
    def mostly_square(a):
        return a * a, lambda grad: (np.where(a == 17.0, 0, 2 * a * grad),)

    x = Tensor([1.0, 17.0])
    failure = failure_of(check_graph, mostly_square(x).sum())
    assert [row.index for row in failure.rows] == [(1,)]


def test_a_wrong_rule_in_single_precision_is_found_to_a_millionth():
    x = Tensor(np.array([1.0, 2.0], dtype=np.float32))
    assert check_graph(ops.exp(x).sum()).verdict is Verdict.CORRECT
    assert "factor" in failure_of(check_graph, exponential_almost(x).sum()).diagnosis


def test_a_wrong_element_in_a_large_graph_is_located():
    @primitive
    def spoiled(a):
        factor = np.ones(a.shape)
        factor[7, 3] = 1.5
        return a * a, lambda grad: (2 * a * grad * factor,)

    x = Tensor(np.linspace(1, 2, 400).reshape(20, 20))
    assert [row.index for row in failure_of(check_graph, spoiled(x).sum()).rows] == [(7, 3)]


def test_shares_of_a_repeated_operand_may_be_split_in_any_way():
    @primitive
    def all_to_the_last(a, b):
        return a * b, lambda grad: (0 * grad, 2 * grad * a) if a is b else (grad * b, grad * a)

    x = Tensor([2.0, 3.0])
    assert check_graph(all_to_the_last(x, x).sum()).verdict is Verdict.CORRECT


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_operand_that_counts_once_where_it_occurs_twice_is_shown_in_a_program(dtype):
    x = Tensor(np.array([2.0, 3.0], dtype=dtype))
    failure = failure_of(check_graph, product_of_the_first_use(x, x).sum())
    assert "wrong only where an operand occurs twice" in failure.diagnosis
    with pytest.raises(GradientError):
        exec(failure.program, {})


@pytest.mark.parametrize(
    ("root", "error", "words"),
    [
        (3.0, TypeError, "root must be a Tensor or a Value, not 3.0"),
        (Tensor([1.0]), ValueError, "no operation under this node"),
    ],
)
def test_what_has_no_rule_to_check_is_an_error(root, error, words):
    with pytest.raises(error, match=words):
        check_graph(root)


def test_an_upstream_gradient_that_does_not_fit_a_primitive_is_an_error():
    with pytest.raises(ValueError, match=r"exp: upstream is \(1,\), and the result \(2,\)"):
        check_gradient(ops.exp, [1.0, 2.0], upstream=[1.0])


def test_mistakes_that_cancel_in_a_function_are_found_in_its_nodes():
    def f(x):
        return product_swapped(x, x + 1).sum()

    assert check_gradient(f, [2.0, 3.0]).verdict is Verdict.CORRECT
    assert "the rule of product_swapped" in failure_of(assert_gradients, f, [2.0, 3.0]).message


def test_a_call_that_a_primitive_does_not_take_is_an_error():
    with pytest.raises(
        TypeError, match="mul cannot be called so: missing a required argument: 'b'"
    ):
        check_gradient(ops.mul, [1.0, 2.0])


def test_a_class_is_not_taken_for_a_module():
    with pytest.raises(TypeError, match="Scaled is a class; give it an instance"):
        assert_gradients(Scaled, A)


class Scaled(Module):
    def __init__(self, operation, dtype=float):
        self.weight = Tensor(np.array([0.5, -1.5], dtype=dtype))
        self.operation = operation

    def forward(self, x):
        return self.operation(x, self.weight).tanh()


def test_a_module_in_one_line():
    assert_gradients(Scaled(ops.mul), A)


def test_a_module_with_a_wrong_operation_names_parameter_and_operation():
    failure = failure_of(assert_gradients, Scaled(product_swapped), A)
    assert {row.operand for row in failure.rows} == {"weight", "input 0"}
    assert "product_swapped" in failure.message


def test_a_module_in_single_precision():
    assert_gradients(Scaled(ops.mul, np.float32), np.array(A, dtype=np.float32))
    failure_of(assert_gradients, Scaled(product_swapped, np.float32), np.array(A, np.float32))


def test_gradients_of_a_module_are_left_as_they_were():
    module = Scaled(ops.mul)
    module.weight.grad = np.array([7.0, 8.0])
    data = module.weight.data.copy()
    assert_gradients(module, A)
    assert module.weight.grad.tolist() == [7, 8]
    assert module.weight.data.tolist() == data.tolist()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_whole_language_model(dtype):
    model = TinyLM(7, 8, 2, 12, 1, norm="pre", dtype=dtype, seed=0)
    token_ids = np.array([[1, 2, 3, 0], [4, 5, 6, 1]])
    report = assert_gradients(Loss(model), token_ids, np.roll(token_ids, -1, axis=1))
    assert report.verdict is Verdict.CORRECT


class Loss(Module):
    def __init__(self, model):
        self.model = model

    def forward(self, token_ids, target_ids):
        return self.model.compute_loss(token_ids, target_ids)
