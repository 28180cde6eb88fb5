"""Modules know their parameters by path, enter their scope, and load weights all or none."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor
from autolm.engine.graph import scope, topological_order
from autolm.nn import Block, LayerNorm, Module


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
    assert [path for path, _ in Model().named_parameters()] == PATHS


def test_parameters_carry_their_path_as_name_and_their_module_as_scope() -> None:
    for path, parameter in Model().named_parameters():
        assert parameter.name == path
        assert parameter.scope == path.rpartition(".")[0]


def test_nodes_are_made_in_the_scope_of_the_module_that_is_called() -> None:
    model = Model()
    result = model(Tensor([1.0, 1.0]))
    scopes = {node.scope for node in topological_order(result) if node.parents}
    assert scopes == {
        f"pairs.{i}{part}" for i in (0, 1) for part in ("", ".first", ".rest.0", ".rest.1")
    }


def test_calling_a_module_inside_a_scope_nests() -> None:
    model = Model()
    with scope("outer"):
        result = model(Tensor([1.0, 1.0]))
    assert result.scope == "outer.pairs.1"


def test_scope_ends_with_the_call_even_by_an_exception() -> None:
    with pytest.raises(NotImplementedError, match="Module defines no forward"):
        Module()(1)
    assert Tensor(1.0).scope == ""


def test_a_module_by_itself_names_its_parameters_from_itself() -> None:
    assert [path for path, _ in Pair().named_parameters()] == [
        path.removeprefix("pairs.0.") for path in PATHS[:4]
    ]


def test_a_shared_parameter_is_listed_and_counted_once() -> None:
    model = Model()
    model.pairs[1].shift = model.pairs[0].shift
    assert [path for path, _ in model.named_parameters()] == PATHS[:-1]
    assert model.num_parameters() == 8


def test_constants_are_no_parameters() -> None:
    pair = Pair()
    pair.shift = Tensor([1.0, 2.0], requires_grad=False)
    assert pair.num_parameters() == 3


def test_zero_grad_forgets_every_gradient() -> None:
    model = Model()
    model(Tensor([1.0, 1.0])).sum().backward()
    assert all(parameter.has_grad for parameter in model.parameters())
    model.zero_grad()
    assert not any(parameter.has_grad for parameter in model.parameters())


def test_state_goes_from_one_model_to_another() -> None:
    rng = np.random.default_rng(0)
    one = Block(4, 2, 8, rng=rng)
    other = Block(4, 2, 8, rng=rng)
    assert not np.array_equal(one.attention.W_Q.data, other.attention.W_Q.data)
    other.load_state(one.state())
    for path, array in one.state().items():
        np.testing.assert_array_equal(other.state()[path], array)


def test_loaded_weights_share_no_memory_with_the_state() -> None:
    model, state = Double(), {"factor": np.array(3.0)}
    model.load_state(state)
    assert not np.shares_memory(model.factor.data, state["factor"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pairs.1.shift": None}, r"weights: pairs\.1\.shift is missing"),
        ({"pairs.2.shift": np.zeros(2)}, r"weights: pairs\.2\.shift is unknown"),
        (
            {"pairs.1.shift": np.zeros(3)},
            r"weights: pairs\.1\.shift has shape \(3,\), and \(2,\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_none_is_set(
    change: dict[str, Any], message: str
) -> None:
    model = Model()
    state = {path: array + 1 for path, array in model.state().items()} | change
    with pytest.raises(ValueError, match=message):
        model.load_state({path: array for path, array in state.items() if array is not None})
    for path, array in Model().state().items():
        np.testing.assert_array_equal(model.state()[path], array)


def test_weights_of_another_dtype_take_the_dtype_of_the_model() -> None:
    model = Double()
    model.load_state({"factor": np.array(3.0, dtype=np.float32)})
    assert model.factor.dtype == np.float64


WRONG_ARRAYS: dict[str, Any] = {
    "complex": lambda a: a.astype(complex),
    "integers": lambda a: a.astype(int),
    "text": lambda a: a.astype(str),
    "objects": lambda a: a.astype(object),
    "one axis more": lambda a: a[np.newaxis],
    "a list": lambda a: a.tolist(),
    "a Tensor": Tensor,
    "nothing": lambda a: None,
}


@given(path=st.sampled_from(PATHS), kind=st.sampled_from(sorted(WRONG_ARRAYS)))
def test_one_array_that_is_no_weight_is_refused_and_none_is_set(path: str, kind: str) -> None:
    model = Model()
    state: dict[str, Any] = {each: array + 1 for each, array in model.state().items()}
    state[path] = WRONG_ARRAYS[kind](state[path])
    with pytest.raises((TypeError, ValueError), match=f"weights: {path} "):
        model.load_state(state)
    for each, array in Model().state().items():
        np.testing.assert_array_equal(model.state()[each], array)


def test_weights_too_large_for_the_dtype_of_the_model_are_refused() -> None:
    model = LayerNorm(2, dtype="float32")
    state = {"gain": np.array([1.0, 1e300]), "bias": np.zeros(2)}
    with pytest.raises(ValueError, match="weights: gain has numbers too large for float32"):
        model.load_state(state)
