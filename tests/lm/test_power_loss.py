"""A power loss at any moment leaves a run that resumes from its old checkpoint or its new one."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from autolm.lm.run_folder import Checkpoint, RunError, RunFolder
from tests.power_loss import recorded, states_after
from tests.runs import assert_same_checkpoint, small_training, to_old_format

MOST = 2000  # states of one scenario


class Scenario:
    """A run whose checkpoints after 0, 1, 2, … steps are known."""

    def __init__(self, path: Path) -> None:
        self.path, training = path, small_training()
        self.loaded = RunFolder(path)
        self.config, self.tokenizer = training.config, training.tokenizer
        self.checkpoints = [training.checkpoint()]
        self.metrics: list[dict[str, float]] = []
        for step in range(1, 4):
            self.metrics.append({"step": step, "loss": training.advance().loss})
            self.checkpoints.append(training.checkpoint())

    def create(self) -> RunFolder:
        return RunFolder.create(self.path, self.config, self.tokenizer, self.checkpoints[0])

    def save(self, folder: RunFolder, step: int) -> None:
        folder.append_metrics(self.metrics[step - 1 : step])
        folder.save(self.checkpoints[step])

    def resumed(self, *steps: int) -> Checkpoint:
        """Load the run, which must be at one of some steps, and save another checkpoint."""
        checkpoint = RunFolder.open(self.path).load()
        step = checkpoint.state["step"]
        assert step in steps
        assert_same_checkpoint(checkpoint, self.checkpoints[step])
        again = RunFolder.open(self.path)
        again.load()
        again.drop_metrics_after(step)
        assert list(again.metrics()) == self.metrics[:step]
        again.save(self.checkpoints[3])
        assert_same_checkpoint(RunFolder.open(self.path).load(), self.checkpoints[3])
        return checkpoint


def save_once(scenario: Scenario) -> None:
    scenario.save(scenario.loaded, 2)


def save_with_changed_choices(scenario: Scenario) -> None:
    scenario.loaded.change(scenario.config.changed(steps=99))
    scenario.save(scenario.loaded, 2)


def save_twice(scenario: Scenario) -> None:
    scenario.save(scenario.loaded, 2)
    scenario.loaded.save(scenario.checkpoints[2])


SAVES = {"once": save_once, "changed choices": save_with_changed_choices, "twice": save_twice}


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    return Scenario(tmp_path / "run")


def put(path: Path, state: dict[str, bytes]) -> None:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    for name, content in state.items():
        (path / name).write_bytes(content)


@pytest.mark.parametrize("is_old", [False, True], ids=["new format", "old format"])
@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
def test_a_save_that_loses_any_unsynced_changes_leaves_the_old_checkpoint_or_the_new_one(
    scenario: Scenario, save: Callable[[Scenario], None], is_old: bool
) -> None:
    scenario.save(scenario.create(), 1)
    if is_old:
        to_old_format(scenario.path)
    scenario.loaded = RunFolder.open(scenario.path)
    scenario.loaded.load()
    with recorded(scenario.path) as recorder:
        save(scenario)
    states = states_after(recorder)
    assert 4 < len(states) < MOST
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        steps = set()
        for state in states:
            put(scenario.path, state)
            steps.add(scenario.resumed(1, 2).state["step"])
    assert steps == {1, 2}


def test_a_new_run_that_loses_any_unsynced_changes_is_whole_or_none(scenario: Scenario) -> None:
    with recorded(scenario.path) as recorder:
        scenario.create()
    states = states_after(recorder)
    assert 4 < len(states) < MOST
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        for state in states:
            put(scenario.path, state)
            try:
                RunFolder.open(scenario.path)
            except RunError as error:
                assert "not a run: it has no config.json" in str(error)
                scenario.create()
            scenario.resumed(0)
