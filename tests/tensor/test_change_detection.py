"""Writing into an array that a graph uses is reported by `backward()`; assigning one is not."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from autolm import Tensor, ops, primitive
from autolm.tensor.change_detection import EXACT_BYTES, fingerprint


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


BIG = [(502, 64), (251, 8, 16), (512, 128), (64, 2048), (20001,), (4099, 7), (250_007,)]


def swap(array, rng, axis):
    i, j = rng.choice(array.shape[axis], 2, replace=False)
    both = np.moveaxis(array, axis, 0)
    both[[i, j]] = both[[j, i]]


def swap_a_period_apart(array, rng):
    flat = array.reshape(-1)
    period = int(rng.choice([251, 251 * 64, 2**13, 2**14]))
    i = int(rng.integers(flat.size - period)) if flat.size > period else 0
    flat[[i, -1 if flat.size <= period else i + period]] = flat[
        [-1 if flat.size <= period else i + period, i]
    ]


CHANGES = {
    "one element": lambda a, rng: a.reshape(-1).__setitem__(rng.integers(a.size), 7),
    "two elements alike": lambda a, rng: np.add.at(
        a.reshape(-1), rng.choice(a.size, 2, replace=False), 1
    ),
    "swap of rows": lambda a, rng: swap(a, rng, 0),
    "swap of columns": lambda a, rng: swap(a, rng, -1),
    "swap of elements": lambda a, rng: swap(a.reshape(-1), rng, 0),
    "swap a period apart": swap_a_period_apart,
    "negation": lambda a, rng: np.negative(a, out=a),
    "negation of two rows": lambda a, rng: a.__setitem__(slice(2), -a[:2]),
    "roll of rows": lambda a, rng: a.__setitem__(..., np.roll(a, rng.integers(1, len(a)), 0)),
    "roll by 251": lambda a, rng: a.__setitem__(..., np.roll(a, min(251, len(a) - 1), 0)),
    "roll of elements": lambda a, rng: a.__setitem__(..., np.roll(a, rng.integers(1, a.size))),
    "permutation": lambda a, rng: rng.shuffle(a.reshape(-1)),
    "permutation of rows": lambda a, rng: rng.shuffle(a),
    "reversal": lambda a, rng: a.__setitem__(..., a[::-1].copy()),
    "reversal of all axes": lambda a, rng: a.__setitem__(..., np.flip(a).copy()),
    "a constant added": lambda a, rng: np.add(a, 1, out=a),
    "doubling": lambda a, rng: np.multiply(a, 2, out=a),
    "zeros": lambda a, rng: a.fill(0),
    "halves exchanged": lambda a, rng: a.__setitem__(..., np.roll(a, a.size // 2)),
}
ALONE = ("one element", "negation", "doubling", "zeros", "a constant added", "negation of two rows")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@given(data=st.data())
def test_fingerprint_of_a_large_array_changes_with_it(change, data):
    shape = data.draw(st.sampled_from(BIG))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    dtype = data.draw(st.sampled_from(["float64", "float32", "int32"]))
    scale = data.draw(st.sampled_from([1, 1000]))
    array = (rng.uniform(1, 2, size=shape) * scale * rng.choice([1, -1], shape)).astype(dtype)
    before = fingerprint(array)
    assert before == fingerprint(array.copy())
    changed = array.copy()
    change(changed, rng)
    assume(not np.array_equal(array, changed))
    assert fingerprint(changed) != before


@pytest.mark.parametrize("number", [1.0, -3.0, 0.5])
@pytest.mark.parametrize("change", ALONE)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("size", [2**14, 2**15, 2**16 + 2, 251 * 1024])
def test_fingerprint_of_one_number_repeated_changes_with_it(size, dtype, change, number):
    array = np.full(size, number, dtype)
    before = fingerprint(array)
    CHANGES[change](array, np.random.default_rng(0))
    assert fingerprint(array) != before


@pytest.mark.parametrize("view", [lambda a: a.T, lambda a: a[::2, 1:], lambda a: a[::-1], np.copy])
def test_fingerprint_of_a_large_view_is_that_of_what_it_shows(view):
    array = np.random.default_rng(0).normal(size=(300, 200))
    before = fingerprint(view(array))
    array[0, 0] += 1
    array[-2, -1] += 1
    array[0, 5] += 1
    assert fingerprint(view(array)) != before


@pytest.mark.parametrize("place", [*range(0, 8800, 97), -1])
def test_fingerprint_changes_with_the_highest_bit_of_any_one_word_and_the_last_octets(place):
    words, octets = np.zeros(8800, np.uint64), np.zeros(8 * 8800 + 3, np.uint8)
    before = fingerprint(words), fingerprint(octets)
    words[place], octets[place] = 2**63, 1
    assert fingerprint(words) != before[0]
    assert fingerprint(octets) != before[1]


def test_large_bool_mask_inverted_has_another_fingerprint():
    mask = np.zeros((300, 300), bool)
    assert fingerprint(mask) != fingerprint(~mask)


# What is noticed


VIEWS = {
    "reshape": lambda x: x.reshape(-1),
    "transpose": lambda x: x.T,
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "slice": lambda x: x[1:],
    "broadcast": lambda x: x.broadcast_to(4, 3, 2),
    "two views": lambda x: x.T[1:].reshape(-1),
}


def squared(h, v=None):
    v = h if v is None else v
    return (v * v).sum(), h.data


def squared_with(h, array):
    h.data = array
    return squared(h)[0], array


def times(x, raw):
    return (x * raw).sum(), raw if raw.base is None else raw.base


def picked(x):
    y = x[np.array([0, 1])].sum()
    return y, y.parents[0].attributes["index"]


@primitive
def same(a):
    return a, lambda grad: (grad,)


# The operation that is blamed; and, of a leaf of (3, 2), a result and the array to write into.
WRITTEN = {
    "a leaf": ("mul", squared),
    "an interior node": ("mul", lambda x: squared(x * 2)),
    "a raw operand": ("mul", lambda x: times(x, np.ones((3, 2)))),
    "the base of a raw operand": ("mul", lambda x: times(x, np.ones((2, 3, 2))[1])),
    "an attribute of a node": ("getitem", picked),
    "a leaf that an operation returns": ("mul", lambda x: squared(x, same(x))),
    "an array put into a node": ("mul", lambda x: squared_with(x * 2, np.full((3, 2), 7.0))),
    "a view": ("mul", lambda x: (squared(h := x * 2)[0], h.reshape(-1).data)),
    **{f"a leaf behind {n}": ("mul", lambda x, v=v: squared(x, v(x))) for n, v in VIEWS.items()},
    **{
        f"a node behind {n}": ("mul", lambda x, v=v: squared(h := x * 2, v(h)))
        for n, v in VIEWS.items()
    },
}


@pytest.mark.parametrize(("blamed", "build"), WRITTEN.values(), ids=WRITTEN.keys())
def test_array_written_into_is_noticed(blamed, build):
    x = ones(3, 2)
    y, array = build(x)
    array[1:] = 5
    with refused(blamed):
        y.backward()
    assert x.grad is None


def test_result_written_into_is_noticed_by_its_own_rule():
    y = ones().exp()
    y.data[0] = 5
    with refused("exp 'y'"):
        y.backward(np.ones(3))


@pytest.mark.parametrize("kind", ["leaf", "interior"])
def test_augmented_assignment_to_data_is_noticed(kind):
    x = ones()
    h = x * 2 if kind == "interior" else x
    y = (h * h).sum()
    h.data += 1
    with refused("mul"):
        y.backward()


def gradient(operation, change=lambda: None):
    x = Tensor(np.arange(1.0, 7.0).reshape(3, 2))
    y = operation(x)
    change()
    y.backward(np.arange(1.0, y.size + 1).reshape(y.shape))
    return x.grad


ids, mask, shape = np.array([0, 1, 1]), np.eye(3, 2, dtype=bool), [6]
many = np.zeros(20_000, int)
ATTRIBUTES = {
    "an array": (lambda x: ops.embedding(x, token_ids=ids), ids),
    "a large array": (lambda x: ops.embedding(x, token_ids=many), many),
    "a mask": (lambda x: ops.masked_fill(x, mask=mask, value=0.0), mask),
    "an index": (lambda x: x[ids], ids),
    "an index in a tuple": (lambda x: x[ids, [0, 1, 1]], ids),
    "a mask as an index": (lambda x: x[mask], mask),
    "targets": (lambda x: ops.cross_entropy(x, targets=ids), ids),
}


@pytest.mark.parametrize(("operation", "array"), ATTRIBUTES.values(), ids=ATTRIBUTES.keys())
def test_attribute_written_into_afterwards_changes_nothing(operation, array):
    expected, original = gradient(operation), array.copy()
    try:
        computed = gradient(
            operation, lambda: np.copyto(array, np.flip(array == 0), casting="unsafe")
        )
    finally:
        array[...] = original
    np.testing.assert_array_equal(computed, expected)


def test_list_as_an_attribute_changed_afterwards_changes_nothing():
    rows, flags = [0, 1, 1], [[True, False], [True, True], [False, True]]
    table = {"rows": [rows], "array": np.array(rows)}

    @primitive
    def choose(a, *, table):
        def backward(grad):
            scattered = np.zeros((3, 2))
            np.add.at(scattered, table["rows"][0], grad)
            return (scattered * table["array"][:, None],)

        return a[table["rows"][0]] * 1.0, backward

    def change():
        rows[0] = 2
        flags[0][0] = False
        table["rows"].append(3)
        table["array"][0] = 9

    def operation(x):
        return choose(x, table=table).sum() + x[rows].sum() + x[flags].sum()

    x = Tensor(np.arange(1.0, 7.0).reshape(3, 2))
    y = operation(x)
    y.backward()
    once = x.grad
    change()
    y.backward()
    np.testing.assert_array_equal(x.grad, 2 * once)


@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")
def test_array_given_another_shape_in_place_is_noticed():
    x, raw = Tensor(np.ones((1, 4))), np.arange(4.0).reshape(1, 4)
    y = (x * raw).sum()
    raw.shape = (4, 1)
    with refused("mul"):
        y.backward()


def test_error_names_the_node():
    x = ones()
    y = x * x
    y.name = "energy"
    x.data[0] = 5
    with refused("mul 'energy': an array of shape"):
        y.backward(np.ones(3))


OPERATIONS = [
    lambda x: x + 1,
    lambda x: 1 - x,
    lambda x: -x,
    lambda x: x.sum(axis=0),
    lambda x: x.mean(),
    lambda x: x.reshape(-1),
    lambda x: x[1:],
    lambda x: x.exp(),
    lambda x: x.softmax(),
    lambda x: ops.stack([x, x]),
    lambda x: ops.embedding(x, token_ids=np.array([0, 1])),
    lambda x: ops.cross_entropy(x, targets=np.array([0, 1, 0])),
]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", ["leaf", "interior"])
def test_operand_written_into_is_noticed_whether_or_not_the_rule_needs_it(operation, kind):
    x = ones(3, 2)
    h = x * 2 if kind == "interior" else x
    y = operation(h)
    h.data[0] = 5
    with pytest.raises(RuntimeError, match="that it uses was changed in place"):
        y.backward(np.ones(y.shape))
    assert x.grad is None


# What may be done


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
