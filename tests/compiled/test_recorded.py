"""A recorded step is the plain step: the same losses, parameters, moments and gradients."""

import copy
import pickle
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import SGD, Adam, AdamW, Module, Tensor, TinyLM, no_grad, ops, primitive, recorded
from autolm.compiled import instructions, replay
from autolm.compiled.program import Program
from autolm.nn import clip_gradients
from tests.calls import arity, end_to_end, operands_of

STEPS = 8
CLASSES = 3


def leaf(rng: Any, *shape: int, dtype: Any = np.float64) -> Tensor:
    return Tensor((rng.normal(size=shape) * 0.3).astype(dtype))


class Net(Module):
    """Leaves by name, drawn by a seed."""

    def __init__(self, dtype: Any, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        rng = np.random.default_rng(3)
        for name, shape in shapes.items():
            setattr(self, name, leaf(rng, *shape, dtype=dtype))


class Task(NamedTuple):
    """A model, its loss, and how a batch is drawn."""

    make: Any
    loss: Any  # of the model and the batch
    batch: Any  # of a generator


@primitive
def cubed(a: Any) -> Any:
    return a**3, lambda grad: (3 * grad * a**2,)


def ids(rng: Any, *shape: int, below: int = CLASSES) -> Any:
    return rng.integers(below, size=shape)


def mlp_loss(m: Any, x: Any, y: Any) -> Tensor:
    hidden = ops.relu(Tensor(x, False) @ m.w1 + m.b1)
    return ops.cross_entropy(hidden @ m.w2 + m.b2, targets=y)


def convolution_loss(m: Any, x: Any, y: Any) -> Tensor:
    hidden = ops.relu(ops.conv1d(Tensor(x, False), m.kernels, m.b, padding=1)).max(axis=-1)
    return ops.cross_entropy(hidden @ m.w, targets=y)


def recurrent_loss(m: Any, x: Any, y: Any) -> Tensor:
    x, state = Tensor(x, False), Tensor(np.zeros((len(x), 5), x.dtype), False)
    for t in range(x.shape[1]):
        state = ops.tanh(x[:, t] @ m.w_in + state @ m.w + m.b)
    return ((state @ m.out - Tensor(y, False)) ** 2).mean()


def classifier_loss(m: Any, x: Any, y: Any) -> Tensor:
    rows = ops.layer_norm(ops.embedding(m.table, token_ids=x), m.gain, m.bias)
    heard = ops.attention(rows @ m.q, rows @ m.k, rows @ m.v, num_heads=2, causal=False)
    return ops.cross_entropy((rows + heard).mean(axis=1) @ m.out, targets=y)


def primitive_loss(m: Any, x: Any, y: Any) -> Tensor:
    a = Tensor(x, False) @ m.w  # used twice, beside itself, and broadcast
    return (cubed(a * a + a) * m.scale - Tensor(y, False) - m.shift).mean()


TASKS = {
    "mlp": Task(
        lambda d: Net(d, w1=(4, 8), b1=(8,), w2=(8, 3), b2=(3,)),
        mlp_loss,
        lambda r, d: (r.normal(size=(6, 4)).astype(d), ids(r, 6)),
    ),
    "convolution": Task(
        lambda d: Net(d, kernels=(4, 2, 3), b=(4,), w=(4, 3)),
        convolution_loss,
        lambda r, d: (r.normal(size=(3, 2, 6)).astype(d), ids(r, 3)),
    ),
    "recurrent": Task(
        lambda d: Net(d, w_in=(2, 5), w=(5, 5), b=(5,), out=(5, 1)),
        recurrent_loss,
        lambda r, d: (r.normal(size=(4, 7, 2)).astype(d), r.normal(size=(4, 1)).astype(d)),
    ),
    "classifier": Task(
        lambda d: Net(
            d, table=(9, 8), gain=(8,), bias=(8,), q=(8, 8), k=(8, 8), v=(8, 8), out=(8, 3)
        ),
        classifier_loss,
        lambda r, d: (ids(r, 5, 6, below=9), ids(r, 5)),
    ),
    "primitive": Task(
        lambda d: Net(d, w=(3, 4), scale=(1,), shift=(1, 4)),
        primitive_loss,
        lambda r, d: (r.normal(size=(5, 3)).astype(d), r.normal(size=(5, 4)).astype(d)),
    ),
    "TinyLM": Task(
        lambda d: TinyLM(11, 12, 3, 20, 2, max_len=8, dtype=np.dtype(d).name, seed=1),
        lambda m, x, y: m.compute_loss(x, y),
        lambda r, d: tuple(r.integers(11, size=(2, 3, 5))),
    ),
}
OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda p: SGD(p, 0.1),
    "momentum": lambda p: SGD(p, 0.1, momentum=0.9),
    "Adam": lambda p: Adam(p, 0.01),
    "AdamW": lambda p: AdamW(p, 0.01, betas=(0.9, 0.95), weight_decay=0.1),
}


@pytest.fixture(params=["with numba", "NumPy alone"])
def exact(request: Any, monkeypatch: Any) -> bool:
    """Whether numbers are the same bit for bit: without compiled loops."""
    if request.param == "with numba":
        pytest.importorskip("numba")
        return False
    monkeypatch.setattr(replay, "instructions", lambda: instructions.ALWAYS)
    monkeypatch.setattr("autolm.compiled.parameter_memory.find_spec", lambda name: None)
    return True


def train(
    task: Task, optimizer: str, clip: float | None, dtype: Any, record: bool, exact: bool
) -> Any:
    """Train; return each loss, gradient norm, gradient and parameter, and the moments."""
    model, rng = task.make(dtype), np.random.default_rng(0)
    opt = OPTIMIZERS[optimizer](model.named_parameters())
    step = recorded(lambda *b: task.loss(model, *b), opt, clip=clip, gradients=True)
    history = []
    for i in range(STEPS):
        opt.learning_rate = 0.05 / (i + 1)
        batch = task.batch(rng, dtype)
        if record:
            loss, norm = step(*batch), None
            norm = step.gradient_norm
        else:
            opt.zero_grad()
            root = task.loss(model, *batch)
            root.backward()
            norm = clip_gradients(model.parameters(), clip or np.inf)
            opt.step()
            loss = float(root)
        history += [np.array(loss), *([] if exact else [np.array(norm)])]
        history += [np.array(each) for p in model.parameters() for each in (p.grad, p.data)]
    if record:
        assert "replayed since call 4" in step.explain()
    return history + [array for _, array in sorted(opt.state().items())]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "optimizer", "clip"),
    [(name, "AdamW", 0.5) for name in TASKS] + [("mlp", name, None) for name in OPTIMIZERS],
)
def test_training_by_it_is_training(
    exact: bool, name: str, optimizer: str, clip: Any, dtype: Any
) -> None:
    plain, replayed = (train(TASKS[name], optimizer, clip, dtype, r, exact) for r in (False, True))
    tolerance = (
        {"rtol": 0, "atol": 0}
        if exact and clip is None
        else {
            np.float32: {"rtol": 1e-3, "atol": 2e-5},
            np.float64: {"rtol": 1e-8, "atol": 1e-12},
        }[dtype]
    )
    for one, other in zip(plain, replayed, strict=True):
        np.testing.assert_allclose(other, one, **tolerance)  # type: ignore[arg-type]


@given(data=st.data())
def test_a_random_model_is_trained_as_plainly(data: Any) -> None:
    """Also where the loss is nan or infinite, once the parameters are too large."""
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    heads, vocab_size, rows, tokens = draw(1, 3), draw(8, 20), draw(1, 5), draw(3, 8)
    sizes = (vocab_size, heads * draw(1, 8), heads, draw(1, 24), draw(0, 3))
    dtype, seed = data.draw(st.sampled_from(["float32", "float64"])), draw(0, 99)
    choices = {"norm": data.draw(st.sampled_from(["pre", "post", None])), "causal": draw(0, 1) == 1}
    models = [TinyLM(*sizes, max_len=8, dtype=dtype, seed=seed, **choices) for _ in range(2)]
    optimizers = [AdamW(model.named_parameters(), 0.003) for model in models]
    step = recorded(models[1].compute_loss, optimizers[1])
    rng = np.random.default_rng(seed)
    tolerance = 1e-3 if dtype == "float32" else 1e-9
    for _ in range(6):
        batch = rng.integers(vocab_size, size=(2, rows, tokens))
        plain = models[0].compute_loss(*batch)
        optimizers[0].zero_grad()
        plain.backward()
        optimizers[0].step()
        np.testing.assert_allclose(step(*batch), float(plain), rtol=tolerance, atol=tolerance)
    assert "replayed since call 4" in step.explain()
    for model in models:
        for parameter in model.parameters():
            parameter.data *= 10.0 ** (30 if dtype == "float32" else 200)
    with np.errstate(all="ignore"):
        plain = float(models[0].compute_loss(*batch))
        replayed = step.compute(*batch)
    assert np.isnan(replayed) == np.isnan(plain)
    assert np.isinf(replayed) == np.isinf(plain)


CASES = [
    (op, case)
    for op in ops.OPERATIONS
    for case in op.cases or [ops.Case(((2, 1, 3), (2, 1), (3,))[: arity(op)])]
]


@pytest.mark.parametrize(("op", "case"), CASES, ids=[op.name for op, _ in CASES])
def test_each_operation_gives_its_gradients(exact: bool, op: Any, case: Any) -> None:
    """Operands that require a gradient are parameters; the upstream comes with the batch."""
    rng = np.random.default_rng(5)
    operands = [*operands_of(op, case.shapes, rng)]
    parameters = [each for each in operands if each.requires_grad]

    def result() -> Tensor:
        return end_to_end(op(*operands, **case.attributes))  # type: ignore[no-any-return]

    step = recorded(
        lambda upstream: (result() * upstream).sum(),
        SGD(parameters, 0.0),
        gradients=True,
    )
    shape = result().shape
    for _ in range(5):
        upstream = rng.normal(size=(2, *shape)) if shape else rng.normal(size=2)
        loss = step(upstream)
        gradients = [p.grad for p in parameters]
        for p in parameters:
            p.grad = None
        expected = (result() * upstream).sum()
        expected.backward()
        assert loss == pytest.approx(float(expected), rel=1e-11, abs=1e-11)
        for p, gradient in zip(parameters, gradients, strict=True):
            np.testing.assert_allclose(gradient, p.grad, rtol=1e-11, atol=1e-11)
    assert "replayed" in step.explain()


W = Tensor([0.5, -0.5], name="w")
SEEDS = iter(range(1000))
LARGE: list[int] = []


def reads_a_number(x: Any) -> Tensor:
    y = (Tensor(x, False) @ W).sum()
    return y * 2 if y.item() > 0 else y * 3


def reads_an_array(x: Any) -> Tensor:
    y = Tensor(x, False) * W
    return (y * np.sign(y.data)).sum()


def drops(x: Any) -> Tensor:
    return ops.dropout(Tensor(x, False) * W, rate=0.5, seed=next(SEEDS)).sum()


def drops_by_a_mask(x: Any) -> Tensor:
    return (Tensor(x, False) * W * (np.random.default_rng(next(SEEDS)).random(2) > 0.5)).sum()


@primitive
def noisy(a: Any) -> Any:
    mask = np.random.default_rng(next(SEEDS)).random(a.shape)
    return a * mask, lambda grad: (grad * mask,)


def computes_with_numpy(x: Any) -> Tensor:
    return (Tensor(np.tanh(x), False) @ W).sum()


def computes_without_a_graph(x: Any) -> Tensor:
    with no_grad():
        scale = (Tensor(x, False) * W).max()
    return (Tensor(x, False) @ W * scale).sum()


def has_another_graph(x: Any) -> Tensor:
    LARGE.append(1)
    y = (Tensor(x, False) @ W).sum()
    return y if len(LARGE) % 2 else y + 1


def does_not_use_it(x: Any) -> Tensor:
    return Tensor(x).sum()


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (reads_a_number, "reads a result as a number: sum"),
        (reads_an_array, "reads a result as a number: mul"),
        (drops, "seed of dropout"),
        (drops_by_a_mask, "leaf .*of shape .* changes from call to call"),
        (lambda x: noisy(Tensor(x, False) * W).sum(), "gave another loss or gradient"),
        (computes_with_numpy, "is no array of the batch"),
        (computes_without_a_graph, "is no array of the batch"),
        (has_another_graph, "another graph for another batch"),
        (does_not_use_it, "does not depend on a parameter"),
    ],
)
def test_a_step_that_cannot_be_replayed_runs_plainly_and_says_why_once(
    function: Any, why: str
) -> None:
    rng = np.random.default_rng(1)
    step = recorded(function, SGD([W], 0.0))
    with pytest.warns(UserWarning, match=f"^recorded: the plain step runs: .*{why}"):
        for _ in range(4):
            step(rng.normal(size=(3, 2)))
    assert why.split(".*")[0] in step.explain()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            step(rng.normal(size=(3, 2)))


def test_a_reason_names_the_operation_and_its_line() -> None:
    step = recorded(reads_a_number, SGD([W], 0.0))
    with pytest.warns(UserWarning, match=r"sum .*test_recorded.py:\d+"):
        step(np.ones((3, 2)))


def squares(x: Any, y: Any) -> Tensor:
    return ((Tensor(x, False) @ W - Tensor(y, False)) ** 2).mean()


def test_each_shape_has_a_record_up_to_a_number() -> None:
    rng = np.random.default_rng(1)
    step = recorded(squares, SGD([W], 0.0))
    for _ in range(5):
        for count in range(1, 9):
            step(rng.normal(size=(count, 2)), rng.normal(size=count))
    assert step.explain().count("replayed since call") == 8
    with pytest.warns(UserWarning, match="8 other shapes have a record already") as caught:
        for count in range(9, 30):
            step(rng.normal(size=(count, 2)), rng.normal(size=count))
    assert len(caught) == 1
    assert step.explain().splitlines()[-1].startswith("further shapes: the plain step runs: 8 ")


def test_arrays_that_are_equal_in_each_call_are_waited_for_and_then_named() -> None:
    rng = np.random.default_rng(1)
    step = recorded(
        lambda rows, _: ops.embedding(Tensor(np.eye(3, 2), False) * W, token_ids=rows).sum(),
        SGD([W], 0.0),
    )
    with pytest.warns(UserWarning, match="arrays 0 and 1 of a batch are equal"):
        for _ in range(8):
            step(*[rng.integers(3, size=5)] * 2)


class State(NamedTuple):
    """What the loss functions below use besides the batch; each call may change it."""

    w: Tensor
    b: Tensor
    optimizer: Any
    numbers: dict[str, Any]


def linear(s: State, x: Any, y: Any) -> Tensor:
    return ops.cross_entropy(Tensor(x, False) @ s.w + s.b, targets=y)


def of_clipped(s: State, x: Any, y: Any) -> Tensor:
    return linear(s, np.clip(x, -5, 5), y)  # x itself for most batches


def times_a_column(s: State, x: Any, y: Any) -> Tensor:
    return (Tensor(x, False) @ s.w * x[:, :1]).sum() + linear(s, x[:, :], y)


def times_a_number(s: State, x: Any, y: Any) -> Tensor:
    return linear(s, x, y) * float(x[0, 0])


def of_a_masked_batch(s: State, x: Any, y: Any) -> Tensor:
    each = ops.cross_entropy(Tensor(x, False) @ s.w + s.b, targets=y, reduction="none")
    return (each * (y != 2)).sum()


def seldom_larger(s: State, x: Any, y: Any) -> Tensor:
    return linear(s, x, y) * (2 if np.random.random() < 0.1 else 1)


def of_its_number(s: State, x: Any, y: Any) -> Tensor:
    return linear(s, x, y) * s.numbers["scale"]


def freeze(s: State) -> None:
    s.b.requires_grad = False


def thaw(s: State) -> None:
    s.b.requires_grad = True


class Decaying(SGD):
    """An optimizer with a step of its own."""

    def step(self) -> None:
        for parameter in self.parameters.values():
            parameter.data = parameter.data * 0.9
        super().step()


LATE = 7  # the call in which something changes for the first time, the fourth replay


def batches(late: bool) -> Any:
    """Yield batches; `late` ones have a column that changes, a rare class, and outliers."""
    rng = np.random.default_rng(1)
    for i in range(1, 20):
        x, y = rng.normal(size=(5, 2)), rng.integers(2, size=5)
        x[:, 0] = 1
        if late and i >= LATE:
            x, y = x * 9 * i, y + 1
        yield x, y


@pytest.mark.parametrize(
    ("loss", "change", "optimizer"),
    [
        (of_clipped, None, SGD),
        (times_a_column, None, SGD),
        (times_a_number, None, SGD),
        (of_a_masked_batch, None, SGD),
        (seldom_larger, None, SGD),
        (linear, freeze, SGD),
        (linear, thaw, SGD),
        (linear, None, Decaying),
    ],
)
def test_no_replay_uses_what_held_for_the_first_batches_alone(
    loss: Any, change: Any, optimizer: Any
) -> None:
    """That is: the numbers are those of the plain step, whether it is replayed or not."""
    histories: list[list[Any]] = []
    for is_recorded in (False, True):
        rng = np.random.default_rng(0)
        w, b = leaf(rng, 2, 4), leaf(rng, 4)
        b.requires_grad = True
        opt = optimizer([w, b], 0.01)
        b.requires_grad = change is not thaw
        state = State(w, b, opt, {})
        step = recorded(lambda *batch, state=state: loss(state, *batch), opt)
        np.random.seed(0)
        history: list[Any] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for i, batch in enumerate(batches(late=change is None and optimizer is SGD), 1):
                if change and i == LATE:
                    change(state)
                if is_recorded:
                    history.append(step(*batch))
                else:
                    opt.zero_grad()
                    root = loss(state, *batch)
                    root.backward()
                    opt.step()
                    history.append(float(root))
                history += [w.data.copy(), b.data.copy()]
        histories.append(history)
    for one, other in zip(*histories, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9)


def test_a_number_that_changes_later_is_noticed_by_a_later_comparison() -> None:
    rng = np.random.default_rng(0)
    w, b = leaf(rng, 2, 4), leaf(rng, 4)
    state = State(w, b, SGD([w, b], 0.1), {"scale": 1.0})
    step = recorded(lambda *batch: of_its_number(state, *batch), state.optimizer)
    with pytest.warns(UserWarning, match="replay 8 gave another loss"):
        for i, batch in enumerate(batches(late=False)):
            if i == 8:
                state.numbers["scale"] = 2.0
            loss = step(*batch)
    again = recorded(lambda *batch: of_its_number(state, *batch), SGD([w, b], 0.0))
    assert "replay 8 gave another loss" in step.explain()
    w.data, b.data = w.data.copy(), b.data.copy()
    assert again(*batch) != loss  # the last step moved the parameters
    assert again(*batch) == float(of_its_number(state, *batch))


def test_later_comparisons_do_not_change_the_numbers(monkeypatch: Any) -> None:
    """A run that is resumed compares at other steps, and goes on bit for bit."""
    histories = []
    for compares in (True, False):
        model, rng = TASKS["classifier"].make(np.float32), np.random.default_rng(0)
        step = recorded(lambda *b, m=model: classifier_loss(m, *b), AdamW(model.parameters(), 0.01))
        losses = []
        for i in range(14):
            batch = TASKS["classifier"].batch(rng, np.float32)
            if i > 3 and not compares:
                monkeypatch.setattr(next(iter(step._records.values())), "replays", 2)
            losses.append(step(*batch))
        histories.append(losses)
    assert histories[0] == histories[1]


def test_later_comparisons_take_rounding_for_no_difference() -> None:
    """A loss that has become 0 but for rounding errors has no digits to compare."""
    pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    w = leaf(rng, 3, 3, dtype=np.float32)
    step = recorded(lambda x, y: ops.cross_entropy(Tensor(x, False) @ w, targets=y), Adam([w], 0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(300):
            y = rng.integers(3, size=6)
            step(np.eye(3, dtype=np.float32)[y] + np.float32(rng.normal() / 100), y)
    assert "replayed since call 4" in step.explain()


def test_an_array_that_is_the_same_in_each_call_is_a_constant_until_it_changes() -> None:
    rng = np.random.default_rng(1)
    step = recorded(
        lambda x, rows, scale: (Tensor(x, False)[rows] @ W * float(scale)).sum(), SGD([W], 0.0)
    )
    rows = np.arange(3)
    for i in range(18):
        x, scale = rng.normal(size=(3, 2)), 1.0 if i < 9 else 3.0
        if i == 6:
            rows = np.array([2, 2, 0])
        assert step(x, rows, scale) == pytest.approx((x[rows] @ W.data).sum() * scale, rel=1e-12)
    assert "replayed since call 13" in step.explain()


def test_losses_that_are_not_finite_are_not_taken_for_a_difference() -> None:
    rng = np.random.default_rng(1)
    w = Tensor([1.0, 2.0], name="w")
    step = recorded(squares_of(w), SGD([w], 0.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i in range(8):
            step(rng.normal(size=(4, 2)) * (np.nan if i == 2 else 1))
            w.data = [1.0, 2.0]
    assert "replayed since call 5" in step.explain()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_copied_step_trains_its_own_model_alike(duplicate: Any) -> None:
    rng = np.random.default_rng(0)
    model = TinyLM(7, 8, 2, 16, 1, max_len=8, seed=0)
    step = recorded(model.compute_loss, AdamW(model.named_parameters(), 0.01), clip=0.5)
    for _ in range(5):
        step(*rng.integers(7, size=(2, 2, 4)))
    other = duplicate(step)
    for _ in range(6):
        batch = rng.integers(7, size=(2, 2, 4))
        assert step(*batch) == pytest.approx(other(*batch), rel=1e-4)  # float32


def test_two_steps_whose_optimizers_move_each_others_parameters_are_replayed() -> None:
    histories = []
    for is_recorded in (False, True):
        rng = np.random.default_rng(0)
        g, d = leaf(rng, 2, 4), leaf(rng, 4, 1)

        def judged(z: Any, x: Any, g: Tensor = g, d: Tensor = d) -> Tensor:
            return ((Tensor(x, False) @ d - 1) ** 2 + (ops.tanh(Tensor(z, False) @ g) @ d)).mean()

        def passed_off(z: Any, g: Tensor = g, d: Tensor = d) -> Tensor:
            return ((ops.tanh(Tensor(z, False) @ g) @ d - 1) ** 2).mean()

        pairs = [(judged, Adam([d], 0.01)), (passed_off, Adam([g], 0.01))]
        steps = [recorded(*pair) for pair in pairs]
        losses = []
        for _ in range(8):
            batch = rng.normal(size=(5, 2)), rng.normal(size=(5, 4))
            for (function, optimizer), step, arrays in zip(
                pairs, steps, (batch, batch[:1]), strict=True
            ):
                if is_recorded:
                    losses.append(step(*arrays))
                    continue
                optimizer.zero_grad()
                root = function(*arrays)
                root.backward()
                optimizer.step()
                losses.append(float(root))
        histories.append(losses)
    np.testing.assert_allclose(*histories, rtol=1e-9)  # type: ignore[arg-type]
    assert all("replayed since call 4" in step.explain() for step in steps)


def test_the_state_of_a_model_is_that_of_before_the_next_step() -> None:
    rng = np.random.default_rng(0)
    model = Net(np.float64, w=(2, 3))
    step = recorded(lambda x: ((Tensor(x, False) @ model.w) ** 2).mean(), SGD([model.w], 0.1))
    for _ in range(6):
        before, numbers = model.state()["w"], model.w.data.copy()
        step(rng.normal(size=(4, 2)))
        np.testing.assert_array_equal(before, numbers)


def test_a_step_that_writes_into_its_batch_is_not_replayed() -> None:
    rng = np.random.default_rng(0)

    def writes(x: Any) -> Tensor:
        x *= 2
        return (Tensor(x, False) @ W).sum()

    with pytest.warns(UserWarning, match="writes into an array of the batch"):
        recorded(writes, SGD([W], 0.0))(rng.normal(size=(3, 2)))


def test_threads_that_share_a_step_take_turns() -> None:
    rng = np.random.default_rng(0)
    parameters = Tensor([0.5, -0.5], name="w")
    step = recorded(squares_of(parameters), SGD([parameters], 0.0))
    data = [rng.normal(size=(3, 2)) for _ in range(400)]
    expected = [step(x) for x in data]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            losses = list(pool.map(step, data))
    finally:
        sys.setswitchinterval(interval)
    np.testing.assert_allclose(losses, expected, rtol=1e-12)


def test_a_batch_that_is_wrong_is_refused_in_the_words_of_the_plain_step() -> None:
    model = TinyLM(7, 8, 2, 16, 1, max_len=8, seed=0)
    step = recorded(model.compute_loss, AdamW(model.parameters(), 0.01))
    rng = np.random.default_rng(0)
    for _ in range(5):
        step(*rng.integers(7, size=(2, 2, 4)))
    before = [p.data.copy() for p in model.parameters()]
    for wrong in (7, -3):
        batch = rng.integers(7, size=(2, 2, 4))
        batch[0, 1, 2] = wrong
        with pytest.raises(ValueError, match=f"token id {wrong} is outside the vocabulary of 7"):
            step(*batch)
    for p, data in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.data, data)


def test_parameters_and_constants_that_are_replaced_count_at_once() -> None:
    rng = np.random.default_rng(2)
    w, offset = Tensor([1.0, 2.0], name="w"), Tensor([0.5], False)
    step = recorded(lambda x: (Tensor(x, False) @ w + offset).mean(), SGD([w], 0.0))
    for i in range(12):
        if i == 6:
            w.data = np.array([-1.0, 3.0])
        if i == 9:
            offset.data = np.array([7.0])
        x = rng.normal(size=(4, 2))
        assert step(x) == pytest.approx((x @ w.data + offset.data).mean(), rel=1e-12)


def test_a_parameter_that_no_gradient_reaches_stays_as_it_is() -> None:
    rng = np.random.default_rng(2)
    w, unused = Tensor([1.0, 2.0], name="w"), Tensor([3.0, 4.0], name="unused")
    step = recorded(squares_of(w), SGD([w, unused], 0.1, momentum=0.5), gradients=True)
    for _ in range(6):
        step(rng.normal(size=(4, 2)))
    assert "replayed" in step.explain()
    assert unused.data.tolist() == [3.0, 4.0]
    assert not unused.has_grad and w.has_grad


def squares_of(w: Tensor) -> Any:
    return lambda x: ((Tensor(x, False) @ w) ** 2).mean()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, SGD([W], 0.1)), "loss_function must be callable"),
        ((squares, [W]), "optimizer must be an optimizer"),
        ((squares, SGD([W], 0.1), -1), "clip must be finite and above 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        recorded(*arguments[:2], clip=arguments[2] if arguments[2:] else None)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), max_size=30))
def test_arrays_that_share_memory_hold_what_arrays_of_their_own_would(calls: Any) -> None:
    """Each call writes an array of some shape, or a view of one, from two others."""
    outside, results = [np.arange(4.0), np.zeros(4)], []
    for shares in (False, True):
        outside[1][:] = 0
        program = Program()
        arrays = [outside[0]]
        for i, (a, b, size) in enumerate(calls):
            new = (
                program.new((4, size + 1), float)[:, size] if size % 2 else program.new([4], float)
            )
            program.call(np.add, arrays[a % len(arrays)], arrays[b % len(arrays)], new)
            program.call(np.multiply, new, 0.5 + i / 10, new)
            arrays.append(new)
        for array in arrays[-2:]:
            program.call(np.add, outside[1], array, outside[1])
        if shares:
            program.allocate()
        program.run()
        program.run()
        results.append(outside[1].copy())
    np.testing.assert_array_equal(*results)
