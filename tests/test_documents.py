"""README and CONTRIBUTING say what is so: their programs run, and the paths in them are there."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "CONTRIBUTING.md", ".ci/run")
PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


def test_the_readme_has_programs():
    assert len(PROGRAMS) >= 4


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda text: text.splitlines()[-1])
def test_a_program_of_the_readme_runs_and_gives_what_it_says(program):
    if "import torch" in program:
        pytest.importorskip("torch")
    variables = {}
    exec(program, variables)
    for line in program.splitlines():
        told, _, said = line.partition("  # ")
        try:
            expected = ast.literal_eval(said)
        except (SyntaxError, ValueError):
            continue  # words
        np.testing.assert_allclose(eval(told, variables), expected)


def test_the_kernel_of_the_readme_passes_gradcheck_and_is_found(capsys):
    pytest.importorskip("torch")
    (program,) = (text for text in PROGRAMS if "import torch" in text)
    exec(program, {})
    assert "wrong where only weight requires a gradient" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES)
def test_the_paths_that_a_page_names_are_there(page):
    text = (ROOT / page).read_text("utf-8")
    named = re.findall(r"(?<![\w/.-])(?:autolm|demos|tests|\.ci)/[\w./-]*[\w/]", text)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_room_has_a_line_in_the_readme_and_in_the_plan():
    rooms = {path.parent.name for path in (ROOT / "autolm").glob("*/__init__.py")}
    readme, plan = ((ROOT / page).read_text("utf-8") for page in PAGES[:2])
    assert {room for room in rooms if f"| `autolm/{room}/` |" not in readme} == set()
    assert {room for room in rooms if f"| `{room}/` |" not in plan} == set()
