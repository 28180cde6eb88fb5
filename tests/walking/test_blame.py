"""Blame finds the first number that is not finite, in data or gradients, and changes nothing."""

import math

import numpy as np
import pytest

from autolm import Tensor, Value, ops, primitive
from autolm.engine.graph import topological_order
from autolm.engine.recording import record_locations, scope
from autolm.walking import blame_nonfinite

INF = math.inf


def test_where_all_is_finite_nobody_is_blamed() -> None:
    x = Tensor([[1.0, 2.0]], name="x")
    assert blame_nonfinite((x.log() @ x.swapaxes(0, 1)).sum()) is None
    assert blame_nonfinite(Value(2.0).log() * 3) is None


def test_the_first_operation_is_blamed_and_not_those_that_carry_it_on() -> None:
    x = Value(0.0, name="x")
    log = x.log()
    blame = blame_nonfinite((log * 0 + 1).exp())
    assert blame is not None
    assert (blame.node, blame.where, blame.made_by) == (log, "data", log)
    assert (blame.inputs, blame.value, blame.index) == ((0.0,), -INF, ())


def test_zero_times_infinity_is_blamed_on_the_infinity() -> None:
    x = Tensor([1.0, 0.0], name="x")
    inverse = 1 / x
    blame = blame_nonfinite((inverse * [0.0, 0.0]).sum())
    assert blame is not None
    assert blame.node is inverse
    assert (blame.index, blame.value, blame.inputs) == ((1,), INF, (1.0, 0.0))


def test_the_place_in_a_batch_is_told_with_the_numbers_that_met_there() -> None:
    numerators = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    blame = blame_nonfinite((numerators / Tensor([1.0, 1.0, 0.0])).mean())
    assert blame is not None
    assert (blame.index, blame.inputs) == ((0, 2), (3.0, 0.0))
    assert "inputs 3, 0 at [0, 2]  →  inf" in str(blame)


def test_a_product_of_matrices_shows_no_inputs_since_no_single_numbers_met() -> None:
    square = Tensor([[1e200, 1.0], [1.0, 1.0]])
    blame = blame_nonfinite(square @ square)
    assert blame is not None
    assert (blame.index, blame.inputs) == ((0, 0), (None, None))
    assert str(blame) == "matmul\n  result at [0, 0]  →  inf"


def test_a_leaf_that_was_given_nan_is_named() -> None:
    weight = Tensor([[1.0, 2.0], [3.0, math.nan]], name="blocks.0.attention.W_Q")
    blame = blame_nonfinite((Tensor([1.0, 1.0]) @ weight).sum())
    assert blame is not None
    assert (blame.node, blame.made_by, blame.index) == (weight, None, (1, 1))
    assert str(blame) == "blocks.0.attention.W_Q received nan at [1, 1]"


def test_a_leaf_without_a_name_is_a_leaf() -> None:
    assert str(blame_nonfinite(Tensor([INF]).sum())) == "a leaf received inf at [0]"


def test_of_two_faults_the_one_computed_first_is_blamed() -> None:
    x = Value(0.0)
    first, second = x.log(), 1 / x
    for root in (first + second, second.exp() * first):
        blame = blame_nonfinite(root)
        assert blame is not None
        assert blame.node is topological_first(root)


def topological_first(root: Value) -> Value:
    return next(n for n in topological_order(root) if not math.isfinite(n.data))


def test_infinities_that_a_mask_put_and_softmax_took_away_are_innocent() -> None:
    scores = Tensor([[1.0, 2.0], [3.0, 4.0]], name="scores")
    mask = np.array([[False, True], [False, False]])
    weights = ops.softmax(ops.masked_fill(scores, mask=mask, value=-INF))
    assert blame_nonfinite(weights.sum()) is None
    log = weights.log()  # of the weight 0
    blame = blame_nonfinite(log.sum())
    assert blame is not None
    assert (blame.node, blame.index) == (log, (0, 1))


def test_a_gradient_is_blamed_on_the_rule_that_sent_it() -> None:
    x = Tensor([4.0, 0.0], name="x")
    root = x.sqrt()
    blame = blame_nonfinite(root.sum())
    assert blame is not None
    assert (blame.node, blame.where, blame.made_by) == (x, "gradient", root)
    assert (blame.index, blame.value, blame.inputs) == ((1,), INF, (1.0, 0.0))
    assert str(blame) == "backward of sqrt   root\n  upstream 1, input 0 at [1]  →  inf"


def test_a_gradient_of_values_is_blamed_too() -> None:
    x = Value(0.0, name="x")
    blame = blame_nonfinite(x**0.5 * 3)
    assert blame is not None
    assert (blame.where, blame.node, blame.inputs) == ("gradient", x, (3.0, 0.0, 0.5))


def test_contributions_that_are_finite_and_sum_to_infinity_are_found() -> None:
    x = Tensor([0.1], name="x")
    blame = blame_nonfinite((x * 1e308 + x * 1e308).sum())
    assert blame is not None
    assert (blame.node, blame.where, blame.value) == (x, "gradient", INF)


def test_constants_get_no_gradient_and_no_blame() -> None:
    x, zero = Value(2.0, name="x"), Value(0.0, requires_grad=False)
    assert blame_nonfinite(x + zero**0.5) is None


@pytest.mark.parametrize("root_of", [lambda x: x.sqrt().sum(), lambda x: (x * x).sum()])
def test_blaming_changes_no_gradient(root_of) -> None:
    x = Tensor([1.0, 0.0], name="x")
    root = root_of(x)
    root.backward(retain_grads=True)
    x.grad = [5.0, 7.0]
    before = [(n, n.has_grad, np.copy(n.grad)) for n in topological_order(root) if n.has_grad]
    blame_nonfinite(root)
    for node, had, gradient in before:
        assert node.has_grad == had
        np.testing.assert_array_equal(node.grad, gradient)


def test_blaming_leaves_gradients_that_were_not_computed_so() -> None:
    x = Tensor([1.0, 0.0])
    blame_nonfinite((x * x).sum())
    assert not x.has_grad


def test_the_report_names_operation_location_and_scope() -> None:
    x = Tensor([0.0], name="x")
    with record_locations(), scope("blocks.1.attention"):
        log = x.log()
    log.name = "entropy"
    report = str(blame_nonfinite(log.sum()))
    assert report.startswith("log   entropy   ")
    assert "test_blame.py:" in report
    assert report.endswith("scope blocks.1.attention\n  input 0 at [0]  →  −inf")


# Zero times infinity, told apart


def test_an_infinity_that_became_nan_is_followed_to_where_it_did() -> None:
    x = Tensor([1.0, 0.0], name="x")
    with scope("blocks.1"):
        inverse = 1 / x
    with scope("head"):
        product = inverse * [2.0, 0.0]
    blame = blame_nonfinite(product.sum())
    assert blame is not None and blame.first_nan is not None
    assert (blame.node, blame.value, blame.cause) == (inverse, INF, "")
    assert (blame.first_nan.node, blame.first_nan.index, blame.first_nan.inputs) == (
        product,
        (1,),
        (INF, 0.0),
    )
    assert math.isnan(blame.first_nan.value) and blame.first_nan.cause == "0 · inf"
    assert str(blame).endswith("inputs 1, 0 at [1]  →  inf;   then ×   inf · 0 = nan   (head)")


def test_an_infinity_that_stayed_one_has_no_then() -> None:
    blame = blame_nonfinite((1 / Value(0.0)) * 2)
    assert blame is not None and blame.first_nan is None


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda zero, inf: zero * inf, "0 · inf"),
        (lambda zero, inf: inf - inf, "inf − inf"),
        (lambda zero, inf: inf + -inf, "inf − inf"),
        (lambda zero, inf: zero / zero, "0 / 0"),
        (lambda zero, inf: inf / inf, "inf / inf"),
        (lambda zero, inf: (zero - 1).log(), ""),
    ],
)
@pytest.mark.parametrize("leaf", [Value, Tensor])
def test_what_made_nan_is_told_by_its_form(leaf, make, cause) -> None:
    blame = blame_nonfinite(make(leaf(0.0), leaf(1e308) * 10))
    assert blame is not None
    assert (blame if blame.first_nan is None else blame.first_nan).cause == cause


def test_a_gradient_of_nothing_times_an_infinite_slope_is_told() -> None:
    @primitive
    def root(a):
        y = np.sqrt(a)
        return y, lambda grad: (grad / (2 * y),)

    x = Tensor([4.0, 0.0], name="x")
    blame = blame_nonfinite((root(x) * [1.0, 0.0]).sum())
    assert blame is not None
    assert (blame.node, blame.where, blame.inputs) == (x, "gradient", (0.0, 0.0))
    assert math.isnan(blame.value)
    assert (blame.slope, blame.cause) == (INF, "0 · inf")
    report = "backward of root\n  upstream 0, slope inf, input 0 at [1]  →  nan   (0 · inf)"
    assert str(blame) == report


def test_a_gradient_that_is_nan_by_itself_has_no_such_cause() -> None:
    @primitive
    def careless(a):
        return a * 2, lambda grad: (grad * 2 * (grad / grad),)

    with np.errstate(all="ignore"):
        blame = blame_nonfinite((careless(Tensor([1.0], name="x")) * 0).sum())
    assert blame is not None
    assert (blame.slope, blame.cause) == (2.0, "")
