"""Programs are read as Python reads them; an error of one is a line with its location."""

import re
from pathlib import Path

import pytest

from tests.hostile.isolated import NIGHTLY, autolm
from tests.hostile.programs import ILL, LOSS, WELL
from tests.needs import need_renderer

TYPED = b"s\nnan\nwhy x\np x.grad\nl\nw\nrs\nc\nq\n"
ENCODINGS = ("utf-8", "cp1252", "ascii")
LESS = 2  # of the programs, one in so many is tried each day


def some(cases: dict, first: int) -> list[str]:
    return list(cases) if NIGHTLY else list(cases)[first::LESS]


@pytest.mark.parametrize("name", some(WELL, 1))
def test_a_right_program_is_stepped_and_drawn_with_its_lines(tmp_path: Path, name: str) -> None:
    (tmp_path / "p.py").write_bytes(WELL[name])
    drawn = autolm(tmp_path, "draw", "p.py", "-o", "o.dot")
    assert (drawn.code, drawn.error) == (0, b"")
    assert (tmp_path / "o.dot").stat().st_size > 500
    encodings = ENCODINGS if NIGHTLY else (ENCODINGS[len(name) % 3],)
    for encoding in encodings:
        stepped = autolm(tmp_path, "step", "p.py", stdin=TYPED, encoding=encoding)
        assert stepped.code == 0, stepped
        assert re.search(rb"p\.py:\d", stepped.out), stepped
        assert b"* " in stepped.out and b"Traceback" not in stepped.out + stepped.error
        output = stepped.out.decode(encoding)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", output)


@pytest.mark.parametrize("name", some(ILL, 2))
def test_a_program_that_fails_is_one_line_with_its_place_and_a_hint(
    tmp_path: Path, name: str
) -> None:
    source, line = ILL[name]
    (tmp_path / "p.py").write_bytes(source)
    (tmp_path / "broken_neighbour.py").write_text("1\n2\nx = = 3\n")
    commands = [["draw", "p.py", "-o", "o.dot"], ["check", "p.py"]]
    for words in commands if NIGHTLY else commands[:1]:
        ended = autolm(tmp_path, *words)
        assert ended.code not in (0, 98, 99) and ended.code > 0, ended
        hint = rb"(autolm: for the traceback: autolm --traceback [^\n]+\n)?"
        assert re.fullmatch(rb"autolm: [^\n]{3,700}\n" + hint, ended.error), ended
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", ended.error), ended
        if line is not None and words[0] == "draw":
            place = line if isinstance(line, str) else f"p.py:{line}"
            assert f"{place}: ".encode() in ended.error, ended
        assert not (tmp_path / "o.dot").exists()


SIDE = LOSS + "import threading\nclass D:\n    def __del__(self): raise ValueError('late')\n"
SIDE += "t = threading.Thread(target=lambda: 1 / 0, name='aside')\nt.start(); t.join(); D()\n"


def test_what_fails_beside_a_program_is_a_line_each_and_its_graph_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(SIDE)
    ended = autolm(tmp_path, "draw", "p.py", "-o", "o.dot")
    assert ended.code == 0
    assert ended.error.decode().splitlines() == [
        "autolm: p.py:7: ZeroDivisionError: division by zero (in aside)",
        "autolm: p.py:6: ValueError: late (ignored)",
    ]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_encoding_that_lacks_our_signs_gets_others(tmp_path: Path, encoding: str) -> None:
    for words in (["ops"], ["train", "--help"]):
        ended = autolm(tmp_path, *words, encoding=encoding)
        assert (ended.code, ended.error) == (0, b"")
        text = ended.out.decode(encoding)
        assert "\\u" not in text, "a sign without a stand-in"


def test_no_file_is_written_over_by_one_that_fails(tmp_path: Path) -> None:
    need_renderer()
    (tmp_path / "p.py").write_bytes(WELL["plain"])
    for name in ("o.svg", "o.html"):
        (tmp_path / name).write_text("mine")
        (tmp_path / name).chmod(0o400)
    limited = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))\n"
    limited += "import sys; sys.dont_write_bytecode = True\n"  # CPython 3.11 would keep a part
    (tmp_path / "q.py").write_bytes(limited.encode() + WELL["plain"])
    for words in (["draw", "q.py", "-o", "o.svg"], ["step", "q.py", "--html", "o.html"]):
        ended = autolm(tmp_path, *words)
        assert ended.code == 1
        assert re.fullmatch(rb"autolm: o\.\w+: cannot be written: [\w ]+\n", ended.error), ended
    assert [path.read_text() for path in sorted(tmp_path.glob("o.*"))] == ["mine", "mine"]
    assert not list(tmp_path.glob(".autolm*"))
