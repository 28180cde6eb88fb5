"""A run's choices are checked one by one, kept as JSON, and make the model that they describe."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autolm.lm import TinyLM
from autolm.lm.config import TrainingConfig
from autolm.lm.design import tinylm_design


def test_choices_survive_the_way_through_json() -> None:
    config = TrainingConfig.of(
        data="some.txt", d_model=32, learning_rate=1e-3, norm="none", seed=7, native=True
    )
    assert TrainingConfig.from_json(config.to_json()) == config


def test_whole_numbers_will_do_for_rates() -> None:
    assert TrainingConfig.from_json('{"learning_rate": 1}').learning_rate == 1


def test_numbers_of_numpy_become_pythons_and_go_into_json() -> None:
    config = TrainingConfig(steps=np.int64(5), learning_rate=np.float32(0.5), native=np.False_)  # type: ignore[arg-type]
    assert TrainingConfig.from_json(config.to_json()) == TrainingConfig(steps=5, learning_rate=0.5)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"kind": "word"}, "kind is 'word'; choose 'lines' or 'stream'"),
        ({"norm": "None"}, "norm is 'None'; choose 'pre', 'post' or 'none'"),
        ({"d_model": 10, "num_heads": 4}, "d_model 10 is not divisible by num_heads 4"),
        ({"beta1": 1.0}, "beta1 must be at least 0 and below 1, not 1.0"),
        ({"learning_rate": 0.0}, "learning_rate must be finite and above 0, not 0.0"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"steps": "5"}, "steps must be an int, not '5'"),
        ({"d_model": 8.0}, "d_model must be an int, not 8.0"),
        ({"norm": None}, "norm is None; choose 'pre', 'post' or 'none'"),
        *(
            ({name: number}, f", not {number}")
            for name in ("learning_rate", "final_learning_rate", "weight_decay", "clip", "beta1")
            for number in (np.nan, np.inf)
        ),
    ],
    ids=str,
)
def test_choices_that_make_no_sense_are_refused(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        TrainingConfig(**choice)
    with pytest.raises(ValueError, match=re.escape(message)):
        TrainingConfig.from_json(json.dumps(choice))


CONTRADICTIONS: list[dict[str, Any]] = [
    {"data": "toy", "kind": "stream"},
    {"data": "python-docs", "kind": "lines"},
    {"num_merges": 300, "tokenizer": "characters"},
    {"native": True, "engine": "torch"},
]


@pytest.mark.parametrize("choices", CONTRADICTIONS, ids=str)
def test_choices_that_contradict_each_other_are_refused_however_they_are_made(
    choices: dict[str, Any],
) -> None:
    changeable = [name for name in choices if TrainingConfig.choices()[name].changeable]
    rest = {name: value for name, value in choices.items() if name not in changeable}
    defaults = {"data": "some.txt"} if "data" in choices else {}
    makers: list[Callable[[], TrainingConfig]] = [
        lambda: TrainingConfig(**choices),
        lambda: TrainingConfig.of(**choices),
        lambda: TrainingConfig.from_json(json.dumps(choices)),
    ]
    if changeable:
        good = TrainingConfig(**defaults | rest)
        makers.append(lambda: good.changed(**{name: choices[name] for name in changeable}))
    for make in makers:
        with pytest.raises(ValueError, match=f"^({'|'.join(choices)}) is "):
            make()


def test_a_native_run_goes_on_in_another_engine_without_that() -> None:
    native = TrainingConfig(native=True)
    assert native.changed(engine="torch") == TrainingConfig(engine="torch")
    assert native.changed(steps=7, engine="numpy").native
    with pytest.raises(ValueError, match="native is for the engine numpy"):
        native.changed(engine="torch").changed(native=True)


def test_feed_forward_is_four_times_as_wide_unless_told() -> None:
    assert TrainingConfig.of(d_model=32).d_ff == 128
    assert TrainingConfig.of(d_model=32, d_ff=5).d_ff == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ('{"steps": 1', "not JSON"),
        ("[]", "not a JSON object with the choices of a run"),
        ('{"stepz": 1}', "unknown choice 'stepz'"),
        ('{"steps": 1.5}', "steps must be an int, not 1.5"),
        ('{"steps": true}', "steps must be an int, not True"),
        ('{"native": 1}', "native must be True or False, not 1"),
        ('{"norm": null}', "norm is None; choose 'pre', 'post' or 'none'"),
        ('{"learning_rate": "1"}', "learning_rate must be a number, not '1'"),
    ],
)
def test_json_of_something_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        TrainingConfig.from_json(text)


@pytest.mark.parametrize("name", TrainingConfig.choices())
def test_a_refusal_names_the_field_and_its_range(name: str) -> None:
    option, default = TrainingConfig.choices()[name], getattr(TrainingConfig, name)
    assert option.about.endswith((".", ")"))
    wrong: Any = "what?" if isinstance(default, str) else type(default)(-9)
    if isinstance(default, bool) or name == "data":
        assert not option.range
        return
    with pytest.raises(ValueError, match=f"^{name} .*{re.escape(repr(wrong))}") as refused:
        TrainingConfig(**{name: wrong})
    bounds = [str(bound) for bound in (option.low, option.above, option.below) if bound is not None]
    assert all(word in str(refused.value) for word in (*option.known, *bounds))


@pytest.mark.parametrize(
    ("choices", "kind"),
    [
        ({}, "lines"),
        ({"data": "toy"}, "lines"),
        ({"data": "python-docs"}, "stream"),
        ({"data": "-"}, "stream"),
        ({"data": "some.txt"}, "stream"),
        ({"data": "some.txt", "kind": "lines"}, "lines"),
        ({"data": "-", "kind": "lines"}, "lines"),
    ],
)
def test_each_text_has_its_kind_unless_told(choices: dict[str, Any], kind: str) -> None:
    assert TrainingConfig.of(**choices).kind == kind


def test_a_file_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert TrainingConfig.of(data="some.txt").data == str((tmp_path / "some.txt").resolve())


def test_the_model_is_the_one_described() -> None:
    config = TrainingConfig(
        num_layers=3, num_heads=2, d_model=8, d_ff=12, norm="none", block_size=5, dtype="float64"
    )
    model = TinyLM(7, **config.architecture())
    design = tinylm_design(7, 8, 2, 12, 3, max_len=5, norm=None)
    assert (model.design, model.embedding.dtype) == (design, np.float64)
    assert [block.feed_forward.W_1.shape for block in model.blocks] == [(8, 12)] * 3
