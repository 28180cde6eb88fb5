"""Whatever a run folder holds, a command does its work rightly, or refuses it in one line."""

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.hostile.folders import CHECKPOINT, DAMAGES, FILES
from tests.hostile.isolated import NIGHTLY, Ended, autolm
from tests.runs import SMALL, TEXT, to_old_format

OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
COMMANDS = {
    "sample": ["sample", "run", "--prompt=a", "--tokens=9", "--seed=1"],
    "resume": ["train", "--resume", "run"],
    "info": ["info", "run"],
    "step": ["step", "run", "--text=a no"],
}
CONTROLS = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
CHANGEABLE = re.compile(r"config.json (data|steps|validate_every|threads|native) =")
LESS = 4  # of the named damages, one in so many is tried each day


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and a run on it that was stopped on its way; what follows is known."""
    home = tmp_path_factory.mktemp("hostile")
    (home / "text.txt").write_text(TEXT * 3)
    begun = autolm(home, "train", "text.txt", *OPTIONS, "--steps=5", "-o", "good")
    assert (begun.code, begun.error) == (0, b"")
    edited = (home / "good" / "config.json").read_text().replace('"steps": 5', '"steps": 8')
    (home / "good" / "config.json").write_text(edited)
    return home


@pytest.fixture(scope="module")
def rightly(good: Path) -> "Rightly":
    """The result of each command on the undamaged folder."""
    done = Rightly({name: after(good, name) for name in COMMANDS})
    assert [ended.code for ended, _ in done.values()] == [0, 0, 0, 0]
    return done


class Rightly(dict[str, tuple[Ended, dict[str, bytes]]]):
    """How each command ends, and the files that it leaves."""

    def __repr__(self) -> str:
        return "rightly"  # hypothesis warns of what is longer


def copied(home: Path) -> Path:
    shutil.rmtree(home / "run", ignore_errors=True)
    for path in home.glob("*.json*"):
        path.unlink()
    return Path(shutil.copytree(home / "good", home / "run"))


def after(home: Path, command: str, damage=lambda folder: None) -> tuple[Ended, dict[str, bytes]]:
    """Do a command in a copy with a damage; return how it ended, and what is in the folder then."""
    run = copied(home)
    damage(run)
    return autolm(home, *COMMANDS[command], stdin=b"s\nq\n"), state_of(run)


def state_of(folder: Path) -> dict[str, bytes]:
    """Read the small files of a folder; of the others say what they are."""
    return {
        path.name: path.read_bytes()
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 24
        else str(path.lstat().st_mode).encode()
        for path in folder.iterdir()
    }


def assert_right_or_refused(home, rightly, command, damage, *, may_differ=False) -> None:
    run = copied(home)
    damage(run)
    before, text = state_of(run), (home / "text.txt").read_bytes()
    ended, files = autolm(home, *COMMANDS[command], stdin=b"s\nq\n"), state_of(run)
    assert ended.code in (0, 1, 2), ended
    assert not CONTROLS.search(ended.error + ended.out)
    assert (home / "text.txt").read_bytes() == text, "it was written through a link"
    if ended.code:
        assert re.fullmatch(rb"autolm: [^\n]{3,700}\n", ended.error), ended
        assert {k: files[k] for k in before} == before, "a refusal has changed something"
    elif not may_differ:
        expected, leaves = rightly[command]
        assert ended.out == expected.out or command == "resume", "another answer"
        right = leaves if command == "resume" else before
        assert files.get(CHECKPOINT) == right.get(CHECKPOINT), "another checkpoint"


NAMED = list(DAMAGES) if NIGHTLY else list(DAMAGES)[::LESS]


@pytest.mark.parametrize("name", NAMED)
def test_a_damage_is_refused_in_one_line_or_does_not_matter(good, rightly, name: str) -> None:
    every = list(COMMANDS)
    today = every if NIGHTLY else [every[NAMED.index(name) % 2]]
    for command in today:
        options = command == "info" and name.startswith(("config", "tokenizer"))  # as it is there
        may_differ = options or bool(CHANGEABLE.match(name))
        assert_right_or_refused(good, rightly, command, DAMAGES[name], may_differ=may_differ)


@settings(
    max_examples=4 * settings.default.max_examples,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # the smallest is not clearer
)
@given(
    name=st.sampled_from(FILES[:3]),
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 7)), min_size=1, max_size=3),
    kind=st.sampled_from(["flipped", "cut", "doubled"]),
    command=st.sampled_from(["sample", "resume"]),
)
def test_bytes_that_a_disk_has_spoilt_never_give_another_answer(
    good, rightly, name: str, places, kind: str, command: str
) -> None:
    def damage(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        for share, bit in places:
            at = min(len(content) - 1, int(share * len(content))) if content else 0
            if kind == "flipped" and content:
                content[at] ^= 1 << bit
            elif kind == "cut":
                del content[at : at + bit + 1]
            else:
                content[at:at] = content[at : at + 8 * (bit + 1)]
        (folder / name).write_bytes(content)

    # A config may be edited by hand where a run can change, and then is believed.
    differs = name == "config.json"
    assert_right_or_refused(good, rightly, command, damage, may_differ=differs)


@pytest.mark.parametrize("version", [0, 1])
def test_a_folder_of_an_earlier_version_goes_on_to_the_same_weights(
    good, rightly, version: int
) -> None:
    for command in COMMANDS:
        ended, files = after(good, command, lambda folder: to_old_format(folder, version))
        expected, leaves = rightly[command]
        assert (ended.code, ended.error) == (0, b"")
        if command == "resume":
            assert files == leaves
        else:
            assert ended.out == expected.out
