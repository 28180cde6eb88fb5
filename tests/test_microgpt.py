"""The losses that Karpathy published for microgpt come out of our own program on Values."""

import importlib
import random
from itertools import islice
from string import ascii_lowercase

import microgpt
import pytest

# names.txt has 32 033 names of the letters a to z; these come first when seed 42 has shuffled them.
NUMBER_OF_NAMES = 32_033
FIRST_NAMES = """yuheng diondre xavien jori juanluis erandi phia samatha phoenix emmelynn hollan
hollis callalily adelayde josephyne weldon kayle ragnar colbie taveon"""
PUBLISHED = [
    *(3.3660, 3.4243, 3.1778, 3.0664, 3.2209, 2.9452, 3.2894, 3.3245, 2.8990, 3.2229),
    *(2.7964, 2.9345, 3.0544, 3.0905, 3.0651, 2.7337, 2.8839, 2.8977, 2.7073, 2.7453),
]


@pytest.fixture
def model():
    random.seed(42)
    random.shuffle([None] * NUMBER_OF_NAMES)  # draws what shuffling the names themselves would
    return microgpt.MicroGPT(list(ascii_lowercase))


def test_first_losses_are_the_published_ones(model):
    losses = islice(microgpt.train(model, FIRST_NAMES.split()), len(PUBLISHED))
    assert [round(loss, 4) for loss in losses] == PUBLISHED


def test_losses_on_a_tape_are_the_published_ones(model):
    lesson = importlib.import_module("25_native_microgpt")
    steps = islice(lesson.train(model, FIRST_NAMES.split()), len(PUBLISHED))
    assert [round(loss, 4) for loss, _, _ in steps] == PUBLISHED


def test_graph_written_back_has_the_loss_that_its_tape_had():
    random.seed(0)
    letters, names = ["a", "b"], ["ab", "b", "ba", "aa"]
    lesson = importlib.import_module("25_native_microgpt")
    for loss, root, tape in islice(lesson.train(microgpt.MicroGPT(letters), names), 6):
        tape.write_back()
        assert root.data == loss


def test_sampled_name_is_made_of_the_alphabet(model):
    name = model.sample(temperature=0.5)
    assert len(name) <= microgpt.CONTEXT
    assert set(name) <= set(ascii_lowercase)


def test_program_runs_without_a_file_of_names(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["microgpt.py", "--steps", "1"])
    microgpt.main()
    assert "No file was given" in capsys.readouterr().out


def test_missing_file_of_names_is_wrong_use(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["microgpt.py", "no-such-file.txt"])
    with pytest.raises(SystemExit, match="2"):
        microgpt.main()
    assert "file not found: no-such-file.txt" in capsys.readouterr().err
