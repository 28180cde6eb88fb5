"""Several workers, as torchrun starts them, do what one does, and end together."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from autolm.lm.agreement import WorkersDisagree
from autolm.lm.run_folder import RunFolder
from tests.hostile.folders import arrays as damaged_arrays
from tests.runs import SMALL, TEXT, contents

if importlib.util.find_spec("torch") is None:
    pytest.skip("no torch: pip install 'autolm[test,torch]'", allow_module_level=True)

import torch

from autolm.torch.workers import Workers, worker_timeout

ROOT = Path(__file__).parents[2]
# Five rows for two or three workers, of which some have padding.
CHOICES = {**SMALL, "batch_size": 5, "dtype": "float64", "weight_decay": 0.1, "num_layers": 2}
OPTIONS = ["text.txt", "--kind=lines"] + [
    f"--{name.replace('_', '-')}={value}" for name, value in CHOICES.items()
]
TORCH, FSDP = "--engine=torch", "--parallel=fsdp"
TRAIN = ["train", *OPTIONS, TORCH, "-o", "run"]
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
    for arrays, expected in ((a.model, b.model), (a.optimizer, b.optimizer)):
        assert arrays.keys() == expected.keys()
        for path, array in arrays.items():
            limit = 1e-12 * np.abs(array).max()
            np.testing.assert_allclose(expected[path], array, rtol=0, atol=limit, err_msg=path)
    for record, another in zip(ours.metrics(), theirs.metrics(), strict=True):
        assert record == pytest.approx(another, rel=1e-12)


def test_killed_stopped_and_gone_on_with_by_others_a_run_comes_to_the_same(tmp_path: Path) -> None:
    whole, killed, stopped, resumed = launch(
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
    )
    assert (whole.codes, whole.error) == ([0], [""])
    assert killed.codes == [1, -9]
    assert_said_once(
        killed,
        f"0 worker 0 of 2: {LOST}; autolm train --resume run",
    )
    assert stopped.codes == [130, 130]
    assert stopped.error == ["", ""]
    assert "PyTorch on cpu × 2 fsdp" in stopped.out[0]
    assert "stopped after step 8 of 10; all is saved" in stopped.out[0]
    assert stopped.out[1] == ""
    assert (resumed.codes, resumed.error) == ([0], [""])
    assert RunFolder.open(tmp_path / "run").config().engine == "numpy"
    assert_same_run(tmp_path / "whole", tmp_path / "run")


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


LOST = "the connection to another worker is lost"
FULL = ["OSError", 28, "No space left on device"]
NO_MEMORY = ["autolm.torch.torch_engine", "TorchEngine._loss_of_rows", "MemoryError", "8 GB"]
ONLY_HERE = ["autolm.cli.train", "corpus_of", "ValueError", "only here"]
# What is launched, the exit codes, and who may say what in the one line that is said.
BEFORE_A_RUN: dict[str, Any] = {
    "an option": ((2, [*TRAIN, "--steps=x"], {}), [2, 2], "0 Invalid value for '--steps'"),
    "a language": ((2, [*TRAIN, "--language=x"], {}), [2, 2], "0 language is 'x'; choose one of"),
    "a choice": ((2, [*TRAIN, "--d-model=7"], {}), [2, 2], "01 d_model 7 is not divisible"),
    "the other engine": (
        (2, ["train", *OPTIONS, "-o", "run"], {}),
        [2, 2],
        "01 the engine numpy has one worker: give --engine torch under torchrun",
    ),
    "too many": (
        (2, [*TRAIN, "--batch-size=1"], {}),
        [2, 2],
        "01 batch_size 1 does not reach for 2 workers: each takes rows of the batch",
    ),
    "no run": ((2, ["train", "--resume", "run"], {}), [2, 2], "01 run: no such folder"),
    "no text": ((3, ["train", "no.txt", *TRAIN[2:]], {}), [2] * 3, "012 */no.txt: no such file"),
    "a text that no worker can read": (
        (3, TRAIN, {"fails": ["autolm.cli.train", "corpus_of", *FULL]}),
        [1, 1, 1],
        "012 No space left on device",
    ),
    "a full disk": (
        (2, TRAIN, {"longest_file": 3000}),
        [1, 1],
        "0 run/checkpoint.safetensors: cannot be written: File too large",
    ),
    "a place that is no folder": (
        (2, [*TRAIN, "-o", "text.txt/run"], {}),
        [2, 1],
        "0 text.txt/run: cannot be made: Not a directory",
    ),
    "what a later worker alone meets": (
        (3, [*TRAIN, FSDP], {"rank": 2, "fails": ONLY_HERE}),
        [1, 1, 2],
        "2 only here",
    ),
}
IN_A_RUN: dict[str, Any] = {
    "a full disk": (
        (2, TRAIN, {"fails": ["autolm.lm.run_folder", "RunFolder.append_metrics", *FULL]}),
        [1, 1],
        "0 No space left on device",
    ),
    "no memory at a later worker": (
        (2, TRAIN, {"rank": 1, "fails": NO_MEMORY}),
        [1, 1],
        "1 there is not enough memory: 8 GB",
    ),
    "no memory at the first": (
        (3, [*TRAIN, FSDP], {"rank": 0, "fails": NO_MEMORY}),
        [1, 1, 1],
        "0 there is not enough memory: 8 GB",
    ),
    "a kill of the first": (
        (3, [*TRAIN, FSDP], {"rank": 0, "step": 6, "signal": "SIGKILL"}),
        [-9, 1, 1],
        f"12 worker ? of 3: {LOST}; autolm train --resume * goes on from what",
    ),
}


def assert_said_once(scene: Scene, who_and_what: str) -> None:
    """See that one worker says one line, and that it is one of those who may."""
    ranks, words = who_and_what.split(" ", 1)
    reports = [
        (rank, line) for rank, stderr in enumerate(scene.error) for line in stderr.splitlines()
    ]
    assert len(reports) == 1, scene
    ((rank, line),) = reports
    assert str(rank) in ranks, scene
    assert fnmatchcase(line, f"autolm: {words}*"), line


def test_what_prevents_a_run_is_said_once_and_leaves_no_folder_and_no_worker(
    tmp_path: Path,
) -> None:
    expected = BEFORE_A_RUN.values()
    scenes = launch(tmp_path, *(launched for launched, _, _ in expected))
    for scene, (_, codes, message) in zip(scenes, expected, strict=True):
        assert scene.codes == codes, scene
        assert_said_once(scene, message)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


DISAGREEMENTS = {
    "--learning-rate": ["text.txt", "--learning-rate=0.25"],
    "--seed": ["text.txt", "--seed=3"],
    "--validate-every": ["text.txt", "--validate-every=7"],
    "--steps": ["text.txt", "--steps=11"],
    "--parallel": ["text.txt", "--parallel=fsdp"],
    "--batch-size": ["text.txt", "--batch-size=3"],
    "the text": ["other.txt"],
}


def test_workers_that_disagree_are_refused_by_name_before_anything_is_written(
    tmp_path: Path,
) -> None:
    # The same characters, and so the same shapes; only the order of the lines differs.
    lines = (TEXT * 3).splitlines()
    (tmp_path / "other.txt").write_text("\n".join([*lines[1:], lines[0]]) + "\n")
    train = [word for word in TRAIN if word != "text.txt"]
    scenes = launch(
        tmp_path,
        *(
            (2, train, {"arguments": {"0": ["text.txt"], "1": arguments}})
            for arguments in DISAGREEMENTS.values()
        ),
    )
    for name, scene in zip(DISAGREEMENTS, scenes, strict=True):
        assert scene.codes == [2, 2], scene
        assert_said_once(scene, f"01 workers disagree on {name}: * at rank 1, * at rank 0")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fact", ["--device", "--parallel", "the version of PyTorch"])
def test_where_and_how_workers_compute_is_compared(monkeypatch, fact: str) -> None:
    def gather(facts: list[Any], environment: dict[str, str]) -> None:
        facts[:] = [environment, {**environment, fact: "another"}]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    with pytest.raises(WorkersDisagree, match=f"^workers disagree on {fact}: another at rank 1, "):
        Workers(torch.device("cpu"), 0, 2, "ddp").require_agreement(dict)


def test_a_worker_that_does_not_answer_is_noticed_in_time(tmp_path: Path) -> None:
    (scene,) = launch(
        tmp_path,
        (
            2,
            [*TRAIN],
            {
                "rank": 1,
                "step": 4,
                "signal": "SIGSTOP",
                "environment": {"AUTOLM_WORKER_TIMEOUT": "3"},
            },
        ),
    )
    assert scene.codes == [1, -9]
    assert_said_once(scene, "0 worker 0 of 2: another worker has not answered for 3 s; autolm")
    assert RunFolder.open(tmp_path / "run").load().state["step"] < 5


@pytest.mark.parametrize("seconds", ["0", "-1", "ten", "1.5", "", "99999999999999"])
def test_time_to_wait_for_workers_is_a_whole_number_of_seconds(monkeypatch, seconds: str) -> None:
    monkeypatch.setenv("AUTOLM_WORKER_TIMEOUT", seconds)
    with pytest.raises(ValueError, match="AUTOLM_WORKER_TIMEOUT must be a whole number"):
        worker_timeout()


@thorough
def test_what_ends_a_run_is_said_once_and_leaves_a_folder_that_goes_on(tmp_path: Path) -> None:
    expected = list(IN_A_RUN.values())
    scenes = launch(
        tmp_path,
        *(
            (size, [*words, "-o", f"run-{n}"], what)
            for n, ((size, words, what), _, _) in enumerate(expected)
        ),
        *((3, ["train", "--resume", f"run-{n}"], {}) for n in range(len(expected))),
        (2, [*TRAIN, "-o", "run-0"], {}),
        (2, [*TRAIN, "-o", "nan", "--learning-rate=1e300"], {}),
    )
    for scene, (_, codes, message) in zip(scenes, expected, strict=False):
        assert scene.codes == codes, scene
        assert_said_once(scene, message)
    *resumed, occupied, diverged = scenes[len(expected) :]
    assert [scene.codes for scene in resumed] == [[0, 0, 0]] * len(expected)
    for n in range(1, len(expected)):
        assert_same_run(tmp_path / "run-0", tmp_path / f"run-{n}")
    assert occupied.codes == [2, 1]
    assert_said_once(occupied, "0 run-0: holds a run already")
    assert diverged.codes == [1, 1]
    assert diverged.error[0].startswith("\nloss is nan at step 2. First non-finite value:\n")
    assert diverged.error[1] == ""


@thorough
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_three_workers_that_go_on_come_to_the_same_bytes(tmp_path: Path, parallel: str) -> None:
    train = [*TRAIN, "--dtype=float32", f"--parallel={parallel}"]
    launch(
        tmp_path,
        (3, [*train, "-o", "whole"], {}),
        (3, [*train, "-o", "killed"], {"step": 6, "signal": "SIGKILL"}),
        (3, ["train", "--resume", "killed", f"--parallel={parallel}"], {}),
        (3, [*train, "-o", "stopped"], {"rank": 2, "step": 5, "signal": "SIGTERM"}),
        (3, ["train", "--resume", "stopped", f"--parallel={parallel}"], {}),
    )
    for gone_on in ("killed", "stopped"):
        assert contents(tmp_path / gone_on) == contents(tmp_path / "whole")


def test_weights_that_are_not_the_models_are_refused_by_one_of_the_workers(tmp_path: Path) -> None:
    damages = {
        "W_out is missing": lambda weights: {k: v for k, v in weights.items() if k != "W_out"},
        "'another' is unknown": lambda weights: weights | {"another": np.zeros(3, np.float64)},
        "W_out has shape": lambda weights: weights | {"W_out": weights["W_out"][:, 1:]},
        "W_out*finite": lambda weights: weights | {"W_out": weights["W_out"] * np.nan},
    }
    (training,) = launch(tmp_path, (0, [*TRAIN, "-o", "good"], {}))
    assert training.codes == [0]
    for n, change in enumerate(damages.values()):
        shutil.copytree(tmp_path / "good", tmp_path / f"run-{n}")
        damaged_arrays("model", change, whole=True)(tmp_path / f"run-{n}")
    (tmp_path / "gpt2").mkdir()
    (tmp_path / "gpt2/config.json").write_text('{"model_type": "gpt2"}')
    names = [*(f"run-{n}" for n in range(len(damages))), "gpt2"]
    before = [contents(tmp_path / name) for name in names]
    scenes = launch(tmp_path, *((2, ["train", "--resume", name], {}) for name in names))
    for scene, name, message in zip(scenes, names, [*damages, "unknown choice"], strict=True):
        assert min(scene.codes) > 0, scene
        assert_said_once(scene, f"01 {name}/*{message}")
    assert [contents(tmp_path / name) for name in names] == before


@thorough
@pytest.mark.parametrize("size", [1, 2])
def test_what_is_not_there_is_said_once_and_no_worker_is_left(tmp_path: Path, size: int) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        gpu, gloo, nccl, port = launch(
            tmp_path,
            (size, [*TRAIN, "--device=cuda"], {}),
            (size, TRAIN, {"lacks": "gloo"}),
            (size, [*TRAIN, "--device=cuda"], {"lacks": "nccl"}),
            (1, TRAIN, {"port": server.getsockname()[1]}),
        )
    expected = {
        "01 several workers on cpu need gloo, which this PyTorch lacks": gloo,
        "0 the workers do not find one another: ": port,
    }
    if not torch.cuda.is_available():
        expected |= {"01 --device cuda: there is no GPU": gpu}
    else:
        expected |= {"01 several workers on cuda need nccl": nccl}
    for words, scene in expected.items():
        assert set(scene.codes) == ({1} if scene is port else {2}), scene
        assert_said_once(scene, words)
    assert not (tmp_path / "run").exists()


@thorough
def test_torchrun_itself_starts_stops_and_ends_a_run(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT * 3)
    command = ["torchrun", "--nproc_per_node=2", "-m", "autolm", "train", *OPTIONS, TORCH]
    done, occupied = (
        subprocess.run(
            [*command, "-o", "run"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            encoding="utf-8",
        )
        for _ in range(2)
    )
    assert done.returncode == 0, done.stderr
    assert occupied.returncode == 1
    assert occupied.stderr.count("autolm: run: holds a run already") == 1
    assert occupied.stderr.count("autolm: ") == 1  # beside what torchrun says
    assert RunFolder.open(tmp_path / "run").state()["step"] == 10
