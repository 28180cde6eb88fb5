"""Every kind of index takes what NumPy's does, and its gradient counts each element as taken."""

import operator
from array import array
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autolm import Tensor, ops

SHAPE = (3, 2, 4)
KINDS = ["number", "slice", "positions", "mask", "mask2", "new", "end"]


class Index:
    """A number of somebody's own that serves as an index."""

    def __init__(self, number):
        self.number = number

    def __index__(self):
        return self.number


class Exporter:
    """Something of somebody's own that gives an array."""

    def __init__(self, positions):
        self.positions = positions

    def __array__(self, dtype=None, copy=None):
        return np.array(self.positions, dtype=dtype)


def nested(kind, positions):
    if positions.ndim == 0:
        return positions.item()
    return kind(nested(kind, row) for row in positions)


NUMBERS = {"int": int, "np.integer": np.int16, "__index__": Index, "0-d": np.array}
FORMS = {
    "array": lambda positions: positions,
    "small array": lambda positions: positions.astype(np.int8),
    "list": lambda positions: nested(list, positions),
    "tuple": lambda positions: nested(tuple, positions),
    "Tensor": Tensor,
    "Tensor of a list": lambda positions: Tensor(positions.tolist()),
    "list of Tensors": lambda positions: [Tensor(row) for row in positions],
    "__array__": Exporter,
    "memoryview": memoryview,
}
ROWS = {"array.array": lambda positions: array("q", positions.tolist())}
if find_spec("torch"):
    import torch

    FORMS["PyTorch"] = torch.tensor


def numbers(n):
    """Draw a position and a way to write it."""
    return st.tuples(st.integers(-n, n - 1), st.sampled_from([*NUMBERS.values()])).map(
        lambda drawn: (drawn[1](drawn[0]), drawn[0])
    )


def positions(n, shape):
    """Draw positions, mostly with repeats, and a way to write them."""
    forms = {**FORMS, **(ROWS if len(shape) == 1 else {})}
    size = int(np.prod(shape))
    drawn = st.lists(st.integers(-n, n - 1), min_size=size, max_size=size)
    return st.tuples(drawn, st.sampled_from([*forms.values()])).map(
        lambda drawn: (
            drawn[1](np.array(drawn[0], np.int64).reshape(shape)),
            np.array(drawn[0], np.int64).reshape(shape),
        )
    )


def masks(shape, count):
    """Draw a mask with so many true, and a way to write it."""
    size = int(np.prod(shape))
    forms = [FORMS[name] for name in ("array", "list", "Tensor", "Tensor of a list", "__array__")]

    def write(drawn):
        order, form = drawn
        mask = (np.array(order) < count).reshape(shape)
        return form(mask), mask

    return st.tuples(st.permutations(range(size)), st.sampled_from(forms)).map(write)


def slices(n):
    return st.slices(n).map(lambda drawn: (drawn, drawn))


@st.composite
def indices(draw):
    """Draw an index of SHAPE, as a user may write it and as plain arrays."""
    shape = draw(st.sampled_from([(2,), (4,), (2, 2), (1,), (0,)]))
    parts, axis = [], 0
    while axis < len(SHAPE):
        n = SHAPE[axis]
        kind = draw(
            st.sampled_from(["number", "slice", "positions", "mask", "mask2", "new", "end"])
        )
        if kind == "end":
            break
        if kind == "new":
            if len(parts) < 5:
                parts.append((None, None))
            continue
        if kind.startswith("mask"):
            covered = SHAPE[axis : axis + (2 if kind == "mask2" else 1)]
            count = shape[-1] if len(shape) == 1 and shape[-1] <= np.prod(covered) else 1
            parts.append(draw(masks(covered, count)))
            axis += len(covered)
            continue
        strategy = {"number": numbers, "slice": slices}.get(kind)
        parts.append(draw(strategy(n) if strategy else positions(n, shape)))
        axis += 1
    if draw(st.booleans()):
        place = draw(st.sampled_from([0, len(parts)]))
        parts.insert(place, (..., ...))
    if len(parts) == 1 and draw(st.booleans()):
        return parts[0]
    return tuple(part[0] for part in parts), tuple(part[1] for part in parts)


def taken(index):
    """Where the elements of SHAPE come from that NumPy takes; None if it refuses the index."""
    try:
        return np.arange(np.prod(SHAPE)).reshape(SHAPE)[index]
    except IndexError:
        return None


@given(indices(), st.integers(0, 99))
def test_every_kind_of_index_takes_and_collects_what_numpy_takes(drawn, seed):
    index, plain = drawn
    places = taken(plain)
    rng = np.random.default_rng(seed)
    x = Tensor(rng.normal(size=SHAPE))
    if places is None:
        with pytest.raises(IndexError, match=r"^getitem of \(3, 2, 4\): "):
            x[index]
        return
    y = x[index]
    np.testing.assert_array_equal(y.data, x.data.ravel()[places])
    upstream = rng.normal(size=y.shape)
    y.backward(upstream)
    collected = np.bincount(places.ravel(), upstream.ravel(), minlength=x.size)
    np.testing.assert_allclose(x.grad, collected.reshape(SHAPE), rtol=1e-14, atol=1e-14)


@given(indices())
def test_index_changed_after_its_use_changes_nothing(drawn):
    index, plain = drawn
    places = taken(plain)
    assume(places is not None)
    x = Tensor(np.ones(SHAPE))
    y = x[index]
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, list):
            part.reverse()
            part.clear()
        elif isinstance(part, Tensor):
            part.data[...] = 0
        elif isinstance(part, np.ndarray | array | memoryview) and part is not None:
            np.asarray(part)[...] = 0
    y.backward(np.ones(y.shape))
    collected = np.bincount(places.ravel(), minlength=x.size)
    np.testing.assert_array_equal(x.grad, collected.reshape(SHAPE))


@pytest.mark.parametrize("index", [[], (), [[]], ([], []), (slice(None), []), [(), ()]])
def test_empty_list_takes_nothing_as_numpys_does(index):
    x = Tensor(np.ones(SHAPE))
    y = x[index]
    assert y.shape == x.data[index].shape
    y.backward(np.ones(y.shape))
    assert x.grad.sum() == y.size


WRONG = {
    "float": 1.5,
    "text": "a",
    "bytes": b"ab",
    "list of floats": [0.0],
    "list of texts": ["a"],
    "empty array of floats": np.array([]),
    "array of floats": np.array([0.0, 1.0]),
    "Tensor of floats": Tensor([0.0, 1.0]),
    "constant of floats": Tensor([0.0], requires_grad=False),
    "computed Tensor": Tensor([0, 1]) * 1,
    "complex": 1j,
    "rows of different lengths": [[0], [0, 1]],
    "dict": {0: 1},
    "set": {0},
    "slice of floats": slice(0.5, None),
    "slice of texts": slice("a", None),
    "None in a list": [None, 0],
    "slice in a list": [slice(None)],
}


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("index", WRONG.values(), ids=WRONG.keys())
def test_what_is_no_index_is_an_error_that_names_it(index, alone):
    with pytest.raises(TypeError, match=r"^getitem: .*(index|slice)"):
        Tensor(np.ones(SHAPE))[index if alone else (..., index)]


@pytest.mark.parametrize(
    "index", [3, -4, (0, 0, 0, 0), (..., ...), [0, 3], np.array([True]), 2**70, [2**63]]
)
def test_index_outside_the_array_is_an_index_error_that_names_the_operation(index):
    with pytest.raises(IndexError, match=r"^getitem"):
        Tensor(np.ones(SHAPE))[index]


def test_integers_from_a_list_stay_integers_until_they_are_changed():
    x, index = Tensor([5.0, 6.0, 7.0]), Tensor([0, 0, 2])
    assert index.dtype == np.float64
    assert x[index].data.tolist() == [5, 5, 7]
    assert x[index.detach()].data.tolist() == [5, 5, 7]
    assert x[Tensor([])].shape == (0,)
    index.data[0] = 0.5
    with pytest.raises(TypeError, match="getitem: index"):
        x[index]


def test_integers_from_a_list_serve_as_ids_targets_and_positions():
    table = Tensor(np.arange(6.0).reshape(3, 2))
    ids = [[2, 0], [2, 2]]
    np.testing.assert_array_equal(
        ops.embedding(table, token_ids=Tensor(ids)).data, ops.embedding(table, token_ids=ids).data
    )
    assert (
        ops.cross_entropy(table, targets=Tensor([0, 1, 1])).item()
        == ops.cross_entropy(table, targets=[0, 1, 1]).item()
    )
    assert "abc"[Tensor(2)] == "abc"[Tensor(np.int64(2))] == "c"
    for wrong in (Tensor(2.0), Tensor([2, 1]), Tensor(True)):
        with pytest.raises(TypeError):
            operator.index(wrong)


def trained(read):
    """Train the embedding and one layer of a name model for some steps."""
    rng = np.random.default_rng(0)
    characters, targets = rng.integers(0, 5, (20, 3)), rng.integers(0, 5, 20)
    table, weight = Tensor(rng.normal(size=(5, 2))), Tensor(rng.normal(size=(6, 5)))
    for _ in range(5):
        hidden = table[read(characters)].reshape(20, 6).tanh()
        loss = -(hidden @ weight).log_softmax()[np.arange(20), read(targets)].mean()
        table.zero_grad()
        weight.zero_grad()
        loss.backward()
        for parameter in (table, weight):
            parameter.data = parameter.data - 0.5 * parameter.grad
    return loss.item()


@pytest.mark.parametrize("name", ["Tensor", "Tensor of a list", "list", "memoryview"])
def test_model_that_looks_up_rows_trains_the_same_by_every_kind_of_index(name):
    assert trained(FORMS[name]) == trained(lambda index: index)


def test_assigning_to_elements_is_refused_with_what_to_do():
    x = Tensor([1.0, 2.0])
    with pytest.raises(TypeError, match=r"elements are not assigned to.*where"):
        x[0] = 1.0
    with pytest.raises(TypeError, match=r"elements are not assigned to"):
        x[0] += 1.0
    assert x.data.tolist() == [1.0, 2.0]
