"""`OPERATIONS.md` says what is so: every call on it is made, beside NumPy and PyTorch."""

from __future__ import annotations

import importlib.util
import io
import re
import types
import warnings
from itertools import zip_longest
from typing import Any

import numpy as np
import pytest

from autolm import Tensor, nn, ops
from autolm.ops.array_arguments import SPELLINGS
from autolm.tensor import numpy_functions, operators
from tests import page_of_operations as page
from tests.tensor.test_numpy_functions import FUNCTIONS, in_our_words

if not hasattr(np, "matvec"):
    pytest.skip("NumPy before 2.2 has not all of the names", allow_module_level=True)

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="no torch: pip install 'autolm[test,torch]'"
)
ROWS = page.rows()
NAMES = [row for row in ROWS if row.kind == "names"]
MEANINGS = [row for row in ROWS if row.kind == "meanings"]
PARTS = [row for row in ROWS if row.kind == "parts"]
PLAIN = ("Tensors and gradients", "Results without a gradient")  # which have none to keep
STEP = 1e-6
TEXT = page.PAGE.read_text("utf-8")


def each(rows: list[page.Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows, ids=lambda row: next(filter(None, row.cells))[:40])


def leaves(value: Any) -> list[Any]:
    """List the arrays and numbers of a result, also in lists."""
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in leaves(item)]
    is_one = isinstance(value, int | float | np.ndarray | np.generic) or hasattr(value, "detach")
    return [value] if is_one else []


def array(leaf: Any) -> Any:
    """Return the numbers of NumPy's, PyTorch's or our own."""
    return np.asarray(leaf.detach().numpy() if hasattr(leaf, "untyped_storage") else leaf)


def plain(leaf: Any) -> Any:
    return leaf.data if isinstance(leaf, Tensor) else array(leaf)


def assert_same(found: list[Any], expected: list[Any], call: str) -> None:
    assert len(found) == len(expected), call
    for own, other in zip(map(plain, found), map(plain, expected), strict=True):
        assert own.shape == other.shape, call
        digits = 1e-3 if np.float16 in (own.dtype, other.dtype) else 1e-12
        digits = max(digits, 1e-6) if np.float32 in (own.dtype, other.dtype) else digits
        np.testing.assert_allclose(own, other, rtol=digits, atol=digits, err_msg=call)


def numpys(call: str, shift: float = 0.0) -> list[Any]:
    """Run a call on arrays, each moved a little where it is one of floats."""
    names: dict[str, Any] = {"np": np}
    for place, (name, given) in enumerate(page.numbers().items()):
        moved = given + shift * direction(given, place) if given.dtype.kind == "f" else given
        names[name] = moved
    return leaves(page.result(call, names))


def direction(given: Any, place: int) -> Any:
    return np.random.default_rng(place).uniform(0.5, 1.0, given.shape)


def ours(call: str) -> tuple[list[Any], dict[str, Any]]:
    """Run a call on Tensors; return what it makes, and the Tensors."""
    names = page.names_here()
    tensors = {name: value for name, value in names.items() if isinstance(value, Tensor)}
    return leaves(page.result(call, names)), tensors


def upstreams(results: list[Any]) -> list[Any]:
    rng = np.random.default_rng(9)
    return [rng.uniform(0.5, 1.5, np.shape(leaf)) for leaf in results]


def gradients(results: list[Any], tensors: dict[str, Any]) -> dict[str, Any]:
    """Differentiate what was made, each in a direction of its own."""
    for leaf, upstream in zip(results, upstreams(results), strict=True):
        if isinstance(leaf, Tensor) and leaf.requires_grad:
            leaf.backward(upstream.astype(leaf.dtype))
    return {name: np.zeros(t.shape) if t.grad is None else t.grad for name, t in tensors.items()}


def works_here(call: str) -> bool:
    is_theirs = re.search(r"\b(torch|F)\.", call)
    return not is_theirs and page.error_here(call) is None


def test_the_page_is_what_the_records_and_the_calls_say() -> None:
    assert page.page() == TEXT, "run python -m tests.page_of_operations"


@each(NAMES)
def test_a_call_without_a_mark_has_numpys_value_and_keeps_the_gradient(row: page.Row) -> None:
    for of_numpy, of_torch, own in zip_longest(*map(row.groups, range(3)), fillvalue=()):
        if not of_numpy:
            continue
        expected = numpys(of_numpy[0])
        for call in of_numpy[1:]:
            assert_same(numpys(call) or expected, expected, call)
        if not expected:
            continue
        ahead, behind = (numpys(of_numpy[0], sign * STEP) for sign in (1, -1))
        for call in filter(works_here, [*own, *of_numpy, *of_torch]):
            results, tensors = ours(call)
            assert_same(results, expected, call)
            if row.section in PLAIN or any(plain(y).dtype == np.float32 for y in results):
                continue
            weights = upstreams(results)
            slope = sum(
                ((a - b) / (2 * STEP) * w).sum()
                for a, b, w in zip(ahead, behind, weights, strict=True)
                if np.asarray(a).dtype.kind == "f"
            )
            places = {name: i for i, name in enumerate(page.numbers())}
            found = sum(
                (grad * direction(grad, places[name])).sum()
                for name, grad in gradients(results, tensors).items()
            )
            np.testing.assert_allclose(found, slope, rtol=1e-6, atol=1e-7, err_msg=call)


@each(NAMES)
def test_a_call_with_a_mark_raises_in_our_words_what_stands_there(row: page.Row) -> None:
    marked = [call for column in (0, 1) for call in row.calls(column)]
    assert all(works_here(call) for call in row.calls(2))
    for call in marked:
        error = page.error_here(call)
        if error is not None:
            assert f"`{call}`\N{NO-BREAK SPACE}✗" in TEXT
            assert isinstance(error, AttributeError) or in_our_words(error), repr(error)
            assert row.cells[3] or page.said(error).replace("*", "\\*").replace("_", "\\_") in TEXT


def pytorchs(call: str) -> tuple[list[Any], dict[str, Any]]:
    """Run a call on PyTorch's tensors; return what it makes, and the leaves."""
    import torch

    made = {name: torch.tensor(given) for name, given in page.numbers().items()}
    tensors = {n: t.requires_grad_() for n, t in made.items() if t.is_floating_point()}
    names = {"torch": torch, "F": torch.nn.functional, "np": np, **made}
    names.update({name: tensor.clone() for name, tensor in tensors.items()})
    return leaves(page.result(call, names)), tensors


@needs_torch
@each([row for row in NAMES if row.cells[1]])
def test_a_call_of_pytorch_has_the_value_and_the_gradients_of_ours(row: page.Row) -> None:
    import torch

    for theirs, own in zip(row.groups(1), row.groups(2), strict=True):
        results, tensors = ours(own[0])
        found = gradients(results, tensors) if row.section not in PLAIN else {}
        for call in theirs:
            if "cuda" in call:
                continue
            expected, leaves_there = pytorchs(call)
            if not expected:
                continue
            assert_same(results, expected, call)
            if works_here(call):
                assert_same(ours(call)[0], expected, call)
            dependent = [y for y in expected if getattr(y, "requires_grad", False)]
            if not found or not isinstance(results[0], Tensor):
                continue
            weights = [torch.tensor(w, dtype=dependent[0].dtype) for w in upstreams(results)]
            needed = list(leaves_there.values())
            sent = torch.autograd.grad(dependent, needed, weights, allow_unused=True)
            for (name, leaf), grad in zip(leaves_there.items(), sent, strict=True):
                slope = torch.zeros_like(leaf) if grad is None else grad
                digits = 1e-6 if dependent[0].dtype == torch.float32 else 1e-11
                np.testing.assert_allclose(
                    found[name], slope.numpy(), rtol=digits, atol=digits, err_msg=call
                )


def outcome(run: Any, call: str) -> list[Any] | None:
    """Return what a call makes, or None where it is refused or makes nothing to compare."""
    try:
        return run(call) or None
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        return None


def agree(found: list[Any] | None, expected: list[Any] | None) -> bool:
    if found is None or expected is None or len(found) != len(expected):
        return False
    pairs = list(zip(map(plain, found), map(plain, expected), strict=True))
    return all(a.shape == b.shape and np.allclose(a, b, rtol=1e-9) for a, b in pairs)


def of_dtypes(call: str) -> bool:
    return call.endswith(".dtype") or call.endswith(".dtype)")


@needs_torch
@each(MEANINGS)
def test_a_word_with_two_meanings_has_the_one_that_is_told(row: page.Row) -> None:
    calls = row.cells[0].split("; ")
    numpy_call, torch_call, own = calls * 3 if len(calls) == 1 else calls
    if of_dtypes(own):
        assert str(page.result(own, page.names_here())) == "float64"
        return
    there = outcome(numpys, numpy_call) if numpy_call else None
    beside = outcome(lambda call: pytorchs(call)[0], torch_call)
    here = outcome(lambda call: ours(call)[0], own)
    assert not agree(there, beside)
    means = row.cells[3].partition(":")[0]
    assert agree(here, there) == (means == "NumPy's")
    assert agree(here, beside) == (means == "PyTorch's")
    assert (page.error_here(own) is not None) == (means == "refused")


def test_every_operation_and_every_word_of_numpys_and_of_the_absent_is_on_the_page() -> None:
    whats = {row.cells[3] for row in NAMES}
    assert {f"={op.name}" for op in ops.OPERATIONS} <= whats
    calls = [call for row in NAMES for call in row.calls(0)]
    works = " ".join(call for call in calls if not page.error_here(call))

    def missing(names: Any, text: str) -> set[str]:
        return {name for name in names if not re.search(rf"np\.{name}\(", text)}

    assert missing({*numpy_functions.UFUNCS, *numpy_functions.FUNCTIONS}, works) == set()
    reduced = {f"{name}.reduce" for name in numpy_functions.REDUCTIONS}
    assert missing(reduced, works) == set()
    assert {name for name in operators.ABSENT if f"`{name}`" not in TEXT} == set()
    for theirs, own in SPELLINGS.items():
        assert f"`{theirs}` is read as `{own}`" in TEXT


@needs_torch
def test_every_name_of_pytorchs_samples_that_is_compared_or_a_function_is_on_the_page() -> None:
    from torch.testing._internal.common_methods_invocations import op_db

    from tests.ops.test_against_opinfo import CALLS

    rooms = ("nn.functional", "linalg")
    known = {info.name for info in op_db if info.name.startswith("nn.functional.")} | {*CALLS}
    names = set()
    for name in known:
        room = next((room for room in rooms if name.startswith(f"{room}.")), "")
        names.add(name.removeprefix(f"{room}.").split(".")[0])
    calls = " ".join(call for row in NAMES for call in row.calls(1))
    written = {name for name in names if re.search(rf"\b{name}\(", calls) or f"`{name}`" in TEXT}
    assert {name for name in names - written if not name.startswith("__")} == set()


def absent() -> dict[str, list[str]]:
    """Read the lists of what is absent, by their headings."""
    lists = re.findall(r"^- \*\*(.*)\*\*: (.*)$", TEXT.split("## Absent")[1], re.MULTILINE)
    return {of: re.findall(r"`(\w+)`", names) for of, names in lists}


def test_a_function_of_numpys_is_on_the_page_or_has_no_counterpart() -> None:
    lists = absent()
    listed = {name for of, names in lists.items() if of.startswith("NumPy") for name in names}
    listed |= {f"linalg.{name}" for name in lists["`np.linalg`"]}
    tables = numpy_functions
    calls = " ".join(call for row in NAMES for call in row.calls(0))
    known = {*tables.UFUNCS, *tables.FUNCTIONS, *re.findall(r"np\.([\w.]+)\(", calls)}
    known |= tables.CONSTANT_UFUNCS | tables.CONSTANT_FUNCTIONS
    assert listed & known == set()
    wholly_absent = ("fft.", "lib.")
    for function in FUNCTIONS.values():
        if isinstance(function, types.BuiltinMethodType):
            continue  # of an array or a ufunc
        room = getattr(function, "__module__", None) or "numpy"
        called = f"{room}.{function.__name__}".removeprefix("numpy.")
        assert (called in known | listed) != called.startswith(wholly_absent), called


def test_what_pytorch_has_and_is_said_to_be_absent_is_absent() -> None:
    lists = absent()
    functions = [name for of, names in lists.items() if of.startswith("`F`") for name in names]
    assert len(functions) > 60
    assert [name for name in functions if hasattr(ops, name)] == []
    methods = lists["methods of PyTorch's Tensors"]
    assert [name for name in methods if hasattr(Tensor([1.0]), name)] == []


@needs_torch
def test_what_is_said_to_be_absent_is_there_in_pytorch() -> None:
    import torch

    lists = absent()
    functions = [name for of, names in lists.items() if of.startswith("`F`") for name in names]
    assert [name for name in functions if not hasattr(torch.nn.functional, name)] == []
    methods = lists["methods of PyTorch's Tensors"]
    assert [name for name in methods if not hasattr(torch.Tensor, name)] == []


WITH_OUT = ("fix", "isneginf", "isposinf")
ONE_BY_ONE = {name for name in numpy_functions.CONSTANT_UFUNCS if getattr(np, name).nin == 1}
ODD = ("can_cast", "result_type", "save", "savetxt", "savez", "savez_compressed")


def ways() -> list[tuple[Any, ...]]:
    """List arguments in which Tensors may stand, for functions of any kind."""
    given = page.names_here()
    x, y, v, m = (given[name] for name in "xyvm")
    return [(x,), (x, y), (m,), (v, 1), (v, v), (v, v > 0)]


def odd_ways() -> list[tuple[Any, ...]]:
    """List arguments of functions that want a file or a type."""
    x = page.names_here()["x"]
    return [(x, float), (io.BytesIO(), x)]


@pytest.mark.parametrize(
    "name",
    sorted(numpy_functions.CONSTANT_UFUNCS | numpy_functions.CONSTANT_FUNCTIONS),
)
def test_a_function_without_a_gradient_gives_what_it_gives_of_arrays(name: str) -> None:
    function, called = np, 0
    for word in name.split("."):
        function = getattr(function, word, None)
    if function is None:
        pytest.skip("this NumPy has it no longer")
    for args in odd_ways() if name in ODD else ways():
        try:
            with warnings.catch_warnings(action="ignore"):
                expected = function(*numpy_functions.plain(args))
        except Exception:
            continue
        if len(args) == 2 and (name in WITH_OUT or name in ONE_BY_ONE):
            continue  # the second would be written into
        with warnings.catch_warnings(action="ignore"):
            found = function(*args)
        called += 1
        assert not any(isinstance(leaf, Tensor) for leaf in leaves(found))
        if name not in ("empty_like", "array_repr", "array_str", "array2string"):
            assert_same(leaves(found), leaves(expected), name)
    assert called


X = np.random.default_rng(3).normal(size=(2, 4))
SEQUENCE = np.random.default_rng(4).normal(size=(2, 5, 4))


def copied(theirs: Any, own: Any) -> Any:
    """Give PyTorch's layer the weights of ours, by the names and layouts that the page tells."""
    import torch

    def put(parameter: Any, given: Any) -> None:
        assert parameter.shape == given.shape
        parameter.data = torch.tensor(given)

    match own:
        case nn.Linear():
            put(theirs.weight, own.weight.data.T)
            put(theirs.bias, own.bias.data)
        case nn.Embedding():
            put(theirs.weight, own.weight.data)
        case nn.LayerNorm():
            put(theirs.weight, own.gain.data)
            put(theirs.bias, own.bias.data)
        case nn.RMSNorm():
            put(theirs.weight, own.gain.data)
        case nn.MultiHeadAttention():
            thirds = np.concatenate([own.W_Q.data.T, own.W_K.data.T, own.W_V.data.T])
            put(theirs.in_proj_weight, thirds)
            put(theirs.out_proj.weight, own.W_O.data.T)
        case nn.Block():
            copied(theirs.self_attn, own.attention)
            for bias in (theirs.self_attn.in_proj_bias, theirs.self_attn.out_proj.bias):
                put(bias, np.zeros(bias.shape))
            for linear, weight in (
                (theirs.linear1, own.feed_forward.W_1),
                (theirs.linear2, own.feed_forward.W_2),
            ):
                put(linear.weight, weight.data.T)
                put(linear.bias, np.zeros(linear.bias.shape))
            copied(theirs.norm1, own.norm_1)
            copied(theirs.norm2, own.norm_2)
    return theirs


@needs_torch
@each(PARTS)
def test_a_part_of_pytorchs_and_ours_are_made_as_written_and_agree(row: page.Row) -> None:
    import torch

    model = torch.nn.Linear(3, 2).double()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    schedules = torch.optim.lr_scheduler
    names = {"torch": torch, "nn": torch.nn, "optim": torch.optim, "lr": schedules}
    names |= {"model": model, "optimizer": optimizer, "w": [*model.parameters()]}
    theirs = [page.result(call, {**names}) for call in row.calls(0)]
    own = [page.result(call, page.names_here()) for call in row.calls(1)]
    if row.section == "Schedules":
        rates = []
        for _ in range(101):
            rates.append(optimizer.param_groups[0]["lr"])
            with warnings.catch_warnings(action="ignore"):  # on the epoch that is told to parts
                optimizer.step()
                theirs[0].step()
        np.testing.assert_allclose([own[0](step) for step in range(101)], rates, atol=1e-12)
    if not isinstance(own[0], nn.Module):
        return
    layer = copied(theirs[0].double(), own[0])
    for parameter in own[0].parameters():
        parameter.data = np.random.default_rng(parameter.ndim).normal(size=parameter.shape)
    copied(layer, own[0])
    width = row.calls(1)[0].partition("(")[2].partition(",")[0].rstrip(")")
    given = SEQUENCE[..., : int(width)]
    if isinstance(own[0], nn.Embedding):
        given = np.array([[0, 4, 2]])
    there = torch.tensor(given)
    is_attention = isinstance(own[0], nn.MultiHeadAttention)
    result = layer(there, there, there)[0] if is_attention else layer(there)
    np.testing.assert_allclose(
        own[0](given if given.dtype.kind == "i" else Tensor(given)).data,
        result.detach().numpy(),
        rtol=1e-10,
        atol=1e-12,
    )


def test_the_lessons_conventions_of_optimizers_and_schedules_are_on_the_page() -> None:
    for kind in (nn.SGD, nn.Adam, nn.AdamW, nn.clip_gradients, nn.schedule):
        assert f"nn.{kind.__name__}(" in " ".join(call for row in PARTS for call in row.calls(1))
    for word in ("λ is 0.01", "t counts all steps", "adds 10⁻⁶ to the divisor", "one step later"):
        assert word in TEXT
