"""A recorded step is the plain one: forward, backward, clipping and AdamW, number for number."""

import math
import os
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from autolm import Tensor, ops, primitive
from autolm.compiled.emitters import NotRecorded
from autolm.compiled.plan import Buffer, Instruction, laid_out
from autolm.lm.config import TrainingConfig
from autolm.lm.engine import NumPyEngine
from autolm.lm.native_step import NativeStep, num_targets
from autolm.lm.tinylm import TinyLM
from autolm.nn import AdamW, clip_gradients

pytest.importorskip("numba")
from autolm.compiled.recorded_step import AdamWRates, Group, RecordedStep

NIGHTLY = os.getenv("HYPOTHESIS_PROFILE") == "nightly"
DTYPES = ("float32", "float64") if NIGHTLY else ("float32",)  # each is compiled for some seconds
CLOSE = {"float32": 2e-6, "float64": 1e-13}  # relative, of the loss and of the gradient's length
OPTIONS: dict[str, Any] = {"betas": (0.9, 0.95), "weight_decay": 0.1}


class Trained(NamedTuple):
    """Parameters, what trains them, and their recorded step."""

    optimizer: AdamW
    step: RecordedStep

    def take(self, inputs: Sequence[Any], rate: float = 1e-2, longest: float = 1.0) -> Any:
        self.optimizer.steps += 1
        steps = self.optimizer.steps
        rates = AdamWRates(
            rate, OPTIONS["betas"], self.optimizer.eps, OPTIONS["weight_decay"], steps, longest
        )
        return self.step(inputs, rates)


def recorded(
    function: Callable[..., Tensor],
    parameters: Sequence[Tensor],
    shape: tuple[int, ...],
    ids: int,
    workers: int = 1,
) -> Trained:
    optimizer = AdamW(parameters, 1e-2, **OPTIONS)
    groups = [
        Group([part.parameter for part in g.parts], *g.memory.values(), decays)
        for (_, decays), g in optimizer.groups.items()
    ]
    counted = np.arange(math.prod(shape)).reshape(shape)
    examples = [[(counted + i + p) % ids for i in range(2)] for p in range(2)]
    return Trained(optimizer, RecordedStep(function, tuple(examples), groups, workers, num_targets))


def plain_step(
    function: Callable[..., Tensor], optimizer: AdamW, inputs: Sequence[Any]
) -> tuple[float, float]:
    loss = function(*inputs)
    optimizer.zero_grad()
    loss.backward()
    norm = clip_gradients([*optimizer.parameters.values()], 1.0)
    optimizer.learning_rate = 1e-2
    optimizer.step()
    return float(loss), norm


CASES = [
    ("pre", True, (3, 5), 1, "float32"),
    ("post", True, (3, 5), 2, "float32"),
    (None, False, (2, 7), 2, "float32"),
    ("pre", False, (6,), 1, "float32"),
    ("pre", True, (1, 1), 1, "float32"),
]
if NIGHTLY:
    CASES = [
        (norm, causal, shape, workers, dtype)
        for norm in ("pre", "post", None)
        for causal in (True, False)
        for shape in ((3, 5), (1, 8), (6,), (4, 33))
        for workers in (1, 2, 3)
        for dtype in DTYPES
    ]


@pytest.mark.parametrize(("norm", "causal", "shape", "workers", "dtype"), CASES)
def test_training_by_it_is_training(
    norm: Any, causal: bool, shape: tuple[int, ...], workers: int, dtype: str
) -> None:
    sizes = (11, 12, 3, 20, 2)
    models = [
        TinyLM(*sizes, max_len=40, norm=norm, causal=causal, dtype=dtype, seed=1) for _ in range(2)
    ]
    plain = AdamW(models[0].parameters(), 1e-2, **OPTIONS)
    trained = recorded(models[1].compute_loss, models[1].parameters(), shape, 11, workers)
    rng = np.random.default_rng(0)
    for i in range(4):
        inputs = rng.integers(11, size=(2, *shape))
        if i % 2 and math.prod(shape) > 3:
            inputs[1][..., -2:] = -1  # nothing to predict there
        expected = plain_step(models[0].compute_loss, plain, inputs)
        assert trained.take(inputs) == pytest.approx(expected, rel=CLOSE[dtype])
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        np.testing.assert_allclose(one.data, other.data, rtol=0, atol=1e4 * CLOSE[dtype] * 1e-2)
    for one, other in zip(
        plain._arrays().values(), trained.optimizer._arrays().values(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=0, atol=20 * CLOSE[dtype])


def test_rows_of_a_worker_may_have_no_target() -> None:
    models = [TinyLM(11, 12, 3, 20, 1, seed=1) for _ in range(2)]
    plain = AdamW(models[0].parameters(), 1e-2, **OPTIONS)
    trained = recorded(models[1].compute_loss, models[1].parameters(), (3, 5), 11, workers=2)
    rng = np.random.default_rng(0)
    for empty in (slice(0), slice(0, 1), slice(1, 3)):  # the second worker has two rows
        inputs = rng.integers(11, size=(2, 3, 5))
        inputs[1, empty] = -1
        expected = plain_step(models[0].compute_loss, plain, inputs)
        assert trained.take(inputs) == pytest.approx(expected, rel=CLOSE["float32"])
    inputs[0, 2] = 11
    assert trained.take(inputs) is None
    inputs[:] = [[[0] * 5] * 3, [[-1] * 5] * 3]
    assert trained.take(inputs) is None


@pytest.fixture(scope="module")
def small() -> tuple[TinyLM, Trained]:
    model = TinyLM(7, 8, 2, 16, 1, max_len=8, seed=0)
    return model, recorded(model.compute_loss, model.parameters(), (2, 4), 7)


INPUTS = np.arange(16).reshape(2, 2, 4) % 7


def test_adamw_rounds_as_the_plain_one_does_with_the_same_gradients(
    small: tuple[TinyLM, Trained],
) -> None:
    _, trained = small
    before = [Tensor(p.data.copy()) for p in trained.step._parameters]
    plain = AdamW(before, 1e-2, **OPTIONS)
    plain.load_state(
        {
            name.replace(path, str(i)): array
            for i, each in enumerate(trained.step._parameters)
            for path, other in trained.optimizer.parameters.items()
            if other is each
            for name, array in trained.optimizer.state().items()
            if name == "steps" or name.endswith(f"/{path}")
        }
    )
    _, norm = trained.take(INPUTS)
    for parameter, gradient in zip(before, trained.step.gradients, strict=True):
        parameter.grad = gradient
    assert clip_gradients(before, 1.0) == pytest.approx(norm, rel=1e-14)
    plain.step()
    for parameter, moved in zip(before, trained.step._parameters, strict=True):
        np.testing.assert_array_equal(parameter.data, moved.data)


def test_the_model_has_the_numbers_of_now_and_a_graph_of_before_is_refused(
    small: tuple[TinyLM, Trained],
) -> None:
    model, trained = small
    trained.take(INPUTS)  # takes the arrays over
    stale = model.compute_loss(*INPUTS)
    trained.take(INPUTS)
    after = float(model.compute_loss(*INPUTS))
    assert trained.take(INPUTS)[0] == pytest.approx(after, rel=1e-6)
    with pytest.raises(RuntimeError, match="was changed in place"):
        stale.backward()


def test_parameters_that_were_assigned_are_what_it_goes_on_with(
    small: tuple[TinyLM, Trained],
) -> None:
    model, trained = small
    model.W_out.data = np.zeros_like(model.W_out.data)
    assert trained.take(INPUTS)[0] == pytest.approx(math.log(7), rel=1e-6)
    assert np.any(model.W_out.data)


def test_what_is_not_finite_moves_nothing(small: tuple[TinyLM, Trained]) -> None:
    model, trained = small
    kept = model.embedding.data.copy()
    model.embedding.data = np.where(np.arange(8) == 3, np.nan, kept)
    before = model.W_out.data.copy()
    moments = {name: array.copy() for name, array in trained.optimizer._arrays().items()}
    loss, _ = trained.take(INPUTS)
    assert math.isnan(loss)
    np.testing.assert_array_equal(model.W_out.data, before)
    for name, array in trained.optimizer._arrays().items():
        np.testing.assert_array_equal(array, moments[name])
    model.embedding.data = kept


@pytest.mark.parametrize(
    "wrong", [[[7, 0, 0, 0], [0] * 4], [[-1, 0, 0, 0], [0] * 4]], ids=["beyond", "negative"]
)
def test_ids_that_there_are_not_are_refused(
    small: tuple[TinyLM, Trained], wrong: list[list[int]]
) -> None:
    model, trained = small
    before = [p.data.copy() for p in model.parameters()]
    assert trained.take((np.array(wrong), INPUTS[1])) is None
    assert trained.take((INPUTS[0], np.array(wrong) * 2)) is None  # −1 is no target
    assert trained.take((INPUTS[0], np.full((2, 4), -1))) is None
    for one, other in zip(before, model.parameters(), strict=True):
        np.testing.assert_array_equal(one, other.data)


# Any program of these operations

WIDTH = 4
UNARIES: dict[str, Callable[[Any], Any]] = {
    "relu": lambda x: x.relu(),
    "neg": lambda x: -x,
    "exp": lambda x: (x * 0.1).exp(),
    "log": lambda x: (x * x + 1.0).log(),
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "gelu": lambda x: ops.gelu(x),
    "gelu_tanh": lambda x: ops.gelu(x, approximate="tanh"),
    "silu": lambda x: ops.silu(x),
    "itself": lambda x: x,
    "curved": lambda x: x.tanh() + x,
    "reshaped": lambda x: x.reshape(1, -1).reshape(-1, WIDTH),
    "mean": lambda x: x - x.mean(),
    "rms": lambda x: ops.rms_norm(x, Tensor(np.ones(WIDTH, "float32"), False), eps=1e-3),
}
JOINED: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "rsub": lambda x, y: y - x,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / (y * y + 1.0),
    "rdiv": lambda x, y: y / (x * x + 1.0),
}
PARAMETERS = {"row": (WIDTH,), "number": (1,), "all": (3, WIDTH), "two": (1, WIDTH)}


@st.composite
def programs(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Draw lines: an operation, and what it joins the latest result with, if it joins."""
    lines = []
    for _ in range(draw(st.integers(1, 6))):
        name = draw(st.sampled_from([*UNARIES, *JOINED, "matmul", "tied", "residual"]))
        lines.append((name, draw(st.sampled_from([*PARAMETERS, "earlier", "itself"]))))
    return lines


@settings(
    max_examples=200 if NIGHTLY else 25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@example(program=[("residual", "itself"), ("curved", "itself")], seed=0)
@example(program=[("tied", "itself"), ("matmul", "itself"), ("rdiv", "number")], seed=0)
@given(program=programs(), seed=st.integers(0, 99))
def test_any_program_has_the_plain_gradients(program: list[tuple[str, str]], seed: int) -> None:
    rng = np.random.default_rng(seed)

    def parameter(*shape: int) -> Tensor:
        return Tensor(rng.normal(size=shape).astype("float32"), name=str(shape))

    table, square, out = parameter(5, WIDTH), parameter(WIDTH, WIDTH), parameter(WIDTH, 5)
    others = {name: parameter(*shape) for name, shape in PARAMETERS.items()}

    def function(ids: Any, targets: Any) -> Tensor:
        results = [ops.embedding(table, token_ids=ids)]
        for name, other in program:
            x = results[-1]
            if name in UNARIES:
                y = UNARIES[name](x)
            elif name == "matmul":
                y = x @ square
            elif name == "residual":  # one gradient for two, and the first sends more to the other
                y = x @ square + x
            elif name == "tied":
                y = x @ square.T
            else:
                first = results[0] if results[0].shape == x.shape else x
                y = JOINED[name](x, {**others, "earlier": first, "itself": x}[other])
            results.append(y * 0.5)
        used = sum(
            (each.sum() for each in (*others.values(), square)), Tensor(np.float32(0), False)
        )
        loss = ops.cross_entropy(results[-1] @ out, targets=targets)
        return loss + used * 0.01 + results[-1].mean() * 0.1

    parameters = [table, square, out, *others.values()]
    trained = recorded(function, parameters, (3,), 5)
    inputs = rng.integers(5, size=(2, 3))
    loss = function(*inputs)
    for each in parameters:
        each.grad = None
    loss.backward()
    expected = [each.grad.copy() for each in trained.step._parameters]
    found = trained.take(inputs, rate=0.0)
    assert found[0] == pytest.approx(float(loss), rel=2e-6, abs=2e-6)
    scale = max(1.0, *(np.abs(each).max() for each in expected))
    for one, other in zip(expected, trained.step.gradients, strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-5, atol=4e-6 * scale)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["relu", "neg", "tanh", "sigmoid", "gelu", "gelu_tanh"])
def test_numbers_of_any_size_have_the_plain_gradients(name: str, dtype: str) -> None:
    largest = {"float32": 1e30, "float64": 1e150}[dtype]  # whose cube is infinite
    sizes = np.array([largest, 1e10, 20, 3, 6, 1e-30], dtype)
    table = Tensor(np.stack([sizes, -sizes], axis=1))

    def function(ids: Any, targets: Any) -> Tensor:
        return UNARIES[name](ops.embedding(table, token_ids=ids)).sum()

    trained = recorded(function, [table], (6,), 6)
    inputs = [np.arange(6), np.zeros(6, int)]
    loss = function(*inputs)
    loss.backward()
    assert np.isfinite(table.grad).all()
    assert trained.take(inputs, rate=0.0)[0] == pytest.approx(float(loss), rel=1e-6)
    np.testing.assert_allclose(trained.step.gradients[0], table.grad, rtol=1e-5, atol=1e-30)


NOT_FINITE = [[math.inf, 0, 1], [-math.inf, 0, 1], [math.nan, 0, 1], [math.inf] * 3]
NOT_FINITE += [[-math.inf] * 3, [math.inf, -math.inf, 0], [1e38, -1e38, 0]]


@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize("logits", NOT_FINITE, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_loss_is_called_nan_or_infinite_as_the_plain_one_is(
    dtype: str, logits: list[float], target: int
) -> None:
    table = Tensor(np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], logits], dtype))

    def function(ids: Any, targets: Any) -> Tensor:
        return ops.cross_entropy(ops.embedding(table, token_ids=ids), targets=targets)

    trained = recorded(function, [table], (2,), 2)
    inputs = [np.array([2, 0]), np.array([target, 1])]
    loss = float(function(*inputs))
    assert trained.take(inputs, rate=0.0)[0] == pytest.approx(loss, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_one_number_have_no_gradient_through_a_layer_norm(dtype: str) -> None:
    rng = np.random.default_rng(0)
    table = Tensor(rng.normal(size=(5, 1)).astype(dtype))
    gain, bias = (Tensor(rng.normal(size=1).astype(dtype)) for _ in range(2))
    out = Tensor(rng.normal(size=(1, 5)).astype(dtype))

    def function(ids: Any, targets: Any) -> Tensor:
        x = ops.embedding(table, token_ids=ids)
        return ops.cross_entropy(ops.layer_norm(x, gain, bias) @ out, targets=targets)

    trained = recorded(function, [table, gain, bias, out], (5,), 5)
    trained.take([np.arange(5), np.arange(5)[::-1]], rate=0.0)
    gradients = dict(zip(map(id, trained.step._parameters), trained.step.gradients, strict=True))
    assert not gradients[id(table)].any()
    assert not gradients[id(gain)].any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [1, 2, 3, 8])
@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm"])
def test_a_norm_of_nearly_constant_rows_errs_by_a_few_roundings(
    norm: str, width: int, dtype: str
) -> None:
    rng = np.random.default_rng(width)
    deviations = 10.0 ** rng.uniform(-6, 0, size=(20, 1))
    numbers = (rng.normal(size=(20, width)) * deviations).astype(dtype)
    vectors = [rng.normal(size=width).astype(dtype) for _ in range(2 - (norm == "rms_norm"))]
    weights = rng.normal(size=(20, width)).astype(dtype)

    def gradient(kind: Any, *, replay: bool = False) -> Any:
        table, *rest = (Tensor(each.astype(kind)) for each in (numbers, *vectors))

        def function(ids: Any, targets: Any) -> Tensor:
            x = ops.embedding(table, token_ids=ids)
            other = Tensor(weights.astype(kind), requires_grad=False)
            return (getattr(ops, norm)(x, *rest) * other).sum()

        inputs = [np.arange(20), np.arange(20)]
        if replay:
            trained = recorded(function, [table, *rest], (20,), 20)
            trained.take(inputs, rate=0.0)
            places = [id(each) for each in trained.step._parameters]
            return trained.step.gradients[places.index(id(table))]
        function(*inputs).backward()
        return table.grad

    exact = gradient(np.longdouble)
    size = np.abs(weights * vectors[0]).max(axis=-1, keepdims=True)
    spread = numbers.std(axis=-1, keepdims=True) if norm == "layer_norm" else np.abs(numbers)
    bound = size / np.sqrt((spread.astype(float) ** 2).mean(-1, keepdims=True) + 1e-5)
    for found in (gradient(dtype), gradient(dtype, replay=True)):
        error = np.abs(found - exact) / bound
        assert error.max() < 16 * np.finfo(dtype).eps


def test_a_gradient_that_two_share_is_not_changed_while_it_is_read() -> None:
    # so wide that BLAS writes a first part of its result before it has read all operands
    rng, width = np.random.default_rng(0), 1100
    table = Tensor(rng.normal(size=(5, width)).astype("float32"))
    square = Tensor((rng.normal(size=(width, width)) / 30).astype("float32"))

    def function(ids: Any, targets: Any) -> Tensor:
        x = ops.embedding(table, token_ids=ids)
        return ops.cross_entropy((x @ square + x) * 0.1, targets=targets)

    trained = recorded(function, [table, square], (40,), 5)
    inputs = rng.integers(5, size=(2, 40))
    function(*inputs).backward()
    trained.take(inputs, rate=0.0)
    for parameter, gradient in zip(trained.step._parameters, trained.step.gradients, strict=True):
        scale = np.abs(parameter.grad).max()
        np.testing.assert_allclose(gradient, parameter.grad, rtol=0, atol=1e-5 * scale)


# What is refused


def ids_and(function: Callable[[Any, Any], Tensor]) -> Callable[[], Any]:
    def record() -> Any:
        table = Tensor(np.ones((5, 5), "float32"), name="table")

        def loss(ids: Any, targets: Any) -> Tensor:
            x = function(ops.embedding(table, token_ids=ids), ids)
            return ops.cross_entropy(x, targets=targets)

        return recorded(loss, [table], (2, 3), 5)

    return record


@primitive(name="relu")
def not_relu(a: Any) -> Any:
    return a * 2, lambda grad: (grad * 2,)


REFUSED = {
    "softmax has no instruction": ids_and(lambda x, _: ops.softmax(x)),
    "relu has no instruction": ids_and(lambda x, _: not_relu(x)),
    "attention with a mask": ids_and(
        lambda x, _: ops.attention(x, x, x, mask=np.ones((3, 3), bool))
    ),
    "attention of one operand in two places": ids_and(lambda x, _: ops.attention(x, x, x)),
    "sum along some axes": ids_and(lambda x, _: x + x.sum(-1, keepdims=True)),
    "mul repeats an operand along an axis that is not the first": ids_and(
        lambda x, _: x * Tensor(np.ones((2, 3, 1), "float32"), False)
    ),
    "seed of dropout is not the same each time": ids_and(
        lambda x, ids: ops.dropout(x, rate=0.5, seed=int(ids.flat[0]))
    ),
    "its graph is not the same each time": ids_and(lambda x, ids: -x if ids.flat[0] else x),
    "an array that is no input (leaf 'moving') is not the same each time": ids_and(
        lambda x, ids: x + Tensor(ids[..., None].astype("float32"), False, name="moving")
    ),
    "a float64 among float32": ids_and(lambda x, _: x.astype("float64")),
    "a leaf requires a gradient, and is not trained": ids_and(lambda x, _: x + Tensor([1.0])),
    "token_ids of embedding is not the same each time": ids_and(
        lambda x, ids: x + ops.embedding(x.parents[0], token_ids=ids * 2 % 5)
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_has_no_instruction_is_refused_with_its_reason(why: str) -> None:
    with pytest.raises(NotRecorded) as refused:
        REFUSED[why]()
    assert str(refused.value).startswith(why)


def test_inputs_that_cannot_be_told_apart_are_refused() -> None:
    model = TinyLM(1, 4, 1, 4, 1, max_len=8, seed=0)
    with pytest.raises(NotRecorded, match="cannot be told apart"):
        recorded(model.compute_loss, model.parameters(), (2, 3), 1)


# Memory


@settings(max_examples=300 if NIGHTLY else 60, deadline=None)
@given(data=st.data())
def test_no_two_buffers_that_are_needed_at_one_time_share_memory(data: st.DataObject) -> None:
    buffers = [Buffer(data.draw(st.integers(1, 60))) for _ in range(data.draw(st.integers(1, 8)))]
    uses = data.draw(st.lists(st.lists(st.sampled_from(buffers), max_size=3), max_size=12))
    layout = laid_out([Instruction(0, tuple(used), 0.0) for used in uses], itemsize=4)
    spans = {
        each: [i for i, used in enumerate(uses) if any(each is other for other in used)]
        for each in buffers
    }
    used = [each for each in buffers if spans[each]]
    for i, one in enumerate(used):
        assert layout.places[one] % 16 == 0
        assert layout.places[one] + one.size <= layout.size
        for other in used[:i]:
            apart = spans[one][-1] < spans[other][0] or spans[other][-1] < spans[one][0]
            start, begin = layout.places[one], layout.places[other]
            assert apart or start + one.size <= begin or begin + other.size <= start


def test_it_takes_no_more_memory_than_the_plain_step_at_its_peak() -> None:
    model = TinyLM(65, 32, 4, 128, 2, max_len=32, seed=0)
    optimizer = AdamW(model.parameters(), 1e-2, **OPTIONS)
    inputs = np.random.default_rng(0).integers(65, size=(2, 4, 32))
    plain_step(model.compute_loss, optimizer, inputs)
    tracemalloc.start()
    plain_step(model.compute_loss, optimizer, inputs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for workers in (1, 2):
        trained = recorded(model.compute_loss, model.parameters(), (4, 32), 65, workers)
        assert trained.step.nbytes < peak


# In training


def engine(**choices: Any) -> NumPyEngine:
    sizes = {"d_model": 8, "num_heads": 2, "d_ff": 16, "num_layers": 1}
    config = TrainingConfig.of(block_size=4, batch_size=2, **sizes | {"native": True} | choices)
    model = TinyLM(7, **config.architecture())
    return NumPyEngine(model, config)


def test_a_native_run_says_that_its_step_is_recorded_and_what_a_wrong_batch_is() -> None:
    training = engine()
    assert training.status.startswith("native, step recorded in ")
    assert training.advance((INPUTS[0], INPUTS[1]), 1e-3).is_finite
    assert training.optimizer.steps == 1
    with pytest.raises(ValueError, match="token id 9 is outside the vocabulary of 7"):
        training.advance((INPUTS[0] * 0 + 9, INPUTS[1]), 1e-3)
    with pytest.raises(ValueError, match="there is no target to predict"):
        training.advance((INPUTS[0], INPUTS[1] * 0 - 1), 1e-3)
    with pytest.raises(TypeError, match="token_ids must be integers, not float64"):
        training.advance((INPUTS[0] * 0.5, INPUTS[1]), 1e-3)
    with pytest.raises(ValueError, match=r"targets must be \(2, 4\), not \(4, 2\)"):
        training.advance((INPUTS[0], INPUTS[1].reshape(4, 2)), 1e-3)
    assert training.advance((INPUTS[0][:1], INPUTS[1][:1]), 1e-3).is_finite  # recorded again


@pytest.mark.parametrize("clip", [1e-3, 9.0])
def test_a_native_run_clips_its_gradients_as_a_plain_one(clip: float) -> None:
    plain, training = engine(native=False, clip=clip), engine(clip=clip)
    for batch in (INPUTS, INPUTS[::-1]):
        for each in (plain, training):
            each.advance((batch[0], batch[1]), 1e-3)
        expected, found = plain.optimizer.state(), training.optimizer.state()
        assert found.keys() == expected.keys()
        for path, moments in found.items():  # sums of the clipped gradients, and of their squares
            scale = np.abs(expected[path]).max()
            np.testing.assert_allclose(moments, expected[path], rtol=0, atol=1e-5 * scale)


def test_what_has_no_record_trains_as_before_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TinyLM, "unembed", lambda self, x: ops.softmax(x @ self.W_out))
    monkeypatch.setattr(TinyLM, "norm", None, raising=False)
    training = engine()
    assert "softmax has no instruction" in training.status or "does not depend" in training.status
    found = training.advance((INPUTS[0], INPUTS[1]), 1e-3)
    assert isinstance(training.native, NativeStep)
    assert training.native.num_workers == 0
    assert found.is_finite
