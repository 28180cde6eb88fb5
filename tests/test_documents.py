"""README, guide and CONTRIBUTING say what is so: programs run, and paths in them are there."""

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autolm.cli.command import main

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "README.ko.md", "CONTRIBUTING.md", "demos/guide.md", ".ci/run")
PROGRAMS = [
    program
    for page in ("README.md", "demos/guide.md")
    for program in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
]


def test_the_korean_readme_has_all_that_the_english_one_has_and_both_are_short():
    english, korean = ((ROOT / page).read_text("utf-8") for page in ("README.md", "README.ko.md"))
    for part in (r"(?s)```.*?```", r"(?:src|srcset)=\"(.*?)\"", r"^#+ ", r"\]\((?!README)(.*?)\)"):
        same = [re.findall(part, text, re.MULTILINE) for text in (english, korean)]
        assert same[0] == same[1]
    assert max(len(text.splitlines()) for text in (english, korean)) < 150


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


def test_the_kernel_of_the_readme_passes_gradcheck():
    torch = pytest.importorskip("torch")
    variables = runpy.run_path(str(ROOT / "demos/scale.py"))
    assert torch.autograd.gradcheck(variables["Scale"].apply, variables["inputs"])


def test_the_operation_of_the_readme_is_the_file_that_it_names():
    readme = (ROOT / "README.md").read_text("utf-8")
    program = re.search(r"```python\n(from autolm import primitive.*?)```", readme, re.DOTALL)[1]
    assert (ROOT / "demos/my_ops.py").read_text("utf-8").split() == program.split()


TRANSCRIPTS = [
    pytest.param(page, *transcript, id=f"{page} {transcript[0]}")
    for page in ("README.md", "README.ko.md", "demos/guide.md")
    for transcript in re.findall(
        r"```\n\$ autolm (check \S+).*?\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL
    )
]


def test_there_are_transcripts():
    assert len(TRANSCRIPTS) >= 5


@pytest.mark.parametrize(("page", "command", "expected"), TRANSCRIPTS)
def test_a_transcript_is_what_the_command_prints(page, command, expected, capsys, monkeypatch):
    if "scale" in command:
        pytest.importorskip("torch")
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit):
        main(command.split())
    printed = capsys.readouterr().out
    omitted = [re.escape(part) for part in ("\n" + expected).split("\n...\n")]
    if not re.fullmatch("\n(?s:.*\n)?".join(omitted), "\n" + printed):
        assert printed == expected  # pytest shows the difference


def test_the_debugger_prints_the_transcript_of_the_readme():
    text = (ROOT / "README.md").read_text("utf-8")
    (transcript,) = re.findall(r"```\n\$ autolm (step .*?)```", text, re.DOTALL)
    command, _, shown = transcript.partition("\n")
    typed = re.findall(r"^\(bp\) (.*)\n", shown, re.MULTILINE)
    result = subprocess.run(
        [sys.executable, "-m", "autolm", *command.split()],
        input="".join(f"{line}\n" for line in typed),
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        check=True,
    )
    assert result.stdout == re.sub(r"^\(bp\) .*\n", "(bp) ", shown, flags=re.MULTILINE)


def test_the_moving_picture_of_the_readme_is_what_its_script_makes():
    script = runpy.run_path(str(ROOT / "demos/pictures/stepping.py"))
    for suffix, theme in script["THEMES"].items():
        picture = ROOT / f"demos/pictures/stepping{suffix}.svg"
        assert picture.read_text("utf-8") == script["picture"](theme)


@pytest.mark.parametrize("page", PAGES)
def test_the_paths_that_a_page_names_are_there(page):
    text = (ROOT / page).read_text("utf-8")
    named = re.findall(r"(?<![\w/.-])(?:autolm|demos|tests|\.ci)/[\w./-]*[\w/]", text)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_package_has_a_line_in_the_guide_and_in_contributing():
    packages = {path.parent.name for path in (ROOT / "autolm").glob("*/__init__.py")}
    guide, plan = (
        (ROOT / page).read_text("utf-8") for page in ("demos/guide.md", "CONTRIBUTING.md")
    )
    assert {name for name in packages if f"| `autolm/{name}/` |" not in guide} == set()
    assert {name for name in packages if f"| `{name}/` |" not in plan} == set()


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ("ops: add erfinv\n\nModels of noise need it.\n", True),
        ("debugger: stop at a pass by number\n\nWhy.\n# a comment of git\n", True),
        ("ops: add erfinv\n", False),
        ("ops: add erfinv.\n\nWhy.\n", False),
        ("Add erfinv\n\nWhy.\n", False),
        ("ops: Add erfinv\n\nWhy.\n", False),
        ("ops: add erfinv\nWhy.\n", False),
        (f"ops: add {'a' * 64}\n\nWhy.\n", False),
        ("ops: add erfinv\n\n# a comment of git\n", False),
    ],
)
def test_the_hook_checks_the_form_of_a_commit_message(text, is_right):
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    pattern = re.search(r"id: commit-message\n.*\n +entry: '(.*)'", hooks)[1]
    assert bool(re.search(pattern, text, re.MULTILINE)) is is_right
