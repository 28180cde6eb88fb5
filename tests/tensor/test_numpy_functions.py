"""Every public function of NumPy, of Tensors: its gradient is right, or the call is refused.

No function is left out and none is listed: all that NumPy has are called in all the ways below that
it accepts of plain arrays, with one of them a Tensor. Whether the result depends on that one is
seen by differences of NumPy's own results, in a random direction.
"""

import inspect
import math
import warnings
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pytest

from autolm import Tensor, Value, no_grad, ops

STEP = 1e-6


def public_functions() -> dict[str, Callable[..., Any]]:
    """Collect NumPy's functions, and its ufuncs with their methods, by their names."""
    unfit = ("busday", "empty_like", "save")  # of days; not initialized; writes files
    rooms = [np, np.linalg, np.fft, np.lib.stride_tricks, np.lib.scimath]
    found = {}
    for room in rooms:
        for name in dir(room):
            function = getattr(room, name)
            if any(word in name for word in unfit) or function in found.values():
                continue
            if isinstance(function, np.ufunc):
                found[f"{room.__name__}.{name}"] = function
                for method in ("reduce", "accumulate", "outer", "reduceat", "at"):
                    found[f"{room.__name__}.{name}.{method}"] = getattr(function, method)
            elif hasattr(function, "_implementation"):
                found[f"{room.__name__}.{name}"] = function
    return found


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


def in_our_words(error: BaseException) -> bool:
    """Whether an error is ours, or NumPy's on top of ours."""
    names = [f"{op.name}{mark}" for op in ops.PRIMITIVES for mark in (":", " of")]
    ours = str(error).startswith(
        ("numpy.", "NumPy would take", "output array is read-only", "Tensor:", *names)
    )
    return (
        ours or "Tensor" in str(error) or (bool(error.__cause__) and in_our_words(error.__cause__))
    )


def is_alone_in_a_list(function: Any, way: Any) -> bool:
    """Whether a function in C gets a list with one Tensor: it looks like `np.asarray(x)` to us."""
    in_python = inspect.isfunction(getattr(function, "_implementation", None))
    arguments = [*way[0], *way[1].values()]
    if inspect.isbuiltin(function) and "initial" in way[1]:
        return True  # of a ufunc's method, which asks no more of it than of a list
    lists = [each for each in arguments if isinstance(each, list | tuple)]
    return not in_python and any(str(each).count("x") == 1 for each in lists)


POINTS = [((), 0.4), ((2,), 0.4), ((2, 2), 0.4), ((2,), 1.3)]
CALLS = [(shape, low, way) for shape, low in POINTS for way in ways(shape)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_numpys_keeps_the_gradient_or_says_what_to_use(name: str) -> None:
    function, rng = FUNCTIONS[name], np.random.default_rng(0)
    for shape, low, way in CALLS:
        if shape == () and name.endswith(".reduce"):
            continue
        array = low + np.reshape(rng.permutation(8)[: int(np.prod(shape))] * 0.06, shape)
        direction = rng.uniform(0.5, 1.0, shape)
        expected = slopes(function, way, array, direction)
        if expected is None or is_alone_in_a_list(function, way):
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


def test_a_list_of_tensors_is_not_made_an_array_unasked() -> None:
    for x in (Tensor(2.0), Tensor([1.0, 2.0]), Tensor([[1.0]])):
        for call in (np.array, np.asarray, np.exp, np.mean, np.stack, np.linalg.norm):
            result = None
            try:
                result = call([x, x])
            except TypeError as error:
                assert "ops.stack" in str(error) or "use" in str(error)
            assert result is None or isinstance(result, Tensor)


def test_an_array_that_was_asked_for_is_made_without_a_word() -> None:
    x, y = Tensor([1.0, 2.0]), Tensor(3.0)
    arrays = [np.asarray(x), np.array(x), np.asanyarray(x), *[np.asarray(t) for t in (x, x, y)]]
    kept = np.asanyarray(x), np.asarray(x), float(y), [*map(np.asarray, (x, y, y))]
    assert len(arrays) + len(kept) == 10
    assert [float(y), np.asarray(y).item(), math.exp(y)] == [3.0, 3.0, math.exp(3)]


def test_nothing_is_refused_that_needs_no_gradient() -> None:
    constant, x = Tensor([1.0, 2.0], requires_grad=False), Tensor([1.0, 2.0])
    array = np.zeros(2)
    array += constant
    assert array.tolist() == [1.0, 2.0]
    assert np.linalg.norm(constant) == np.linalg.norm([1.0, 2.0])
    assert np.array([constant, constant]).shape == (2, 2)
    with no_grad():
        assert np.prod(x) == 2.0
        assert np.array([x, x]).shape == (2, 2)


def test_adding_to_an_array_in_place_says_what_to_do() -> None:
    array = np.zeros(2)
    with pytest.raises(TypeError, match=r"^numpy.add: .*write a = a \+ x, .* or use x\.data$"):
        array += Tensor([1.0, 2.0])
    assert array.tolist() == [0.0, 0.0]


def test_functions_of_a_value_are_values() -> None:
    v = Value(2.0)
    for result in (np.exp(v), np.float64(2) * v, np.sqrt(v) - np.float64(1), *(np.ones(2) * v)):
        assert isinstance(result, Value)
        v.zero_grad()
        result.backward()
        assert v.grad != 0


CONVERSIONS = [
    "np.asarray(x)",
    "np.asanyarray(x)",
    "np.asarray(x).ravel()",
    "np.asanyarray(x).ravel()",
    "np.asanyarray(x)[1:]",
    "np.asanyarray(x).T",
    "np.asarray(x, np.float32)[0:1].reshape(1, 1)",
    "np.asanyarray(x, float)",
    "np.ascontiguousarray(x)",
    "np.require(x)",
    "{'a': np.asarray(x)}",
    "memoryview(np.asarray(x))",
    "np.asarray(x).view(np.int64)",
]


@pytest.mark.parametrize("conversion", CONVERSIONS)
def test_conversions_that_somebody_wrote_detach_one_after_the_other(conversion):
    xs = [Tensor([1.0, 2.0]), Tensor([3.0, 4.0]), Tensor([1.0, 2.0])]
    names = {"np": np, "xs": xs, "kept": []}
    exec(f"for x in xs: kept.append({conversion})", names)
    assert len([eval(conversion, {"np": np, "x": x}) for x in xs]) == len(names["kept"]) == 3


def test_a_library_that_plots_takes_the_numbers():
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot

    x, y = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    figure, axes = pyplot.subplots()
    (line,) = axes.plot(x, y)
    axes.scatter(x, y)
    axes.bar([0, 1], x)
    assert line.get_xydata().tolist() == [[1, 3], [2, 4]]
    pyplot.close(figure)
