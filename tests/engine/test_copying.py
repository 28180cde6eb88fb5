"""A copy of a graph has the gradients of its original, whatever becomes of either."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given

from autolm import Tensor, Value, ops
from autolm.engine.graph import topological_order
from tests.programs import programs

DEEP = 5_000


def leaves(root):
    return [node for node in topological_order(root) if not node.parents]


def gradients(root):
    return [np.copy(leaf.grad) for leaf in leaves(root) if leaf.requires_grad and leaf.has_grad]


@pytest.mark.parametrize("kind", [Value, Tensor])
@given(program=programs())
def test_deep_copy_has_the_same_gradients_and_touches_nothing_of_the_original(kind, program):
    _, root = program.run(kind)
    twin = copy.deepcopy(root)
    assert not set(topological_order(root)) & set(topological_order(twin))
    twin.backward()
    assert not any(node.has_grad for node in topological_order(root))
    root.backward()
    np.testing.assert_array_equal(gradients(twin), gradients(root))
    assert len(topological_order(twin)) == len(topological_order(root))


@pytest.mark.parametrize("kind", [Value, Tensor])
def test_deep_graph_is_copied_with_what_it_shares(kind):
    x = kind(1.0, name="x")
    y = x
    for _ in range(DEEP):
        y = y + x
    again, same = copy.deepcopy([y, x])
    assert len(topological_order(again)) == DEEP + 1
    assert (same.name, same.grad, x.grad) == ("x", x.grad, x.grad)
    again.backward()
    assert (float(same.grad), x.has_grad) == (DEEP + 1, False)


@pytest.mark.parametrize("kind", [Value, Tensor])
def test_shallow_copy_of_a_result_stands_on_the_same_operands(kind):
    x = kind(3.0)
    y = x * x
    twin = copy.copy(y)
    twin.name = "twin"
    assert (twin.parents, twin.op, y.name) == ((x, x), y.op, "")
    (twin * y).backward()
    assert float(x.grad) == 4 * 27


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
@pytest.mark.parametrize(
    "leaf", [Value(2.0, "w"), Value(2.0, "w", requires_grad=False), Tensor(2, name="w")]
)
def test_copy_of_a_leaf_is_another_leaf_with_the_same_data_name_and_gradient(leaf, again):
    if leaf.requires_grad:
        (leaf * 3).backward()
    twin = again(leaf)
    assert twin is not leaf and twin.parents == ()
    assert (float(twin.data), twin.name, twin.requires_grad) == (2.0, "w", leaf.requires_grad)
    assert float(twin.grad or 0) == float(leaf.grad or 0)
    if leaf.requires_grad:
        before = float(leaf.grad)
        (twin * 5).backward()
        assert (float(leaf.grad), float(twin.grad)) == (before, before + 5)
    leaf.zero_grad()


def test_integers_of_a_list_serve_as_an_index_in_a_copy_too():
    index = pickle.loads(pickle.dumps(copy.deepcopy(Tensor([2, 0]))))
    assert Tensor([5.0, 6.0, 7.0])[index].data.tolist() == [7, 5]


def test_leaves_of_a_deep_copy_share_no_memory_with_the_original():
    x = Tensor([1.0, 2.0])
    (x * x).sum().backward()
    twin = copy.deepcopy(x)
    assert not np.shares_memory(twin.data, x.data)
    assert not np.shares_memory(twin.grad, x.grad)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("which", ["leaf", "interior"])
def test_array_of_the_original_written_into_is_noticed_by_the_copy(again, which):
    x = Tensor(np.ones((2, 3)))
    h = x * 2
    y = (h * h + x * x).sum()
    twin = again(y)
    {"leaf": x, "interior": h}[which].data[0] = 5
    with pytest.raises(RuntimeError, match="changed in place"):
        twin.backward()


def test_results_of_a_copied_interior_notice_what_is_written_into_it():
    h = copy.deepcopy(Tensor(np.ones(3)) * 2)
    y = (h * h).sum()
    h.data[0] = 5
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_leaves_of_a_deep_copy_may_be_written_into():
    x = Tensor([1.0, 2.0])
    y = (x * x).sum()
    twin = copy.deepcopy(y)
    leaves(twin)[0].data[0] = 9
    twin.backward()
    assert gradients(twin)[0].tolist() == [2.0, 4.0]


@pytest.mark.parametrize("result", [Value(2.0) * 3, ops.exp(Tensor([1.0]))])
def test_pickling_a_result_says_what_to_pickle(result):
    for holder in (result, [result], {"loss": result}):
        with pytest.raises(TypeError, match=r"pickle: a \w+ that is the result.*pickle its \.data"):
            pickle.dumps(holder)
