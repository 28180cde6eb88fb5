"""A fused node opens as the graph of its definition: the same result, the same gradients."""

import builtins

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autolm
from autolm import Tensor, Value, no_grad, ops, primitive, record_locations, scope
from autolm.engine.backprop import latest_root
from autolm.engine.graph import topological_order
from tests.calls import calls

FUSED = [op for op in ops.PRIMITIVES if op.definition is not None]
each_fused = pytest.mark.parametrize("op", FUSED, ids=lambda op: op.name)
DIGITS = {np.float64: 1e-12, np.float32: 2e-5}


def leaves_of(root):
    return {node.name: node for node in topological_order(root) if not node.parents}


def opened_and_fused(call, dtype):
    """Return the fused node, the opened one, and of each operand both gradients."""
    tensors = [Tensor(array.astype(dtype), name=f"x{i}") for i, array in enumerate(call.arrays)]
    node = call.op(*tensors, **call.attributes)
    node.backward(call.upstream, retain_grads=True)
    root = autolm.open(node)
    leaves = leaves_of(root)
    return node, root, [(leaves[x.name].grad, x.grad) for x in tensors]


def assert_agree(actual, expected, digits):
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(actual, expected, rtol=digits, atol=digits * scale)


def test_every_operation_that_a_textbook_composes_of_others_opens():
    assert {op.name for op in FUSED} == {
        *("gelu", "mean", "var", "logsumexp", "softmax", "log_softmax", "layer_norm", "rms_norm"),
        *("dropout", "attention", "cross_entropy"),
    }


@each_fused
@pytest.mark.parametrize("dtype", DIGITS, ids=lambda dtype: dtype.__name__)
@given(data=st.data())
def test_result_and_gradients_agree_with_the_fused_node(op, dtype, data):
    node, root, gradients = opened_and_fused(data.draw(calls(op)), dtype)
    assert_agree(root.data, node.data, DIGITS[dtype])
    for opened, fused in gradients:
        assert_agree(opened, fused, DIGITS[dtype])


@each_fused
@given(data=st.data())
def test_every_node_inside_has_a_name_and_a_gradient(op, data):
    call = data.draw(calls(op))
    node = op(*map(Tensor, call.arrays), **call.attributes)
    for inner in topological_order(autolm.open(node, call.upstream)):
        assert inner.name or (inner.size == 1 and not inner.parents), inner  # or it is a number
        assert inner.has_grad == inner.requires_grad, inner


def test_an_operand_that_is_given_several_times_is_one_leaf():
    x = Tensor(np.random.default_rng(0).normal(size=(3, 4)), name="x")
    node = ops.attention(x, x, x, num_heads=2)
    upstream = np.random.default_rng(1).normal(size=(3, 4))
    node.backward(upstream, retain_grads=True)
    assert_agree(leaves_of(autolm.open(node))["x"].grad, x.grad, 1e-12)


ROWS = np.array([[1000.0, -1000.0, 3.0], [-np.inf, 0.0, 1.0], [-np.inf, -np.inf, -np.inf]])


@pytest.mark.parametrize("op", [ops.softmax, ops.logsumexp], ids=lambda op: op.name)
def test_rows_that_overflow_or_see_nothing_agree(op):
    x = Tensor(ROWS, name="x")
    node = op(x, axis=-1)
    node.backward(np.full(node.shape, 0.5), retain_grads=True)
    root = autolm.open(node)
    np.testing.assert_allclose(root.data, node.data, rtol=1e-12)
    np.testing.assert_allclose(leaves_of(root)["x"].grad, x.grad, rtol=1e-12, atol=1e-15)


def test_what_is_hidden_from_attention_leaks_into_nothing():
    q, v = np.array([[1.0], [2.0]]), np.array([[3.0], [5.0]])
    k = np.array([[1.0], [np.inf]])  # the first query does not see it
    node = ops.attention(Tensor(q), Tensor(k), Tensor(v), causal=True)
    root = autolm.open(node, np.array([[1.0], [0.0]]))
    np.testing.assert_array_equal(root.data, node.data)
    assert root.data[0] == 3.0


def test_queries_that_see_no_key_agree():
    q, k, v = (
        Tensor(np.random.default_rng(i).normal(size=(n, 2))) for i, n in enumerate((3, 1, 1))
    )
    node = ops.attention(q, k, v, causal=True)
    node.backward(np.ones((3, 2)), retain_grads=True)
    root = autolm.open(node)
    np.testing.assert_array_equal(root.data, node.data)
    for name, operand in zip("qkv", (q, k, v), strict=True):
        np.testing.assert_allclose(leaves_of(root)[name].grad, operand.grad, atol=1e-15)


def names_inside(root):
    return {node.name for node in topological_order(root)}


def test_attention_opens_in_a_textbooks_names():
    q = Tensor(np.ones((3, 4)))
    inside = names_inside(autolm.open(ops.attention(q, q + 0, q + 1, num_heads=2, causal=True)))
    assert inside >= {"q", "k", "v", "scores", "mask", "weights", "heads", "attention"}


def test_one_head_is_named_too():
    node = ops.attention(*(Tensor(np.ones((2, 2))) for _ in range(3)))
    assert autolm.open(node).name == "heads"


def test_norm_and_loss_open_in_a_textbooks_names():
    rows = Tensor([[1.0, 2.0], [0.0, 3.0]])
    norm = autolm.open(ops.layer_norm(rows, Tensor([1.0, 1.0]), Tensor([0.0, 0.0])))
    assert names_inside(norm) >= {"x", "gain", "bias", "mean", "centred", "variance", "normalized"}
    loss = autolm.open(ops.cross_entropy(rows, targets=np.array([0, 1])))
    assert names_inside(loss) >= {"logits", "log_probabilities", "chosen"}


def test_scores_are_the_scaled_products_and_weights_add_up_to_1():
    q, k, v = (Tensor(np.random.default_rng(i).normal(size=(3, 4))) for i in range(3))
    inside = {n.name: n for n in topological_order(autolm.open(ops.attention(q, k, v)))}
    np.testing.assert_allclose(inside["scores"].data, q.data @ k.data.T / 2, rtol=1e-14)
    np.testing.assert_allclose(inside["weights"].data.sum(axis=-1), 1, rtol=1e-14)


def test_operands_keep_their_names_and_what_is_opened_its_own():
    x = Tensor([1.0, 2.0], name="scores")
    y = ops.softmax(x)
    y.name = "weights"
    opened = autolm.open(y)
    assert opened.name == "weights"
    assert "scores" in leaves_of(opened)


def test_what_is_inside_is_in_the_scope_and_at_the_line_of_the_node():
    with record_locations(), scope("attention"):
        y = ops.softmax(Tensor([1.0, 2.0]))
    results = [node for node in topological_order(autolm.open(y)) if node.parents]
    assert {node.scope for node in results} == {"attention"}
    assert {node.location for node in results} == {y.location}


def test_constants_stay_constants():
    x, gain = Tensor([1.0, 2.0], name="x"), Tensor([1.0, 1.0], requires_grad=False, name="gain")
    root = autolm.open(ops.rms_norm(x, gain), np.ones(2))
    assert not leaves_of(root)["gain"].has_grad
    assert leaves_of(root)["x"].has_grad


def test_opening_changes_nothing_around():
    x = Tensor([1.0, 2.0])
    y = ops.softmax(x)
    z = (y * [1.0, 3.0]).sum()
    z.backward(retain_grads=True)
    before = x.grad.copy(), y.grad.copy()
    autolm.open(y)
    np.testing.assert_array_equal(x.grad, before[0])
    np.testing.assert_array_equal(y.grad, before[1])
    assert x.parents == () and y.parents == (x,)
    assert latest_root.get()() is z


def test_without_a_known_gradient_it_opens_without_one():
    root = autolm.open(ops.softmax(Tensor([1.0, 2.0])))
    assert not any(node.has_grad for node in topological_order(root))


def test_a_graph_opens_inside_no_grad():
    y = ops.softmax(Tensor([1.0, 2.0]))
    with no_grad():
        assert autolm.open(y).parents


def test_what_is_inside_opens_again():
    loss = ops.cross_entropy(Tensor([[1.0, 2.0]]), targets=np.array([0]))
    inside = {n.name: n for n in topological_order(autolm.open(loss, 1.0))}
    again = autolm.open(inside["log_probabilities"])
    assert again.name == "log_probabilities"
    assert leaves_of(again)["rows" if "rows" in leaves_of(again) else "logits"].has_grad


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (Tensor([1.0], name="x"), "open: x is a leaf; no operation made it"),
        (
            Tensor([1.0]).exp(),
            "open: exp is an elementary operation; it is not composed of others",
        ),
        (Value(2.0) * 3, "open: mul is an elementary operation"),
    ],
    ids=["leaf", "elementary", "value"],
)
def test_what_does_not_open_is_refused(node, message):
    with pytest.raises(ValueError, match=message):
        autolm.open(node)


def test_what_is_no_node_is_refused():
    with pytest.raises(TypeError, match="open: node"):
        autolm.open("file.txt")


def test_a_node_whose_operands_were_changed_is_refused():
    x, gain = Tensor([1.0, 2.0]), Tensor([1.0, 1.0])
    y = ops.rms_norm(x, gain)
    gain.data = gain.data - 0.5  # as an optimizer does
    with pytest.raises(ValueError, match="was changed since rms_norm computed it"):
        autolm.open(y)


def test_a_node_that_was_set_is_refused():
    y = ops.softmax(Tensor([1.0, 2.0]))
    y.data = np.array([0.5, 0.5])
    with pytest.raises(ValueError, match="softmax was changed since softmax computed it"):
        autolm.open(y)


def test_a_users_operation_opens_by_its_definition():
    @primitive(definition=lambda a: (a * a) * a)
    def cube(a):
        return a**3, lambda grad: (3 * grad * a**2,)

    y = cube(Tensor([2.0], name="side"))
    root = autolm.open(y, [1.0])
    assert (root.name, root.data.tolist()) == ("cube", [8.0])
    assert leaves_of(root)["side"].grad.tolist() == [12.0]


def test_the_builtin_stays_what_it_is_in_a_star_import():
    brought = {}
    exec("from autolm import *", brought)
    assert brought.get("open", builtins.open) is builtins.open
