"""Writing into an array that a gradient needs is noticed; writing into any other is allowed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from autolm import Tensor, ops, primitive
from autolm.captured import EXACT_BYTES, fingerprint


def ones(*shape):
    return Tensor(np.ones(shape or (3,)))


def refused(name):
    return pytest.raises(RuntimeError, match=f"^{name}.*changed in place.*assign a new one")


# Fingerprints


@given(st.data())
def test_fingerprint_changes_with_any_one_element(data):
    big = EXACT_BYTES // 8 + 300
    shape = data.draw(st.sampled_from([(3,), (2, 3), (), (big,), (7, big // 7), (4, 300, 5)]))
    dtype = data.draw(st.sampled_from(["float64", "float32", "int64", "bool"]))
    array = np.zeros(shape, dtype)
    if data.draw(st.booleans()):
        array = array.T
    before = fingerprint(array)
    assert fingerprint(array.copy()) == before
    array[tuple(data.draw(st.integers(0, n - 1)) for n in array.shape)] = 1
    assert fingerprint(array) != before


@given(st.integers(0, 99), st.sampled_from([2, 64, 128, 512]))
def test_fingerprint_of_a_large_array_changes_when_rows_are_swapped(seed, width):
    array = np.random.default_rng(seed).normal(size=(64, width * 4))
    before = fingerprint(array)
    array[[3, 40]] = array[[40, 3]]
    assert fingerprint(array) != before


# What is noticed


def test_leaf_written_into_is_noticed():
    x = ones()
    y = (x * x).sum()
    x.data[0] = 5
    with refused("mul"):
        y.backward()
    assert x.grad is None


def test_augmented_assignment_to_a_leaf_is_noticed():
    x = ones()
    y = (x * x).sum()
    x.data += 1
    with refused("mul"):
        y.backward()


def test_interior_array_written_into_is_noticed_by_the_next_operation():
    x = ones()
    h = x * 2
    y = (h * h).sum()
    h.data[0] = 5
    with refused("mul"):
        y.backward()


def test_augmented_assignment_to_an_interior_array_is_noticed():
    x = ones()
    h = x * 2
    y = (h * h).sum()
    h.data += 1
    with refused("mul"):
        y.backward()


def test_result_written_into_is_noticed_by_its_own_rule():
    y = ones().exp()
    y.data[0] = 5
    with refused("exp"):
        y.backward(np.ones(3))


def test_raw_operand_written_into_is_noticed():
    x, raw = ones(), np.ones(3)
    y = (x * raw).sum()
    raw[0] = 5
    with refused("mul"):
        y.backward()


def test_operand_written_into_through_its_base_is_noticed():
    x, base = ones(), np.ones((2, 3))
    y = (x * base[1]).sum()
    base[1, 0] = 5
    with refused("mul"):
        y.backward()


def test_attribute_written_into_is_noticed():
    ids = np.array([0, 1])
    y = ops.embedding(ones(3, 2), token_ids=ids).sum()
    ids[0] = 2
    with refused("embedding"):
        y.backward()


def test_array_inside_an_attribute_written_into_is_noticed():
    rows, columns = np.array([0, 1]), np.array([0, 0])
    y = ones(3, 2)[rows, columns].sum()
    rows[0] = 2
    with refused("getitem"):
        y.backward()


VIEWS = {
    "reshape": lambda x: x.reshape(-1),
    "transpose": lambda x: x.T,
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "slice": lambda x: x[1:],
    "broadcast": lambda x: x.broadcast_to(4, 3, 2),
    "two views": lambda x: x.T[1:].reshape(-1),
}
each_view = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())


@each_view
def test_leaf_written_into_is_noticed_behind_a_view(view):
    x = ones(3, 2)
    v = view(x)
    y = (v * v).sum()
    x.data[1:] = 5
    with refused("mul"):
        y.backward()


@each_view
def test_interior_array_written_into_is_noticed_behind_a_view(view):
    h = ones(3, 2) * 2
    v = view(h)
    y = (v * v).sum()
    h.data[1:] = 5
    with refused("mul"):
        y.backward()


def test_view_written_into_is_noticed_where_its_base_is_needed():
    h = ones(3, 2) * 2
    y = (h * h).sum()
    h.reshape(-1).data[0] = 5
    with refused("mul"):
        y.backward()


def test_array_that_a_users_rule_keeps_in_a_list_or_a_function_is_noticed():
    @primitive
    def scaled(a, b):
        kept = [a, {"b": b}]

        def times(grad, other):
            return grad * other

        def backward(grad):
            return times(grad, kept[1]["b"]), times(grad, kept[0])

        return a * b, backward

    a, b = ones(), ones()
    y = scaled(a, b).sum()
    b.data[0] = 5
    with refused("scaled"):
        y.backward()


def test_error_names_the_node():
    x = ones()
    y = x * x
    y.name = "energy"
    x.data[0] = 5
    with refused("mul 'energy': an array of shape"):
        y.backward(np.ones(3))


# What is none of a rule's business


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x + 1,
        lambda x: x - 1,
        lambda x: 1 - x,
        lambda x: -x,
        lambda x: x.sum(axis=0),
        lambda x: x.mean(),
        lambda x: x.reshape(-1),
        lambda x: x.T,
        lambda x: x[1:],
        lambda x: x.exp(),
        lambda x: x.softmax(),
        lambda x: x.logsumexp(),
        lambda x: ops.stack([x, x]),
        lambda x: ops.embedding(x, token_ids=np.array([0, 1])),
        lambda x: ops.cross_entropy(x, targets=np.array([0, 1, 0])),
    ],
)
def test_writing_into_an_array_that_the_rule_does_not_need_is_allowed(operation):
    x = ones(3, 2)
    y = operation(x)
    x.data[0] = 5
    y.backward(np.ones(y.shape))
    assert x.grad.shape == (3, 2)


def test_rebinding_as_optimizers_do_is_allowed():
    x = ones()
    h = x * x
    y = (h * h).sum()
    x.data = x.data - 0.1
    h.data = h.data - 0.1
    y.backward()
    assert x.grad.tolist() == [4.0, 4.0, 4.0]


def test_rebound_interior_array_is_watched_anew():
    h = ones() * 2
    _ = h.data
    h.data = np.full(3, 7.0)
    y = h * h
    y.backward(np.ones(3), retain_grads=True)
    assert h.grad.tolist() == [14.0, 14.0, 14.0]


def test_reading_data_is_allowed():
    x = ones()
    h = x.exp()
    y = (h * h).sum()
    assert h.data[0] + h.numpy()[0] + y.item() > 0
    y.backward()
    assert x.grad is not None
    y.backward()


@given(arrays_of.arrays(np.float64, (3,), elements=st.floats(-5, 5)))
def test_writing_after_backward_is_allowed(data):
    x = Tensor(data)
    (x * x).sum().backward()
    x.data -= 0.1 * x.grad
    (x * x).sum().backward()
