"""Names of any kind, in programs, paths and texts, reach the terminal as text, and not too long."""

import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autolm.outside.terminal import BIDIRECTIONAL_CONTROLS, LONGEST
from tests.hostile.isolated import Ended, autolm
from tests.hostile.programs import LOSS
from tests.hostile.test_damaged_folders import OPTIONS
from tests.runs import TEXT

TURNS = "\x1b[8m \x1b[31m \x1b]0;owned\x07 \r \x9b2J \x08 \x7f \u202e \u2028"
UNFIT = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{''.join(BIDIRECTIONAL_CONTROLS)}]")
SIGNS = st.sampled_from([*TURNS, "a", "é", "한", "[b]", "[red]", "$", "\\", "{", "x" * 2000])
NAMES = st.lists(SIGNS, min_size=1, max_size=12).map("".join)
FILES = NAMES.map(
    lambda name: name.encode()[:90].decode(errors="ignore").strip(". \r\u2028") or "a"
)
TYPED = "s\nw\nargs\nll\nwhy #2\nnan\nzoom\nb op=*\nc\nrs\nq\n"
FEW = settings(max_examples=settings.default.max_examples // 10 or 1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text, and a run on it."""
    home = tmp_path_factory.mktemp("spared")
    (home / "text.txt").write_text(TEXT * 3)
    assert autolm(home, "train", "text.txt", *OPTIONS, "-o", "run").code == 0
    return home


def assert_spares(ended: Ended, codes: tuple[int, ...] = (0,)) -> None:
    assert ended.code in codes, ended
    output = (ended.out + ended.error).decode()
    assert not UNFIT.search(output), output
    assert max(map(len, output.splitlines()), default=0) < 3 * LONGEST, output


@FEW
@given(NAMES, NAMES, NAMES)
@example(TURNS, TURNS, TURNS)
@example("x" * 5000, "y" * 5000, "z" * 5000)
def test_names_of_a_program_are_shown_as_text(home: Path, name, scope, result) -> None:
    source = f"{LOSS}from autolm import scope\nx.name = {name!r}\nwith scope({scope!r}):\n"
    (home / "p.py").write_text(source + f"    loss = loss * x\nloss.name = {result!r}\n", "utf-8")
    assert_spares(autolm(home, "step", "p.py", stdin=TYPED.encode()))
    (home / "p.py").write_text(source + f"    raise ValueError({result!r})\n", "utf-8")
    assert_spares(autolm(home, "draw", "p.py", "-o", "o.dot"), (2,))


@FEW
@given(FILES)
@example(TURNS)
@example("[red]$\\q$[b] 한")
def test_names_of_files_are_shown_as_text(home: Path, name: str) -> None:
    place = home / "in"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / f"{name}.py").write_text(LOSS)
    shutil.copy(home / "text.txt", place / name)
    shutil.copytree(home / "run", place / f"{name}.run")
    assert_spares(autolm(place, "step", "--", f"{name}.py", stdin=b"w\nq\n"))
    assert_spares(autolm(place, "draw", "-o", f"{name}.dot", "--", f"{name}.py"))
    assert_spares(autolm(place, "check", "--", f"{name}.py", f"{name}.no.py"), (2,))
    assert_spares(autolm(place, "train", *OPTIONS, "-o", f"{name}.new", "--", name))
    assert_spares(autolm(place, "train", "--steps=12", f"--resume={name}.run"))
    assert_spares(autolm(place, "export", "--", f"{name}.run", f"{name}.hf"))
    assert_spares(autolm(place, "info", "--", f"{name}.hf"))


@FEW
@given(NAMES)
@example(TURNS)
def test_texts_and_tokens_are_shown_as_text(home: Path, name: str) -> None:
    for words in (["step", "run", f"--text=a{name}"], ["sample", "run", f"--prompt={name}"]):
        assert_spares(autolm(home, *words, stdin=b"s\nargs\nq\n"), (0, 2))
    assert_spares(autolm(home, "train", f"--kind={name}"), (2,))
    (home / "config.json").write_text(json.dumps({"kind": name, name: name}))
    assert_spares(autolm(home, "info", "config.json"), (2,))
