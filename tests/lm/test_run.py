"""A run leaves a whole folder, and being stopped anywhere changes nothing in what it comes to."""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autolm.lm import run_folder
from autolm.lm.run import RunOutcome, run
from autolm.lm.run_folder import NotSaved, RunFolder
from autolm.lm.training import NonFiniteLoss, StepMetrics, Training
from tests.compiled.tapes import needs_numba
from tests.runs import Silence, assert_same_checkpoint, contents, small_training

CHOICES: dict[str, Any] = {"schedule": "cosine", "weight_decay": 0.1}


@pytest.fixture(scope="module", autouse=True)
def brief() -> Iterator[None]:
    """Write little, and in place of a picture its numbers: what counts here is when and whether."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autolm.lm.run.SAMPLE_TOKENS", 20)
        patch.setattr("autolm.lm.run.draw_losses", lambda metrics, *_: json.dumps(metrics).encode())
        yield


def new_folder(path: Path, training: Training) -> RunFolder:
    return RunFolder.create(path, training.config, training.tokenizer, training.checkpoint())


def resumed(path: Path, kind: str, **choices: Any) -> tuple[Training, RunFolder]:
    """Do what `autolm train --resume` does."""
    training, folder = small_training(kind, **CHOICES | choices), RunFolder.open(path)
    training.restore(folder.load())
    folder.drop_metrics_after(training.step)
    return training, folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[RunOutcome, Path]]:
    """A run of each kind that nothing interrupted."""
    runs = {}
    for kind in ("lines", "stream"):
        path, training = tmp_path_factory.mktemp(kind) / "run", small_training(kind, **CHOICES)
        runs[kind] = (run(training, new_folder(path, training), Silence()), path)
    return runs


class Stopping(Silence):
    """Sends this process signals after some step."""

    def __init__(self, after: int, *signals: signal.Signals) -> None:
        self.after, self.signals = after, signals

    def stepped(self, metrics: StepMetrics) -> None:
        if metrics.step == self.after:
            for number in self.signals:
                os.kill(os.getpid(), number)


def test_a_run_leaves_everything_in_its_folder_and_resumed_at_its_end_changes_nothing(
    whole: dict[str, tuple[RunOutcome, Path]],
) -> None:
    outcome, path = whole["stream"]
    before, signals = contents(path), (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in signals]
    assert set(before) == {
        *("config.json", "tokenizer.json", "checkpoint.safetensors"),
        *("metrics.jsonl", "loss.png", "samples.txt"),
    }
    assert json.loads(before["loss.png"]) == list(RunFolder.open(path).metrics())
    assert before["samples.txt"].decode() == outcome.sample
    training, folder = resumed(path, "stream")
    assert outcome == RunOutcome(True, 10, training.validate(), outcome.sample)
    assert run(training, folder, Silence()) == outcome
    assert contents(path) == before
    assert [signal.getsignal(number) for number in signals] == handlers


def test_metrics_hold_every_step_and_the_validations_between(
    whole: dict[str, tuple[RunOutcome, Path]],
) -> None:
    outcome, path = whole["lines"]
    records = list(RunFolder.open(path).metrics())
    steps = [record["step"] for record in records if "loss" in record]
    validations = [record["step"] for record in records if "validation_loss" in record]
    assert steps == list(range(1, 11))
    assert validations == [4, 8, 10]
    assert records[-1]["validation_loss"] == outcome.validation_loss
    assert set(records[0]) == {"step", "loss", "gradient_norm", "learning_rate", "tokens"}


@pytest.mark.parametrize(
    ("kind", "number", "stops"),
    [
        ("lines", signal.SIGINT, [3]),
        ("stream", signal.SIGINT, [1, 4]),
        ("stream", signal.SIGTERM, [9]),
        ("lines", signal.SIGTERM, range(1, 10)),
    ],
    ids=str,
)
def test_stopped_by_signals_and_resumed_a_run_leaves_the_same_folder(
    whole: dict[str, tuple[RunOutcome, Path]],
    tmp_path: Path,
    kind: str,
    number: signal.Signals,
    stops: Sequence[int],
) -> None:
    new_folder(tmp_path / "run", small_training(kind, **CHOICES))
    for after in stops:
        training, folder = resumed(tmp_path / "run", kind)
        outcome = run(training, folder, Stopping(after, number))
        assert (outcome.done, outcome.step) == (False, after)
        assert_same_checkpoint(RunFolder.open(folder.path).load(), training.checkpoint())
    expected, path = whole[kind]
    assert run(*resumed(tmp_path / "run", kind), Silence()) == expected
    assert contents(tmp_path / "run") == contents(path)


def test_a_run_of_an_older_autolm_with_histograms_in_its_metrics_goes_on(
    whole: dict[str, tuple[RunOutcome, Path]], tmp_path: Path
) -> None:
    training = small_training("lines", **CHOICES)
    folder = new_folder(tmp_path / "run", training)
    run(training, folder, Stopping(5, signal.SIGTERM))
    sizes = {"histograms": {"weights": {"W": {"largest": 1.0, "counts": [1]}}, "gradients": {}}}
    metrics = folder.path / "metrics.jsonl"
    records = [
        record | sizes if "validation_loss" in record else record for record in folder.metrics()
    ]
    metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    outcome = run(*resumed(folder.path, "lines"), Silence())
    assert outcome == whole["lines"][0]
    assert [record["step"] for record in folder.metrics() if "histograms" in record] == [4]


@needs_numba
def test_a_native_run_is_exactly_resumable_and_learns_what_a_plain_one_does(
    whole: dict[str, tuple[RunOutcome, Path]], tmp_path: Path
) -> None:
    training = small_training("lines", **CHOICES, native=True)
    at_once = run(training, new_folder(tmp_path / "at once", training), Silence())
    training = small_training("lines", **CHOICES, native=True)
    assert not run(
        training, new_folder(tmp_path / "run", training), Stopping(5, signal.SIGINT)
    ).done
    assert run(*resumed(tmp_path / "run", "lines", native=True), Silence()) == at_once
    assert contents(tmp_path / "run") == contents(tmp_path / "at once")
    assert at_once.validation_loss == pytest.approx(whole["lines"][0].validation_loss, rel=1e-5)
    weights = "checkpoint.safetensors"
    assert contents(tmp_path / "run")[weights] != contents(whole["lines"][1])[weights]


def test_a_native_run_without_numba_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autolm.lm.training_engine.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^native needs numba.*pip install 'autolm\[fast\]'$"):
        small_training(native=True)


def test_a_second_interrupt_ends_at_once_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    training = small_training()
    folder = new_folder(tmp_path / "run", training)
    with pytest.raises(KeyboardInterrupt):
        run(training, folder, Stopping(6, signal.SIGINT, signal.SIGINT))
    assert RunFolder.open(folder.path).load().state["step"] == 4


def test_killed_between_the_metrics_and_the_checkpoint_a_run_goes_on_exactly(
    whole: dict[str, tuple[RunOutcome, Path]], tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    def save(folder: RunFolder, checkpoint: Any) -> None:
        raise Killed

    training = small_training("stream", **CHOICES)
    folder = new_folder(tmp_path / "run", training)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(RunFolder, "save", save)
        run(training, folder, Silence())
    assert len(list(folder.metrics())) == 5
    run(*resumed(folder.path, "stream"), Silence())
    assert contents(folder.path) == contents(whole["stream"][1])


def test_a_full_disk_ends_a_run_with_its_last_checkpoint_readable(
    whole: dict[str, tuple[RunOutcome, Path]], tmp_path: Path
) -> None:
    training = small_training("stream", **CHOICES)
    folder = new_folder(tmp_path / "run", training)
    write, writes = run_folder.write_whole, 0

    def full_after_two(path: Path, content: bytes, *, mode: int | None) -> None:
        nonlocal writes
        writes += 1
        if writes > 2:  # the first metrics, and the first checkpoint
            raise NotSaved(path, OSError(28, "No space left on device"))
        write(path, content, mode=mode)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(NotSaved, match="No space left"):
        patch.setattr(run_folder, "write_whole", full_after_two)
        run(training, folder, Silence())
    assert RunFolder.open(folder.path).load().state["step"] == 4
    run(*resumed(folder.path, "stream"), Silence())
    assert contents(folder.path) == contents(whole["stream"][1])


class Poisoning(Stopping):
    """Spoils a weight after some step, and may then send signals."""

    def __init__(self, training: Training, after: int, *signals: signal.Signals) -> None:
        super().__init__(after, *signals)
        self.training = training

    def stepped(self, metrics: StepMetrics) -> None:
        if metrics.step == self.after:
            weights = self.training.model.W_out
            weights.data = np.full_like(weights.data, np.nan)
        super().stepped(metrics)


@pytest.mark.parametrize(
    ("after", "signals", "what"),
    [
        (6, [], "loss is nan at step 7"),
        (8, [], "validation loss is nan at step 8"),
        (10, [], "validation loss is nan at step 10"),
        (6, [signal.SIGTERM], "validation loss is nan at step 6"),
    ],
)
def test_the_saved_state_stays_the_last_good_one_when_a_number_goes_wrong(
    tmp_path: Path, after: int, signals: list[signal.Signals], what: str
) -> None:
    training = small_training()
    folder = new_folder(tmp_path / "run", training)
    with pytest.raises(NonFiniteLoss, match=f"^{what}"):
        run(training, folder, Poisoning(training, after, *signals))
    checkpoint = RunFolder.open(folder.path).load()
    assert checkpoint.state["step"] == (8 if after == 10 else 4)
    assert all(np.isfinite(array).all() for array in checkpoint.model.values())
