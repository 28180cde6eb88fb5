"""Whatever a folder of Hugging Face holds, a command reads it rightly, or refuses it in a line."""

import re
import shutil
from pathlib import Path

import pytest

from tests.hostile.isolated import NIGHTLY, Ended, autolm
from tests.hostile.pretrained_folders import DAMAGES, MAY_DIFFER
from tests.hostile.test_damaged_folders import CONTROLS, OPTIONS, state_of
from tests.runs import TEXT

COMMANDS = {
    "sample": ["sample", "hf", "--prompt=a", "--tokens=9", "--seed=1"],
    "step": ["step", "hf", "--text=a no"],
    "info": ["info", "hf"],
    "draw": ["draw", "hf", "--text=a no", "-o", "o.dot"],
}
LESS = 4  # of the damages, one in so many is tried each day
NAMED = list(DAMAGES) if NIGHTLY else list(DAMAGES)[1::LESS]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one that transformers would load, made of a small run."""
    home = tmp_path_factory.mktemp("pretrained")
    (home / "text.txt").write_text(TEXT * 3)
    bpe = ("--tokenizer=bpe", "--num-merges=9", "--num-layers=2", "--norm=pre")
    for words in (["train", "text.txt", *OPTIONS, *bpe, "-o", "run"], ["export", "run", "good"]):
        assert autolm(home, *words).code == 0
    return home


@pytest.fixture(scope="module")
def rightly(home: Path) -> dict[str, Ended]:
    """The result of each command on the undamaged folder."""
    shutil.copytree(home / "good", home / "hf")
    done = {name: autolm(home, *words, stdin=b"s\nq\n") for name, words in COMMANDS.items()}
    assert [(ended.code, ended.error) for ended in done.values()] == [(0, b"")] * len(done)
    return done


@pytest.mark.parametrize("name", NAMED)
def test_a_damage_is_refused_in_one_line_or_does_not_matter(home, rightly, name: str) -> None:
    every = list(COMMANDS)
    for command in every if NIGHTLY else [every[NAMED.index(name) % 2]]:
        shutil.rmtree(home / "hf", ignore_errors=True)
        DAMAGES[name](Path(shutil.copytree(home / "good", home / "hf")))
        before = state_of(home / "hf")
        ended = autolm(home, *COMMANDS[command], stdin=b"s\nq\n")
        assert ended.code in (0, 1, 2), ended
        assert not CONTROLS.search(ended.out + ended.error)
        assert state_of(home / "hf") == before
        if ended.code:
            assert re.fullmatch(rb"autolm: [^\n]{3,700}\n", ended.error), ended
            assert b"Error" not in ended.error, ended  # of Python's, and not of ours
        elif not name.startswith(MAY_DIFFER) and command != "info":
            assert ended.out == rightly[command].out, "another answer"
