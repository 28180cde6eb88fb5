"""A run keeps how large its weights and gradients were, and a picture of it shows no other."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm.lm import histograms
from autolm.lm.histograms import BINS, draw_histograms, histogram
from autolm.lm.run import run
from autolm.lm.run_folder import RunError, RunFolder
from tests.runs import Silence, small_training


@given(st.lists(st.integers(-20, 20), max_size=60), st.sampled_from([2.0**-140, 0.5, 2.0**90]))
def test_each_number_is_counted_in_the_part_where_it_lies(numbers: list[int], unit: float) -> None:
    numbers.append(-20)  # so that each of 40 parts is a unit wide
    counted = histogram(np.array(numbers, np.float32) * np.float32(unit))
    assert counted["largest"] == 20 * unit
    parts = [min(BINS - 1, x + 20) for x in numbers]
    assert counted["counts"] == [parts.count(part) for part in range(BINS)]


def test_of_a_large_array_so_many_numbers_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histograms, "MOST_NUMBERS", 10)
    assert sum(histogram(np.arange(25.0))["counts"]) == 9  # every third, of all parts


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    path, training = tmp_path_factory.mktemp("histograms") / "run", small_training()
    folder = RunFolder.create(path, training.config, training.tokenizer, training.checkpoint())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autolm.lm.run.SAMPLE_TOKENS", 5)
        run(training, folder, Silence())
    return training, path


def test_a_run_keeps_them_of_what_it_had_at_each_validation(trained: tuple[Any, Path]) -> None:
    _, path = trained
    records = [each for each in RunFolder.open(path).metrics() if "histograms" in each]
    assert [record["step"] for record in records] == [4, 8, 10]
    again = small_training()
    for step in range(1, 11):
        again.advance()
        if step in (4, 8, 10):
            kept = records.pop(0)["histograms"]
            for name, parameter in again.model.named_parameters():
                assert kept["weights"].pop(name) == histogram(parameter.data)
                assert kept["gradients"].pop(name) == histogram(parameter.grad)
            assert kept == {"weights": {}, "gradients": {}}


@pytest.mark.parametrize("threads", [1, 2])
def test_a_native_run_has_the_gradients_of_a_plain_one(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    monkeypatch.setattr("autolm.lm.native_step.ALONE", 0.0)  # so small a step is shared too
    plain, recorded = (
        small_training(dtype="float32", clip=0.2, native=native, threads=threads)
        for native in (False, True)
    )
    assert recorded.engine.gradients() == {}
    clipped = set()
    for step in range(6):
        clipped.add(plain.advance().gradient_norm > 0.2)
        if step == 3:  # one that is taken as before, between others
            with monkeypatch.context() as patch:
                patch.setattr(recorded.engine.native._step.__class__, "__call__", lambda *_: None)
                recorded.advance()
        else:
            recorded.advance()
        expected, found = plain.engine.gradients(), recorded.engine.gradients()
        assert found.keys() == expected.keys()
        for path, grad in expected.items():
            assert np.linalg.norm(found[path] - grad) < 1e-3 * np.linalg.norm(grad) + 1e-6
    assert True in clipped


def test_a_picture_has_a_column_for_each_validation_as_high_as_its_numbers(
    trained: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    row = histograms._draw_row
    monkeypatch.setattr(histograms, "_draw_row", lambda *of: drawn.append((of, row(*of))))
    records = list(RunFolder.open(trained[1]).metrics())
    svg = draw_histograms(records, "run", ".svg")
    assert b"<svg" in svg
    names = [name for name, _ in trained[0].model.named_parameters()]
    assert len(drawn) == 2 * len(names)
    for (axes, columns, *_), _ in drawn:
        meshes = [mesh.get_coordinates() for mesh in axes.collections]
        assert [(mesh[0, 0, 0], mesh[0, 1, 0]) for mesh in meshes] == [(0, 4), (4, 8), (8, 10)]
        for mesh, (_, largest, _) in zip(meshes, columns, strict=True):
            assert mesh[0, 0, 1] == -largest and mesh[-1, 0, 1] == largest
        assert axes.get_ylim()[1] == max(largest for _, largest, _ in columns)
    last = records[-1]["histograms"]
    assert drawn[0][0][1][-1][1] == last["weights"][names[0]]["largest"]
    assert drawn[1][0][1][-1][1] == last["gradients"][names[0]]["largest"]


DAMAGED: list[Any] = [
    *(None, [], {"weights": {}}, {"weights": [], "gradients": {}}),
    *(
        {"weights": {"W": of}, "gradients": {}}
        for of in (None, {"largest": 1.0}, {"largest": 1e400, "counts": [0] * BINS}, [])
    ),
    {"weights": {"W": {"largest": 1.0, "counts": [1] * 39}}, "gradients": {}},
    {"weights": {"W": {"largest": "x", "counts": [1] * 40}}, "gradients": {}},
    {"weights": {"W": {"largest": -1.0, "counts": [1] * 40}}, "gradients": {}},
]


@pytest.mark.parametrize("kept", DAMAGED, ids=lambda kept: json.dumps(kept)[:60])
def test_what_is_damaged_is_refused_in_a_line(kept: Any) -> None:
    with pytest.raises(RunError, match="damaged"):
        draw_histograms([{"step": 3, "histograms": kept}], "run", ".png")


def test_a_run_without_them_is_told_so() -> None:
    with pytest.raises(RunError, match="keeps no histograms"):
        draw_histograms([{"step": 3, "validation_loss": 1.0}], "run", ".png")
