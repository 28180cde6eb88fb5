"""An edited graph is the graph of the edited program, and undoing brings the old one back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, Value, Walk, edit, no_grad, ops
from autolm.engine.graph import topological_order
from tests.calls import calls, each_operation
from tests.programs import programs

engines = st.sampled_from([Value, Tensor])


def data_bits(nodes):
    return [np.asarray(node.data).tobytes() for node in nodes]


def gradients(root):
    """Return every gradient of a backward pass, by the engine itself."""
    root.zero_grad()
    root.backward(retain_grads=True)
    return [np.asarray(node.grad).tobytes() for node in topological_order(root)]


@pytest.mark.parametrize(**each_operation)
@given(st.data())
def test_editing_what_an_operation_was_given_is_calling_it_with_that(op, data):
    call = data.draw(calls(op))
    tensors, y = call.on_tensors()
    new_arrays = [np.random.default_rng(1).permuted(array.reshape(-1)) for array in call.arrays]
    new_arrays = [
        other.reshape(array.shape) for other, array in zip(new_arrays, call.arrays, strict=True)
    ]
    weights = np.reshape(np.arange(1.0, y.size + 1), y.shape)
    root = (y * weights).sum()
    for i in call.differentiable:
        edit(root, tensors[i], new_arrays[i])
    fresh = call._replace(
        arrays=[
            new_arrays[i] if i in call.differentiable else array
            for i, array in enumerate(call.arrays)
        ]
    )
    leaves, z = fresh.on_tensors()
    again = (z * weights).sum()
    assert data_bits([root]) == data_bits([again])
    root.backward()
    again.backward()
    for i in call.differentiable:
        np.testing.assert_array_equal(tensors[i].grad, leaves[i].grad)


@given(programs(), engines, st.data())
def test_edited_leaf_gives_the_graph_of_the_edited_program(program, leaf, data):
    leaves, root = program.run(leaf)
    chosen = data.draw(
        st.sampled_from([i for i, n in enumerate(leaves) if n in topological_order(root)])
    )
    number = data.draw(st.floats(-1, 1, allow_subnormal=False))
    edit(root, leaves[chosen], number)
    numbers = [number if i == chosen else n for i, n in enumerate(program.numbers)]
    _, other = program._replace(numbers=numbers).run(leaf)
    assert data_bits(topological_order(root)) == data_bits(topological_order(other))
    assert gradients(root) == gradients(other)


@given(programs(), engines, st.data())
def test_report_tells_what_moved_and_undo_brings_all_of_it_back(program, leaf, data):
    _, root = program.run(leaf)
    nodes = topological_order(root)
    before, gradients_before = data_bits(nodes), gradients(root)
    node = data.draw(st.sampled_from(nodes))
    change = edit(root, node, data.draw(st.floats(-1, 1)))
    after = gradients(root)
    for i, graph_node in enumerate(nodes):
        if graph_node in change.gradients:
            edit_change = change.gradients[graph_node]
            assert np.asarray(edit_change.before).tobytes() == gradients_before[i]
            assert np.asarray(edit_change.after).tobytes() == after[i]
        else:
            old, new = (np.frombuffer(bits) for bits in (gradients_before[i], after[i]))
            assert np.array_equal(old, new, equal_nan=True) or not graph_node.requires_grad
    change.undo()
    assert data_bits(nodes) == before
    assert gradients(root) == gradients_before


def test_edited_result_acts_as_if_a_constant_were_added_to_it():
    x = Value(3.0)
    middle = x * x
    root = middle * middle
    edit(root, middle, 5.0)
    root.backward()
    assert root.data == 25.0
    assert x.grad == 2 * 5.0 * 2 * 3.0  # the slope of x·x stays that at 3


@pytest.mark.parametrize(
    "make",
    [
        lambda x: Value.sum([x, x * 2, 3]),
        lambda x: Value.dot([x, 2, x], [x, x, 5]),
        lambda x: x**x,
        lambda x: (2 - x).maximum(x / 3).tanh(),
    ],
)
def test_every_kind_of_value_operation_runs_again(make):
    x = Value(1.5)
    root = make(x)
    edit(root, x, 2.5)
    fresh = Value(2.5)
    expected = make(fresh)
    root.backward()
    expected.backward()
    assert (root.data, x.grad) == (expected.data, fresh.grad)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: ops.concatenate([x, x * 2], axis=1).sum(),
        lambda x: ops.stack([x]).sum(),
        lambda x: (x.T @ x.reshape(2, 3)[:, 1:]).softmax(axis=0).sum(),
        lambda x: ops.dropout(x, rate=0.5, seed=1).sum(),
        lambda x: ops.where(np.array([True, False, True]), x, x * x).mean(),
    ],
)
def test_every_kind_of_tensor_operation_runs_again(make):
    first, second = np.arange(6.0).reshape(2, 3), np.ones((2, 3)) * 0.3
    x, fresh = Tensor(first), Tensor(second)
    root, expected = make(x), make(fresh)
    edit(root, x, second)
    root.backward()
    expected.backward()
    assert root.data == expected.data
    np.testing.assert_array_equal(x.grad, fresh.grad)


def test_edit_works_where_nothing_is_recorded():
    x = Tensor([1.0, 2.0])
    root = (x * x).sum()
    with no_grad():
        edit(root, x, [3.0, 4.0])
    root.backward()
    assert root.data == 25.0
    assert list(x.grad) == [6.0, 8.0]


def test_edit_keeps_the_dtype_and_does_not_keep_the_array_it_was_given():
    x = Tensor(np.array([1.0, 2.0], "float32"))
    root = (x * x).sum()
    given_array = np.array([3.0, 4.0])
    edit(root, x, given_array)
    given_array[0] = 100.0
    assert x.dtype == np.float32 and list(x.data) == [3.0, 4.0]


@pytest.mark.parametrize(
    ("node", "data", "message"),
    [
        (Value(1.0), [1.0, 2.0], "expected one number, got an array of shape (2,)"),
        (Value(1.0), None, "expected one number, got None"),
        (Value(1.0), "a", "expected one number, got 'a'"),
        (Value(1.0), 1 + 2j, "expected one number, got (1+2j)"),
        (Tensor([1.0]), [1, 2, 3], "expected an array of shape (1,), got an array of shape (3,)"),
        (Tensor([1.0, 2.0]), 3, "expected an array of shape (2,), got one number"),
        (Tensor([1.0]), [[1], [2, 3]], "expected an array of shape (1,), got [[1], [2, 3]]"),
        (Tensor([1.0, 2.0]), [1, "a"], "expected an array of shape (2,), got [1, 'a']"),
    ],
)
def test_edit_to_what_the_node_cannot_hold_is_refused(node, data, message):
    with pytest.raises(ValueError) as caught:
        edit(node * 2, node, data)
    assert str(caught.value) == f"edit: data: {message}"


def test_edit_of_a_node_elsewhere_is_refused():
    with pytest.raises(ValueError, match="x is not part of the graph of this root"):
        edit(Value(1.0) * 2, Value(3.0, name="x"), 1.0)


def test_failing_edit_changes_nothing():
    calls = []

    @ops.primitive
    def fragile(a):
        if calls:
            raise ArithmeticError
        calls.append(1)
        return a * 2, lambda grad: (grad * 2,)

    x = Tensor([1.0], name="x")
    root = fragile(x * 3).sum()
    before = data_bits(topological_order(root))
    with pytest.raises(ArithmeticError):
        edit(root, x, [5.0])
    assert data_bits(topological_order(root)) == before


def test_report_reads_well_and_lists_the_gradients_that_moved_most():
    w, x = Value(2.0, name="w"), Value(3.0, name="x")
    loss = (w * x).tanh()
    loss.name = "loss"
    report = str(edit(loss, w, 0.0))
    assert report == (
        "w       2 → 0\n"
        "loss    1 → 0\n"
        "w.grad  7.373e−05 → 3\n"
        "x.grad  4.915e−05 → 0\n"
        "results computed again: 2"
    )
    many = [Value(float(i), name=f"v{i}") for i in range(20)]
    square = w * w
    total = Value.sum(square * v for v in many)
    report = str(edit(total, w, 1.0))
    assert report.count(".grad") == 12 and "… and 9 more gradients" in report


def test_report_has_the_names_of_the_program_that_prints_it():
    def changed(inner):
        return edit(inner * 3.0, inner, 5.0)

    outer = Value(2.0)
    assert str(changed(outer)).splitlines()[0].split() == ["outer", "2", "→", "5"]


def test_report_is_of_the_pass_with_the_seed_that_it_was_given():
    w, x = Value(2.0, name="w"), Value(3.0, name="x")
    y = w * x
    assert str(edit(y, w, 5.0, grad=10.0)).splitlines()[2] == "x.grad  20 → 50"
    with Walk(Tensor(1.0) * (a := Tensor([1.0, 2.0])), [1.0, 3.0]) as walk:
        assert walk.set(a, [5.0, 5.0]).gradients[walk.operations[0].parents[0]] == (7.0, 20.0)


def test_a_gradient_that_stays_nan_has_not_moved():
    x, z = Value(0.0, name="x"), Value(float("nan"), name="z")
    change = edit(x * z + x, x, 1.0)
    assert [node.name for node in change.gradients] == ["z"]
