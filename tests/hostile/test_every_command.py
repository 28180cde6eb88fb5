"""Every command where the terminal knows ASCII alone, and where the disk is full."""

import re
import shutil
from pathlib import Path

import pytest

from tests.hostile.isolated import NIGHTLY, autolm
from tests.hostile.programs import WALKED
from tests.needs import need_renderer
from tests.runs import SMALL, TEXT, contents

OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
OPERATION = (
    "from autolm import primitive\n@primitive\ndef twice(a):\n"
    "    def backward(grad):\n        return (grad * 2,)\n    return a * 2, backward\n"
)
SPEAKS = {
    "--help": "",
    "info run --workers 2": "",
    "ops": "",
    "check op.py": "",
    "sample run --prompt a --tokens 9": "",
    "step p.py": "s\nw\nwhy x\nargs\nl\nb op=*\nc\nrs\nq\n",
    "step run --text ano": "s\nw\nl\nopen\ns\nq\nq\n",
    f"train text.txt {' '.join(OPTIONS)} -o other": "",
    "train --resume other --steps 12": "",
    "export run out": "",
    "draw p.py -o p.dot": "",
    "vscode --launch-json": "",
}
WRITES = {
    f"train text.txt {' '.join(OPTIONS)} -o new": "new",
    "train --resume run --steps 12": "run",
    "export run out": "out",
    "draw p.py -o p.svg": "p.svg",
    "draw run --attention --text ano -o p.svg": "p.svg",
    "draw p.py -o p.dot": "p.dot",
    "step p.py --html p.html": "p.html",
    "step run --text ano --html p.html": "p.html",
    "vscode": "autolm-0.1.0.vsix",
}


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """A folder with a program, an operation, a text, and a run on it."""
    return Path(shutil.copytree(trained, tmp_path_factory.mktemp("commands"), dirs_exist_ok=True))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("trained")
    (home / "text.txt").write_text(TEXT * 3)
    (home / "p.py").write_text(WALKED)
    (home / "op.py").write_text(OPERATION)
    assert autolm(home, "train", "text.txt", *OPTIONS, "-o", "run").code == 0
    return home


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"] if NIGHTLY else ["ascii"])
def test_an_encoding_that_lacks_our_signs_ends_no_command(home: Path, encoding: str) -> None:
    for words, typed in SPEAKS.items():
        ended = autolm(home, *words.split(), stdin=typed.encode(), encoding=encoding)
        assert (ended.code, ended.error) == (0, b""), (words, ended)
        assert "\\u" not in ended.out.decode(encoding), f"{words}: a sign without a stand-in"


@pytest.mark.parametrize("words", WRITES)
def test_a_full_disk_leaves_what_was_there(home: Path, words: str) -> None:
    if "svg" in words or "html" in words:
        need_renderer()
    path = home / WRITES[words]
    if path.suffix:
        path.write_text("mine")
    before, run = {each.name for each in home.iterdir()}, contents(home / "run")
    ended = autolm(home, *words.split(), room=1500)
    assert ended.code == 1, ended
    assert re.fullmatch(rb"autolm: \S+: cannot be written: File too large\n", ended.error), ended
    assert not path.suffix or path.read_text() == "mine"
    assert {each.name for each in home.iterdir()} == before
    now = contents(home / "run")
    kept = run.keys() - {"metrics.jsonl"}  # which says what was begun
    assert {name: now[name] for name in kept} == {name: run[name] for name in kept}
    assert not {name for name in now if "partial" in name}
    if "resume" in words:  # with what fails to be written, no choice has changed
        done = autolm(home, "train", "--resume", "run")
        assert (done.code, contents(home / "run")) == (0, run)
    went_on = autolm(home, "train", "--resume", "run", "--steps=12")
    assert (went_on.code, went_on.error) == (0, b"")
