"""Modules know their parameters by path, enter their scope, and load weights all or none."""

from typing import Any

import numpy as np
import pytest

from autolm import Tensor
from autolm.engine.graph import topological_order
from autolm.nn import Block, Module


class Double(Module):
    def __init__(self) -> None:
        self.factor = Tensor(2.0)

    def forward(self, x: Any) -> Any:
        return x * self.factor


class Pair(Module):
    def __init__(self) -> None:
        self.first = Double()
        self.rest = [Double(), Double()]
        self.shift = Tensor([1.0, 2.0])

    def forward(self, x: Any) -> Any:
        for double in self.rest:
            x = double(x)
        return self.first(x) + self.shift


class Model(Module):
    def __init__(self) -> None:
        self.pairs = [Pair(), Pair()]

    def forward(self, x: Any) -> Any:
        for pair in self.pairs:
            x = pair(x)
        return x


PATHS = [
    f"pairs.{i}.{name}"
    for i in (0, 1)
    for name in ("first.factor", "rest.0.factor", "rest.1.factor", "shift")
]


def test_parameters_are_listed_by_path_in_the_order_of_definition() -> None:
    model = Model()
    assert [path for path, _ in model.named_parameters()] == PATHS
    assert [path for path, _ in Pair().named_parameters()] == [
        path.removeprefix("pairs.0.") for path in PATHS[:4]
    ]
    for path, parameter in model.named_parameters():
        assert (parameter.name, parameter.scope) == (path, path.rpartition(".")[0])


def test_nodes_are_made_in_the_scope_of_the_module_that_is_called() -> None:
    model = Model()
    result = model(Tensor([1.0, 1.0]))
    scopes = {node.scope for node in topological_order(result) if node.parents}
    assert scopes == {
        f"pairs.{i}{part}" for i in (0, 1) for part in ("", ".first", ".rest.0", ".rest.1")
    }


def test_scope_ends_with_the_call_even_by_an_exception() -> None:
    with pytest.raises(NotImplementedError, match="Module defines no forward"):
        Module()(1)
    assert Tensor(1.0).scope == ""


def test_a_shared_parameter_is_listed_once_and_a_constant_not_at_all() -> None:
    model = Model()
    model.pairs[1].shift = model.pairs[0].shift
    assert [path for path, _ in model.named_parameters()] == PATHS[:-1]
    assert model.num_parameters() == 8
    model.pairs[0].shift = Tensor([1.0, 2.0], requires_grad=False)
    assert model.pairs[0].num_parameters() == 3


def test_zero_grad_forgets_every_gradient() -> None:
    model = Model()
    model(Tensor([1.0, 1.0])).sum().backward()
    assert all(parameter.has_grad for parameter in model.parameters())
    model.zero_grad()
    assert not any(parameter.has_grad for parameter in model.parameters())


def test_state_goes_from_one_model_to_another_in_its_dtype_without_shared_memory() -> None:
    rng = np.random.default_rng(0)
    one, other = Block(4, 2, 8, rng=rng), Block(4, 2, 8, rng=rng, dtype="float32")
    state = {path: array.astype("float32") for path, array in one.state().items()}
    other.load_state(one.state())
    for path, array in other.state().items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, state[path])
    other.load_state(state)
    assert not any(np.shares_memory(array, state[path]) for path, array in other.state().items())


WRONG_ARRAYS: dict[str, tuple[Any, str]] = {
    "missing": (None, "is missing"),
    "another shape": (lambda a: np.zeros(3), r"has shape \(3,\), and \(2,\) is needed"),
    "complex": (lambda a: a.astype(complex), "has dtype complex128, and float64 is needed"),
    "integers": (lambda a: a.astype(int), "has dtype int64"),
    "text": (lambda a: a.astype(str), "has dtype <U"),
    "objects": (lambda a: a.astype(object), "has dtype object"),
    "a list": (lambda a: a.tolist(), "must be an array, not"),
    "a Tensor": (Tensor, "must be an array, not"),
    "too large": (
        lambda a: np.full(2, np.longdouble("1e400")),
        "has numbers too large for float64",
    ),
}


@pytest.mark.parametrize("kind", WRONG_ARRAYS)
def test_weights_that_do_not_fit_are_refused_and_none_is_set(kind: str) -> None:
    model, (spoil, message) = Model(), WRONG_ARRAYS[kind]
    state: dict[str, Any] = {path: array + 1 for path, array in model.state().items()}
    array = state.pop("pairs.1.shift")
    if spoil is not None:
        state["pairs.1.shift"] = spoil(array)
    with pytest.raises((TypeError, ValueError), match=rf"weights: pairs\.1\.shift {message}"):
        model.load_state(state)
    with pytest.raises(ValueError, match=r"weights: pairs\.2\.shift is unknown"):
        model.load_state(model.state() | {"pairs.2.shift": np.zeros(2)})
    for path, array in Model().state().items():
        np.testing.assert_array_equal(model.state()[path], array)
