"""Several workers, as torchrun starts them, do what one does, and end together."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from autolm.lm.run_folder import RunFolder
from tests.runs import SMALL, TEXT

if importlib.util.find_spec("torch") is None:
    pytest.skip("no torch: pip install 'autolm[test,torch]'", allow_module_level=True)

import torch

ROOT = Path(__file__).parents[2]
# Five rows for two or three workers, of which some have padding.
CHOICES = {**SMALL, "batch_size": 5, "dtype": "float64", "weight_decay": 0.1, "num_layers": 2}
OPTIONS = ["text.txt", "--kind=lines"] + [
    f"--{name.replace('_', '-')}={value}" for name, value in CHOICES.items()
]
TORCH = "--engine=torch"
thorough = pytest.mark.skipif(
    os.environ.get("HYPOTHESIS_PROFILE") != "nightly", reason="a minute long: for the nightly run"
)


class Scene(NamedTuple):
    """How a command went at each worker."""

    codes: list[int]
    out: list[str]
    error: list[str]


def launch(folder: Path, *scenes: Any) -> list[Scene]:
    """Run commands one after another: (number of workers, arguments, what happens to whom)."""
    (folder / "text.txt").write_text(TEXT * 3)
    done = subprocess.run(
        [sys.executable, "-m", "tests.torch.launching"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        input=json.dumps(scenes),
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return [Scene(**scene) for scene in json.loads(done.stdout)]


def assert_same_run(one: Path, other: Path) -> None:
    """Compare two folders to rounding in float64: what was learnt, and the way to it."""
    ours, theirs = RunFolder.open(one), RunFolder.open(other)
    a, b = ours.load(), theirs.load()
    assert (a.state["step"], a.state["data"]) == (b.state["step"], b.state["data"])
    for arrays, others in ((a.model, b.model), (a.optimizer, b.optimizer)):
        assert arrays.keys() == others.keys()
        for path, array in arrays.items():
            limit = 1e-12 * np.abs(array).max()
            np.testing.assert_allclose(others[path], array, rtol=0, atol=limit, err_msg=path)
    for record, another in zip(ours.metrics(), theirs.metrics(), strict=True):
        counts, others = record.pop("histograms", {}), another.pop("histograms", {})
        assert record == pytest.approx(another, rel=1e-12)
        assert counts.keys() == others.keys()
        for kind, shapes in counts.items():
            assert shapes.keys() == others[kind].keys()


def test_killed_stopped_and_gone_on_with_by_others_a_run_comes_to_the_same(tmp_path: Path) -> None:
    whole, killed, stopped, resumed, refused = launch(
        tmp_path,
        (0, ["train", *OPTIONS, "-o", "whole"], {}),
        (
            2,
            ["train", *OPTIONS, "-o", "run", TORCH],
            {"rank": 1, "step": 6, "signal": "SIGKILL"},
        ),
        (
            2,
            ["train", "--resume", "run", "--parallel", "fsdp"],
            {"rank": 1, "step": 7, "signal": "SIGTERM"},
        ),
        (0, ["train", "--resume", "run", "--engine", "numpy"], {}),
        (2, ["train", *OPTIONS, "-o", "small", TORCH, "--batch-size=1"], {}),
    )
    assert (whole.codes, whole.error) == ([0], [""])
    assert killed.codes == [1, -9]
    assert killed.error == [
        "autolm: worker 0 of 2: another worker has ended; autolm train --resume run goes on from "
        "what was saved, with any number of workers\n",
        "",
    ]
    assert stopped.codes == [130, 130]
    assert stopped.error == ["", ""]
    assert "PyTorch on cpu × 2 fsdp" in stopped.out[0]
    assert "stopped after step 8 of 10; all is saved" in stopped.out[0]
    assert stopped.out[1] == ""
    assert (resumed.codes, resumed.error) == ([0], [""])
    assert RunFolder.open(tmp_path / "run").config().engine == "numpy"
    assert_same_run(tmp_path / "whole", tmp_path / "run")
    assert refused.codes == [2, 2]
    assert refused.error == [
        "autolm: batch_size 1 does not reach for 2 workers: each takes rows of the batch\n",
        "",
    ]
    assert not (tmp_path / "small").exists()


@thorough
def test_two_and_three_workers_come_to_what_one_does(tmp_path: Path) -> None:
    runs = {
        f"{parallel}-{size}": (size, ["--parallel", parallel])
        for parallel in ("ddp", "fsdp")
        for size in (1, 2, 3)
    }
    scenes = launch(
        tmp_path,
        (0, ["train", *OPTIONS, "-o", "numpy"], {}),
        (0, ["train", *OPTIONS, "-o", "alone", TORCH], {}),
        *(
            (size, ["train", *OPTIONS, "-o", name, TORCH, *how], {})
            for name, (size, how) in runs.items()
        ),
    )
    for scene in scenes:
        assert set(scene.codes) == {0}, scene.error
    for name in ("alone", *runs):
        assert_same_run(tmp_path / "numpy", tmp_path / name)


@thorough
def test_all_workers_end_when_one_cannot_go_on(tmp_path: Path) -> None:
    first = {"rank": 0, "step": 6, "signal": "SIGKILL"}
    killed, resumed, diverged, taken, numpy = launch(
        tmp_path,
        (3, ["train", *OPTIONS, "-o", "run", TORCH, "--parallel=fsdp"], first),
        (3, ["train", "--resume", "run"], {}),
        (2, ["train", *OPTIONS, "-o", "nan", TORCH, "--learning-rate=1e300"], {}),
        (2, ["train", *OPTIONS, "-o", "run", TORCH], {}),
        (2, ["train", *OPTIONS, "-o", "none"], {}),
    )
    assert killed.codes == [-9, 1, 1]
    assert [len(error.splitlines()) for error in killed.error] == [0, 1, 1]
    assert resumed.codes == [0, 0, 0]
    assert diverged.codes == [1, 1]
    assert diverged.error[0].startswith("\nloss is nan at step 2. First non-finite value:\n")
    assert diverged.error[1] == ""
    assert taken.codes == [2, 1]
    assert taken.error[0].startswith("autolm: run: holds a run already")
    assert taken.error[1] == ""
    assert numpy.codes == [2, 2]
    assert numpy.error[0] == (
        "autolm: the engine numpy has one worker: give --engine torch under torchrun\n"
    )
    assert not (tmp_path / "none").exists()


@thorough
@pytest.mark.parametrize("size", [1, 2])
def test_what_is_not_there_is_said_once_and_no_worker_is_left(tmp_path: Path, size: int) -> None:
    train = ["train", *OPTIONS, "-o", "run", TORCH]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        gpu, gloo, nccl, port, text = launch(
            tmp_path,
            (size, [*train, "--device=cuda"], {}),
            (size, train, {"lacks": "gloo"}),
            (size, [*train, "--device=cuda"], {"lacks": "nccl"}),
            (1, train, {"port": taken.getsockname()[1]}),
            (size, ["train", "none.txt", "-o", "run", TORCH], {}),
        )
    told = {
        "autolm: several workers on cpu need gloo, which this PyTorch lacks": gloo,
        f"autolm: {tmp_path}/none.txt: no such file": text,
        "autolm: the workers do not find one another: ": port,
    }
    if not torch.cuda.is_available():
        told |= {"autolm: --device cuda: there is no GPU": gpu}
    else:
        told |= {"autolm: several workers on cuda need nccl": nccl}
    for words, scene in told.items():
        assert set(scene.codes) == ({1} if scene is port else {2}), scene
        assert scene.error[0].startswith(words), scene
        assert [len(error.splitlines()) for error in scene.error] == [
            1,
            *[0] * (len(scene.codes) - 1),
        ]
    assert not (tmp_path / "run").exists()


@thorough
def test_torchrun_itself_starts_stops_and_ends_a_run(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT * 3)
    command = ["torchrun", "--nproc_per_node=2", "-m", "autolm", "train", *OPTIONS, TORCH]
    done = subprocess.run(
        [*command, "-o", "run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert RunFolder.open(tmp_path / "run").state()["step"] == 10
