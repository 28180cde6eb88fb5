"""A gradient is the sum of what its uses sent, exactly; and of what came along every path."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, Value, explain, record_locations, scope
from autolm.engine.graph import topological_order
from autolm.lm import TinyLM
from tests.programs import programs

each_engine = pytest.mark.parametrize("leaf", [Value, Tensor])
engines = st.sampled_from([Value, Tensor])


def added_up(values):
    """Add in the order given, as the pass does."""
    total = None
    for value in values:
        total = value if total is None else total + value
    return total


def every_path(node, root):
    """List every way from the root to a node, the slow way."""
    if node is root:
        return [(node,)]
    return [
        (*way, node)
        for consumer in topological_order(root)
        for parent in consumer.parents
        if parent is node
        for way in every_path(consumer, root)
    ]


@given(programs(), engines, st.data())
def test_uses_add_up_to_the_gradient_exactly(program, leaf, data):
    _, root = program.run(leaf)
    root.backward(retain_grads=True)
    node = data.draw(st.sampled_from([n for n in topological_order(root) if n.has_grad]))
    explanation = explain(node)
    expected = 1.0 if node is root else added_up(use.value for use in explanation.uses)
    assert np.array_equal(explanation.gradient, expected)
    assert np.array_equal(explanation.gradient, node.grad)
    for use in explanation.uses:
        assert use.consumer.parents[use.operand] is node
        if leaf is Value:
            assert use.value == pytest.approx(use.upstream * use.local, rel=1e-12, abs=1e-300)


@each_engine
def test_uses_stand_in_the_order_in_which_their_sum_is_exact(leaf):
    x = leaf(1.0)
    root = (x * 1e16 + x * -1e16) + x
    root.backward()
    assert x.grad == 0.0  # 1 − 1e16 + 1e16; any other order gives 1
    assert [float(use.value) for use in explain(x).uses] == [1.0, -1e16, 1e16]


@given(programs(), st.data())
def test_all_paths_add_up_to_the_gradient_and_are_each_a_product_of_slopes(program, data):
    leaves, root = program.run(Value)
    node = data.draw(st.sampled_from([n for n in leaves if n in topological_order(root)]))
    ways = every_path(node, root)
    if len(ways) > 200:
        return
    explanation = explain(node, root, paths=len(ways))
    assert sorted(map(id_path, explanation.paths)) == sorted(tuple(map(id, way)) for way in ways)
    total = math.fsum(path.value for path in explanation.paths)
    scale = max(path.weight for path in explanation.paths)
    assert total == pytest.approx(explanation.gradient, rel=1e-9, abs=1e-12 * scale)


def id_path(path):
    return tuple(map(id, path.nodes))


@given(programs(), st.integers(1, 4), st.data())
def test_the_heaviest_paths_are_the_heaviest_of_all(program, k, data):
    leaves, root = program.run(Value)
    node = data.draw(st.sampled_from([n for n in leaves if n in topological_order(root)]))
    ways = every_path(node, root)
    if len(ways) > 200:
        return
    weights = [path.weight for path in explain(node, root, paths=len(ways)).paths]
    largest_weights = [path.weight for path in explain(node, root, paths=k).paths]
    assert largest_weights == weights[:k] == sorted(weights, reverse=True)[:k]


def test_paths_of_a_tensor_carry_arrays_that_add_up():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], name="x")
    root = (x @ x + x).sum()
    explanation = explain(x, root, paths=3)
    root.backward()
    assert len(explanation.paths) == 3
    np.testing.assert_allclose(sum(path.value for path in explanation.paths), x.grad, rtol=1e-14)


def test_paths_of_a_transformer_add_up_where_there_are_few():
    model = TinyLM(5, 4, 2, 8, 1, norm="pre", dtype="float64", seed=0)
    loss = model.compute_loss([0, 1, 2], [1, 2, 3])
    explanation = explain(
        model.embedding, loss, paths=16
    )  # 4 routes, and 3 of them twice by attention
    np.testing.assert_allclose(
        sum(path.value for path in explanation.paths), explanation.gradient, rtol=1e-9, atol=1e-15
    )
    assert [path.weight for path in explanation.paths] == sorted(
        (path.weight for path in explanation.paths), reverse=True
    )


def test_explaining_changes_no_gradient():
    x = Value(3.0)
    y = x * x
    explain(x, y, paths=2)
    assert not x.has_grad and not y.has_grad
    y.backward()
    explain(x)
    assert (x.grad, y.grad) == (6.0, 1.0)


def test_without_a_root_the_latest_backward_is_meant():
    x = Value(3.0, name="x")
    y, z = x * x, x * 2
    y.backward()
    z.backward()
    assert explain(x).gradient == 2.0
    assert explain(x, y).gradient == 6.0
    assert explain(x, y, 10.0).gradient == 60.0


def test_without_any_root_it_is_asked_for():
    x = Value(3.0)
    (x * x).backward()  # and the root is gone
    with pytest.raises(ValueError, match=r"pass the root: explain\(node, loss\)"):
        explain(x)


def test_node_of_another_graph_is_refused():
    y = Value(3.0) * 2
    with pytest.raises(ValueError, match="has no gradient of y"):
        explain(Value(1.0, name="x"), y)


def test_text_tells_arithmetic_rule_scope_and_location():
    x = Value(2.0, name="x")
    with record_locations(), scope("head"):
        y = x * 3
    text = str(explain(x, y))
    assert text.startswith(
        "x.grad = 3\n  3   from y = x · 3   (3 × 1)   head   test_explanation.py:"
    )
    assert str(explain(y, y)) == "y.grad = 1\n  given, for this is the root"
    matrix = Tensor([[1.0]], name="M")
    assert str(explain(matrix, (matrix @ matrix).sum(), paths=1)) == (
        "M.grad = 1×1 ‖2‖ [2]\n"
        "  1×1 ‖1‖ [1]   from M @ M   ḡ · bᵀ\n"
        "  1×1 ‖1‖ [1]   from M @ M   aᵀ · ḡ\n"
        "the heaviest path\n"
        "  1×1 ‖1‖ [1]   sum ← matmul ← M"
    )


def test_nan_slopes_come_first_among_paths():
    x = Value(1.0, name="x")
    root = x * math.nan + x * 100
    assert math.isnan(explain(x, root, paths=1).paths[0].value)


@each_engine
def test_an_explanation_prints_itself(leaf):
    x = leaf(3.0)
    root = x * x
    explanation = explain(x, root)
    assert repr(explanation) == str(explanation)
    assert "from root = x · x" in str(explanation)
