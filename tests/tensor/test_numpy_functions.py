"""Every public function of NumPy, of Tensors: its gradient is right, or the call is refused.

No function is left out and none is listed: all that NumPy has are called in all the ways below that
it accepts of plain arrays, with one of them a Tensor. Whether the result depends on that one is
seen by differences of NumPy's own results, in a random direction.
"""

import math
import re
import warnings
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pytest

from autolm import Tensor, Value, no_grad, ops
from autolm.tensor.numpy_functions import plain

STEP = 1e-6


ARRAY = np.array([[0.3, 0.8], [0.5, 0.6]])
# Methods that change their array, or write files; the first three stand in LOSING.
CHANGING = ("fill", "put", "partition", "dump", "tofile", "resize", "setflags", "sort", "byteswap")


def public_functions() -> dict[str, Callable[..., Any]]:
    """Collect NumPy's functions, and its ufuncs with their methods, by their names."""
    unfit = ("busday", "empty_like", "save")  # of days; not initialized; writes files
    rooms = [np, np.linalg, np.fft, np.lib.stride_tricks, np.lib.scimath]
    functions = {}
    for room in rooms:
        for name in dir(room):
            function = getattr(room, name)
            if any(word in name for word in unfit) or function in functions.values():
                continue
            if isinstance(function, np.ufunc):
                functions[f"{room.__name__}.{name}"] = function
                for method in ("reduce", "accumulate", "outer", "reduceat", "at"):
                    functions[f"{room.__name__}.{name}.{method}"] = getattr(function, method)
            elif hasattr(function, "_implementation"):
                functions[f"{room.__name__}.{name}"] = function
    for name in dir(ARRAY):
        if callable(getattr(ARRAY, name)) and name not in CHANGING and not name.startswith("_"):
            functions[f"array.{name}"] = getattr(ARRAY, name)
    return functions


FUNCTIONS = public_functions()


class Here:
    """Where the Tensor stands among the arguments."""

    def __repr__(self) -> str:
        return "x"


class Other:
    """Where another array stands."""

    def __repr__(self) -> str:
        return "array"

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.array = np.random.default_rng(len(shape)).uniform(0.3, 0.9, shape)


HERE = Here()
MASK = [True, False]


def ways(shape: tuple[int, ...]) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """List arguments, and keyword arguments, with a place for an array of this shape."""
    same, row = Other(shape), Other((2,))
    mask = np.arange(np.prod(shape)).reshape(shape) % 2 == 0
    given: list[tuple[Any, ...]] = [
        *((HERE,), (HERE, same), (same, HERE), (HERE, HERE), ([HERE, same],), ([same, HERE],)),
        *(((HERE, HERE),), ([HERE],), ([HERE, same], same)),
        *((HERE, 0), (HERE, 1), (HERE, 2), (0, HERE), (1.5, HERE), (HERE, (2, 2)), (HERE, (0,))),
        *((HERE, 0, 1), (HERE, 1, 0), (HERE, 0, None), (HERE, None, 0.8), (HERE, 0.2, HERE)),
        *((mask, HERE, same), (mask, same, HERE), (mask, HERE), (HERE, mask, same), (HERE, row)),
        *((same, same, HERE), (same, HERE, same), (same, mask, HERE), (HERE, [0, 0])),
        ([0, 0], HERE),
        *((HERE, [0], same), (same, [0], HERE), ([mask], [HERE]), ([mask, ~mask], [same, HERE])),
        *(("...,...->...", HERE, same), ("...->", HERE), (HERE, 0, 0)),
        *((lambda v: v.sum(), 0, HERE), (np.sum, HERE, 0), ([True, False], HERE), (HERE, 3)),
        *((HERE, np.zeros(shape, int)), (HERE, [lambda v: v]), (HERE, [mask], [lambda v: v])),
        *((HERE, np.zeros(shape, int), 0), (same, np.zeros(shape, int), HERE, 0)),
    ]
    options: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((HERE,), {"axis": 0}),
        ((HERE,), {"axis": -1, "keepdims": True}),
        ((HERE,), {"out": np.zeros(shape)}),
        ((HERE, same), {"out": np.zeros(shape)}),
        ((HERE,), {"dtype": "float64"}),
        ((HERE, same), {"dtype": "float64"}),
        ((HERE, same), {"where": mask, "out": np.zeros(shape)}),
        ((same,), {"initial": HERE}),
        ((HERE,), {"initial": 0.1}),
        ((HERE,), {"ddof": 1}),
        ((HERE,), {"weights": same}),
        ((same,), {"weights": HERE}),
        (([0, 1],), {"weights": HERE}),
        ((same,), {"fill_value": HERE}),
        ((HERE,), {"fill_value": 1.0}),
        ((same, HERE), {"axis": 0}),
        (([HERE, same],), {"axis": -1}),
        (([HERE, same],), {"axis": None}),
        ((same,), {"min": HERE, "max": 1.0}),
        ((HERE,), {"min": 0.1, "max": 1.0}),
        ((HERE,), {"repeats": 2, "axis": 0}),
        ((HERE,), {"prepend": HERE}),
        ((same,), {"append": HERE, "axis": 0}),
        ((same,), {"out": HERE}),
    ]
    if shape == ():  # it has no axis
        given = [args for args in given if not any(type(arg) is int for arg in args)]
        options = [way for way in options if not {"axis", "out"} & set(way[1])]
    return [*((args, {}) for args in given), *options]


def filled(value: Any, here: Any) -> Any:
    """Put `here` where the Tensor stands, and copies of the other arrays."""
    if isinstance(value, Here):
        return here
    if isinstance(value, Other):
        return value.array.copy()
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {name: filled(item, here) for name, item in value.items()}
    return (
        type(value)(filled(item, here) for item in value) if type(value) in (list, tuple) else value
    )


def leaves(value: Any) -> list[Any]:
    """List the floating point arrays and Tensors of a result, also in lists."""
    if isinstance(value, list | tuple | dict):
        items = value.values() if isinstance(value, dict) else value
        return list(chain.from_iterable(map(leaves, items)))
    if isinstance(value, Tensor):
        return [value]
    array = np.asarray(value) if isinstance(value, np.ndarray | np.generic | float) else np.zeros(0)
    return [array] if array.dtype.kind in "fc" else []


def results(function: Any, way: Any, here: Any) -> list[Any]:
    """Call a function; what it wrote into its other arguments is a result as well."""
    args, options = filled(way, here)
    with warnings.catch_warnings(action="ignore"):
        result = function(*args, **options)
    return [*leaves(result), *(leaf for leaf in leaves((args, options)) if leaf is not here)]


def slopes(function: Any, way: Any, array: np.ndarray, direction: np.ndarray) -> list[Any] | None:
    """Differentiate NumPy's results in a direction; None of a call that NumPy refuses."""
    try:
        ahead, behind = (
            results(function, way, np.asarray(array + sign * STEP * direction)) for sign in (1, -1)
        )
        differences = [(a - b) / (2 * STEP) for a, b in zip(ahead, behind, strict=True)]
    except Exception:
        return None
    return differences if all(np.isfinite(slope).all() for slope in differences) else None


# What NumPy says of itself: a Tensor is no place to write into, and a float is no index or mask.
NUMPYS_OWN = (
    *("output array is read-only", "output must be an array", "'out' must be an array"),
    *("Iterator operand is flagged as writeable", "Cannot cast array data"),
)


def in_our_words(error: BaseException) -> bool:
    """Whether an error is ours, or NumPy's on top of ours."""
    names = [f"{op.name}{mark}" for op in ops.OPERATIONS for mark in (":", " of")]
    ours = str(error).startswith(
        ("np.", "a Tensor that requires a gradient", "Tensor:", *NUMPYS_OWN, *names)
    )
    return (
        ours or "Tensor" in str(error) or (bool(error.__cause__) and in_our_words(error.__cause__))
    )


POINTS = [((), 0.4), ((2,), 0.4), ((2, 2), 0.4), ((2,), 1.3)]
CALLS = [(shape, low, way) for shape, low in POINTS for way in ways(shape)]


@pytest.mark.table(5)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_numpys_keeps_the_gradient_or_says_what_to_use(name: str) -> None:
    function, rng = FUNCTIONS[name], np.random.default_rng(0)
    for shape, low, way in CALLS:
        if shape == () and name.endswith(".reduce"):
            continue
        if shape == () and way[1].get("initial") is HERE:
            continue  # NumPy takes it by float(), which gives the number of a scalar
        array = low + np.reshape(rng.permutation(8)[: int(np.prod(shape))] * 0.06, shape)
        direction = rng.uniform(0.5, 1.0, shape)
        expected = slopes(function, way, array, direction)
        if expected is None:
            continue
        x = Tensor(array.copy())
        way_of = (shape, way)
        try:
            found = results(function, way, x)
        except (TypeError, ValueError) as error:
            assert in_our_words(error), f"{way_of}: {error!r}"
            continue
        finally:
            np.testing.assert_array_equal(x.data, array)
        if len(found) != len(expected):  # of integers NumPy's are no floats
            assert all(np.abs(slope).max(initial=0) < 1e-4 for slope in expected), way_of
            continue
        for leaf, slope in zip(found, expected, strict=True):
            if np.abs(slope).max(initial=0) > 1e-4:
                assert isinstance(leaf, Tensor), f"{way_of} lost the gradient: {leaf!r}"
                weights = rng.uniform(0.5, 1.5, leaf.shape)
                x.grad = None
                leaf.backward(weights)
                np.testing.assert_allclose(
                    (x.grad * direction).sum(),
                    (slope * weights).sum(),
                    rtol=1e-6,
                    err_msg=str(way_of),
                )


@pytest.mark.long
def test_the_calls_depend_on_the_tensor_for_most_functions() -> None:
    dependent = set()
    for name, function in FUNCTIONS.items():
        for shape, low, way in CALLS:
            array = low + 0.06 * np.arange(np.prod(shape)).reshape(shape)
            found = slopes(function, way, array, np.ones(shape)) or []
            if any(np.abs(slope).max(initial=0) > 1e-4 for slope in found):
                dependent.add(name)
                break
    assert len(dependent) > 300, sorted(FUNCTIONS.keys() - dependent)


def test_nothing_is_refused_that_needs_no_gradient() -> None:
    constant, x = Tensor([1.0, 2.0], requires_grad=False), Tensor([1.0, 2.0])
    zeros = np.zeros(2)
    zeros += constant
    assert zeros.tolist() == [1.0, 2.0]
    assert np.linalg.norm(constant) == np.linalg.norm([1.0, 2.0])
    assert np.array([constant, constant]).shape == (2, 2)
    with no_grad():
        assert np.prod(x) == 2.0
        assert np.array([x, x]).shape == (2, 2)


def test_adding_to_an_array_in_place_says_what_to_do() -> None:
    array = np.zeros(2)
    with pytest.raises(TypeError, match=r"^np.add: .*write a = a \+ t, .* or use t\.data$"):
        array += Tensor([1.0, 2.0])
    assert array.tolist() == [0.0, 0.0]


def test_functions_of_a_value_are_values() -> None:
    v = Value(2.0)
    for result in (np.exp(v), np.float64(2) * v, np.sqrt(v) - np.float64(1), *(np.ones(2) * v)):
        assert isinstance(result, Value)
        v.zero_grad()
        result.backward()
        assert v.grad != 0


def around(x: Tensor, s: Tensor) -> dict[str, Any]:
    """Name what the programs below are written with."""
    return {
        **{"np": np, "math": math, "ops": ops, "x": x, "s": s, "xs": [x, x], "pair": (s, s)},
        **{"array": np.ones(3), "matrix": np.ones((2, 3)), "rng": np.random.default_rng(0)},
    }


LOSING = """
np.asarray(x)                   np.asarray(x * 1)               np.asarray(x, np.float32)
np.array(x)                     np.array(s)                     np.array(x, dtype=object)
np.asanyarray(x)                np.ascontiguousarray(x)         np.asfortranarray(x)
np.require(x)                   np.float32(x)                   np.array(x, copy=None)
np.array([x])                   np.array([x, x])                np.array((s, s))
np.array(xs)                    np.array(pair, dtype=float)     np.array(list(x))
np.asarray([t * 2 for t in xs])                                 np.array([[s, 1.0], [1.0, s]])
np.array([np.ones(3), x])       np.asarray(np.exp(x))           np.asarray(ops.stack([x, x]))
np.array([x, [1, 2, 3]])
matrix.dot(x)                   (array - 1).dot(x)              array.put([0], s)
array.choose(xs)                array.clip(x, x)                array.searchsorted(x)
array.std(mean=s)               array.__mul__([x])              x.data @ [x]
array.__setitem__(0, x)         array.__setitem__(slice(3), x)  np.array([0, 1, 2])[x]
rng.normal(x)                   rng.normal(loc=s, scale=0.1)    np.random.normal(x)
np.random.gamma(s)              np.random.uniform(x)            rng.choice(x)
np.nditer([x, x], flags=["buffered"])                           np.broadcast(x, x)
np.multiply([x], [x])           np.concatenate([[x], [x]])      np.mean([x, x])
array * [x]                     [x] - array                     np.add.outer([x], [1])
np.dot([x], array)              np.where([True], [x], 0)        np.linalg.norm([s, s])
np.isnan(pair)                  np.isclose(pair, 1)             np.greater([x], [x])
np.full(3, s)                   np.full_like(x, s)              np.arange(s)
np.linspace(0, s)               np.diff(x)                      np.r_[x, x]
np.vectorize(math.exp)(x)       np.vectorize(math.exp, otypes=[float])(x)
np.ma.array(x)                  np.ma.exp(x)                    np.poly1d(x)
np.testing.assert_allclose(x, x)                                np.polynomial.Polynomial(x)
float(x)                        int(x)                          math.exp(x)
"""
# A scalar converts, as in PyTorch: Python's float(), and all that calls it, gives a plain number.
CONVERTING = """
float(s)                        int(s)                          bool(s)
complex(s)                      f"{s:.3f}"                      "%.3f" % s
math.exp(s)                     math.fsum(x)                    sorted(pair, key=float)
np.float64(s)                   np.fromiter(pair, float)        array.__setitem__(0, s)
array.fill(s)                   array.sum(initial=s)            np.max(array, initial=s)
float(x.sum())                  float(x[1:2])                   f"{x.mean():.2e}"
"""
ASKING = """
x.data                          x.numpy()                       x.detach()
x.tolist()                      s.item()                        np.asarray(x.data)
np.asarray(x.detach())          np.array([t.data for t in xs])  np.array([float(s), float(s)])
np.isnan(x)                     np.argmax(x)                    np.allclose(x, x)
"""


def programs(text: str) -> list[str]:
    return [piece for line in text.splitlines() for piece in re.split(r"\s{2,}", line) if piece]


def leaf_or_result(kind: str) -> tuple[Tensor, Tensor]:
    x, s = Tensor([1.0, 2.0, 3.0]), Tensor(2.0)
    return (x, s) if kind == "leaf" else (x * 1, s * 1)


@pytest.mark.parametrize("kind", ["leaf", "result"])
@pytest.mark.parametrize("expression", programs(LOSING))
def test_what_makes_an_array_of_a_tensor_that_requires_a_gradient_is_refused(expression, kind):
    with pytest.raises((TypeError, ValueError)) as caught:
        eval(expression, around(*leaf_or_result(kind)))
    assert in_our_words(caught.value)


@pytest.mark.parametrize("kind", ["leaf", "result"])
@pytest.mark.parametrize("expression", programs(CONVERTING + ASKING))
def test_a_scalar_converts_and_what_asks_for_the_numbers_gets_them(expression, kind):
    result = eval(expression, around(*leaf_or_result(kind)))
    expected = eval(expression.replace(".detach()", ""), around(*constants()))
    assert not getattr(result, "requires_grad", False)
    np.testing.assert_array_equal(plain(result), plain(expected))


def constants() -> tuple[Tensor, Tensor]:
    return Tensor([1.0, 2.0, 3.0], requires_grad=False), Tensor(2.0, requires_grad=False)


@pytest.mark.parametrize("expression", programs(LOSING))
def test_without_a_gradient_a_tensor_is_an_array_to_numpy(expression):
    if expression == "array.std(mean=s)":
        return  # NumPy writes into what it computes of the mean, and refuses a Tensor there
    arrays = np.array([1.0, 2.0, 3.0]), np.array(2.0)
    found, expected = (outcome(expression, *given) for given in (constants(), arrays))
    if isinstance(expected, Exception):
        assert isinstance(found, Exception)
    elif isinstance(expected, np.ndarray | float):
        np.testing.assert_array_equal(plain(found), expected)
    else:
        assert type(found) is type(expected)


def outcome(expression: str, x: Any, s: Any) -> Any:
    np.random.seed(0)
    try:
        return eval(expression, around(x, s))
    except (TypeError, ValueError, IndexError) as error:
        return error


@pytest.mark.parametrize(
    ("expression", "advice"),
    [
        ("np.asarray(x)", r"^a Tensor that requires a gradient .*use t\.data or t\.detach\(\)"),
        ("np.array([x, x])", r"autolm\.ops\.stack for a list of Tensors$"),
        ("np.diff(x)", r"^np\.diff does not differentiate: .*use t\.data or t\.detach\(\)$"),
        ("np.linalg.det(x)", r"^np\.linalg\.det does not differentiate"),
        ("np.add.accumulate(x)", r"^np\.add\.accumulate does not differentiate"),
        ("float(x)", r"^float\(x\) of a Tensor of shape \(2, 2\): only one element is a number"),
    ],
)
def test_the_error_names_the_cause_and_the_fix_in_one_line(expression, advice):
    with pytest.raises(TypeError, match=advice) as caught:
        eval(expression, {"np": np, "x": Tensor([[1.0, 2.0], [3.0, 5.0]])})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("index", [[1.7], [[0.0]]])
def test_a_float_is_no_index_of_an_array_as_in_numpy(index):
    with pytest.raises(TypeError, match="Cannot cast"):
        np.arange(30).take(Tensor(index, requires_grad=False))


def test_plotting_a_tensor_that_requires_a_gradient_says_to_write_its_data():
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot

    x, y = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    figure, axes = pyplot.subplots()
    for plot in (axes.plot, axes.scatter, axes.bar, lambda *arrays: axes.hist(arrays[0])):
        # `plot` copies its arguments before it converts them
        with pytest.raises(TypeError, match=r"use t\.data or t\.detach\(\)|use its \.data"):
            plot(x, y)
    (line,) = axes.plot(x.data, y.detach())
    assert line.get_xydata().tolist() == [[1, 3], [2, 4]]
    pyplot.close(figure)
