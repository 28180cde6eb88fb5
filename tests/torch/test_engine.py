"""PyTorch's engine does what NumPy's does: steps, validations, checkpoints, both ways."""

import dataclasses
import importlib.util
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autolm.lm.run_folder import RunError, RunFolder
from autolm.lm.training import NonFiniteLoss, Training, train_tokenizer
from tests.runs import SMALL, assert_same_checkpoint, small_corpus, small_training

if importlib.util.find_spec("torch") is None:
    pytest.skip("no torch: pip install 'autolm[test,torch]'", allow_module_level=True)

import torch

import autolm.torch
from autolm.lm.config import TrainingConfig
from autolm.torch.torch_engine import TorchEngine
from autolm.torch.workers import Workers

ALONE = Workers(torch.device("cpu"))
STEPS = 50


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute as a run does: more threads wait for one another, on a machine with other work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def in_torch(kind: Any = "stream", compiled: bool = False, **choices: Any) -> Training:
    config = TrainingConfig(
        **{**SMALL, "data": "small.txt", "kind": kind, "engine": "torch", **choices}
    )
    corpus = small_corpus(kind)
    engine = partial(TorchEngine, workers=ALONE, compiled=compiled)
    return Training(config, corpus, train_tokenizer(config, corpus), engine)


def assert_close(training: Training, other: Training) -> None:
    one, two = training.checkpoint(), other.checkpoint()
    assert one.state == two.state
    for arrays, expected in ((one.model, two.model), (one.optimizer, two.optimizer)):
        assert arrays.keys() == expected.keys()
        for path, array in arrays.items():
            assert array.dtype == expected[path].dtype
            limit = 1e-12 * np.abs(array).max()
            np.testing.assert_allclose(expected[path], array, rtol=0, atol=limit, err_msg=path)


@pytest.mark.parametrize(
    "choices",
    [
        {"kind": "lines", "norm": "pre", "weight_decay": 0.1, "num_layers": 2},
        {"kind": "stream", "norm": "post", "batch_size": 1, "clip": 0.1},
        {"kind": "lines", "norm": "none", "tokenizer": "bpe", "num_merges": 20, "num_heads": 4},
        {"kind": "stream", "block_size": 3, "batch_size": 7, "beta1": 0.0, "schedule": "cosine"},
    ],
    ids=lambda choices: " ".join(map(str, choices.values())),
)
def test_fifty_steps_are_numpys_to_rounding(choices: dict[str, Any]) -> None:
    choices = {"dtype": "float64", "steps": STEPS, **choices}
    ours, theirs = small_training(**choices), in_torch(**choices)
    random_state = torch.random.get_rng_state()
    for _ in range(STEPS):
        one, two = ours.advance(), theirs.advance()
        assert dataclasses.asdict(one) == pytest.approx(dataclasses.asdict(two), rel=1e-12)
    assert ours.validate() == pytest.approx(theirs.validate(), rel=1e-12)
    assert ours.validate(2) == pytest.approx(theirs.validate(2), rel=1e-12)
    assert_close(ours, theirs)
    assert torch.equal(torch.random.get_rng_state(), random_state)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_resumed_after_any_step_a_run_goes_on_bit_for_bit(dtype: str) -> None:
    whole = in_torch("lines", dtype=dtype)
    saved, metrics = [whole.checkpoint()], []
    for _ in range(6):
        metrics.append(whole.advance())
        saved.append(whole.checkpoint())
    for step in (0, 1, 4):
        resumed = in_torch("lines", dtype=dtype)
        resumed.restore(saved[step])
        assert_same_checkpoint(resumed.checkpoint(), saved[step])
        assert [resumed.advance() for _ in range(6 - step)] == metrics[step:]
        assert_same_checkpoint(resumed.checkpoint(), whole.checkpoint())


def test_engines_take_turns_in_one_run() -> None:
    whole = small_training(dtype="float64")
    turns = [small_training(dtype="float64"), in_torch(dtype="float64")]
    for step in range(6):
        whole.advance()
        turns[0].advance()
        if step % 2:
            turns[1].restore(turns[0].checkpoint())
            turns.reverse()
    assert_close(whole, turns[0])


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    training = in_torch()
    training.advance()
    before = training.checkpoint()
    wider = in_torch(d_ff=32).checkpoint()
    for wrong in (
        dataclasses.replace(before, model=wider.model),
        dataclasses.replace(before, optimizer=wider.optimizer),
        dataclasses.replace(before, model={}),
        dataclasses.replace(before, optimizer={**before.optimizer, "steps": np.array(-1)}),
    ):
        with pytest.raises(RunError, match="the checkpoint does not fit this run"):
            training.restore(wrong)
        assert_same_checkpoint(training.checkpoint(), before)


def test_a_loss_that_is_not_finite_stops_before_the_parameters_are_changed() -> None:
    training = in_torch(learning_rate=1e30, warmup_steps=0)
    training.advance()
    before = training.checkpoint()
    with pytest.raises(NonFiniteLoss, match=r"^loss is (nan|inf) at step 2"):
        training.advance()
    assert_same_checkpoint(
        dataclasses.replace(training.checkpoint(), state={}),
        dataclasses.replace(before, state={}),
    )
    with pytest.raises(NonFiniteLoss, match=r"^validation loss is (nan|inf) at step 1"):
        training.validate()


def test_a_checkpoint_stays_as_it_was_while_the_run_goes_on() -> None:
    training = in_torch()
    training.advance()
    before = training.checkpoint()
    copies = {path: array.copy() for path, array in before.model.items()}
    training.advance()
    for path, array in copies.items():
        np.testing.assert_array_equal(before.model[path], array)


def test_a_run_is_loaded_as_a_module_with_the_same_logits_and_gradients(tmp_path: Any) -> None:
    training = small_training(dtype="float64", num_layers=2)
    folder = RunFolder.create(
        tmp_path / "run", training.config, training.tokenizer, training.checkpoint()
    )
    module, model = autolm.torch.load(folder.path), training.model
    inputs, targets = training.batches.next_batch()
    logits = module(torch.from_numpy(inputs))
    expected, _ = model.forward(inputs)
    np.testing.assert_allclose(logits.detach().numpy(), expected.data, rtol=1e-12, atol=1e-12)
    one = module(torch.from_numpy(inputs[0]))
    np.testing.assert_allclose(one.detach(), expected.data[0], rtol=1e-12, atol=1e-12)
    assert autolm.torch.arrays(module, grad=True) == {}
    torch.nn.functional.cross_entropy(logits.mT, torch.from_numpy(targets)).backward()
    model.compute_loss(inputs, targets).backward()
    gradients, weights = autolm.torch.arrays(module, grad=True), autolm.torch.arrays(module)
    assert [*gradients] == [*weights] == [path for path, _ in model.named_parameters()]
    for path, parameter in model.named_parameters():
        np.testing.assert_array_equal(weights[path], parameter.data)
        np.testing.assert_allclose(
            gradients[path], parameter.grad, rtol=1e-10, atol=1e-13, err_msg=path
        )
    weights["W_out"][:] = math.nan  # a copy
    assert np.isfinite(autolm.torch.arrays(module)["W_out"]).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compiler
def test_where_nothing_can_be_compiled_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, str(tmp_path / "no compiler")))
    training = in_torch(compiled=True)
    message = "^torch.compile cannot compile here: .*no compiler.*; leave --compile out$"
    with pytest.raises(OSError, match=message):
        training.advance()
    torch._dynamo.reset()


def test_an_engine_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="the choices are for the engine torch, not numpy"):
        small_training(engine="torch")
    with pytest.raises(ValueError, match="the choices are for the engine numpy, not torch"):
        in_torch(engine="numpy")
