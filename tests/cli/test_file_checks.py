"""`autolm check FILE`: where example arguments come from, and what a guess may lead to."""

import io
import re
import tempfile
from pathlib import Path

import pytest
from rich.console import Console

from autolm.cli.command import main
from autolm.cli.file_checks import checks_in
from autolm.cli.verdicts import show_verdicts
from autolm.testing import Verdict
from autolm.testing.example_arguments import ExampleFinder

OPERATIONS = '''
import numpy as np
from autolm import primitive

@primitive
def row_bias(x, b):
    return x + b, lambda g: (g, g.sum(0))

@primitive
def clip(x, low, high):
    return np.clip(x, low, high), lambda g: (g * ((x >= low) & (x <= high)), None, None)

@primitive
def total(x, *, axis):
    return x.sum(axis), lambda g: (np.broadcast_to(np.expand_dims(g, axis), x.shape),)

@primitive
def take(x, index):
    def backward(g):
        sent = np.zeros(x.shape)
        np.add.at(sent, index, g)
        return sent, None
    return x[index], backward

@primitive
def norm_of_rows(x):
    y = np.sqrt((x * x).sum(1, keepdims=True) + 1)
    return y, lambda g: (g * x / y,)

@primitive
def affine(x, w, b):
    """Return x w + b.

    >>> affine(np.ones((4, 3)), np.ones((3, 2)), np.ones(2)).shape
    (4, 2)
    """
    return x @ w + b, lambda g: (g @ w.T, x.T @ g, g.sum(0))

@primitive
def log_of_shares(p):
    return np.log(p), lambda g: (g / p,)
'''
EXAMPLES = """
EXAMPLES = {
    "row_bias": (np.ones((4, 3)), np.ones(3)),
    "clip": ([-1.0, 0.5, 2.0], 0.0, 1.0),
    "total": (np.ones((2, 3)), {"axis": 0}),
    "take": (np.ones((4, 3)), np.array([0, 2, 2])),
    "norm_of_rows": np.ones((2, 3)),
    "log_of_shares": [0.25, 0.5],
}
"""
MISTAKES = {  # of each operation: what its rule is changed from, and to
    "row_bias": ("(g, g.sum(0))", "(g, g[0])"),
    "clip": ("g * ((x >= low) & (x <= high))", "g"),
    "total": ("np.expand_dims(g, axis)", "np.expand_dims(2 * g, axis)"),
    "take": ("np.add.at(sent, index, g)", "sent[index] = g"),
    "norm_of_rows": ("g * x / y", "g * x"),
    "affine": ("g.sum(0)", "g.mean(0)"),
    "log_of_shares": ("(g / p,)", "(g,)"),
}
SCALAR = """
from autolm import primitive

@primitive
def tripled(x):
    return 2 * x, lambda g: (3 * g,)
"""


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def reports_of(path):
    return {check.name: check.report() for check in checks_in(path)}


def run(*names, **options):
    console = Console(file=io.StringIO(), width=200)
    code = show_verdicts(names, console=console, profile="dev", **options)
    return code, console.file.getvalue()


def spoilt():
    text = OPERATIONS
    for name, (right, wrong) in MISTAKES.items():
        before, definition, after = text.partition(f"def {name}(")
        text = before + definition + after.replace(right, wrong, 1)
    return text


def test_right_operations_are_proved_on_their_examples(tmp_path):
    reports = reports_of(written(tmp_path / "right.py", OPERATIONS + EXAMPLES))
    assert {name: each.verdict for name, each in reports.items()} == dict.fromkeys(
        MISTAKES, Verdict.CORRECT
    )


def test_wrong_operations_are_found_on_their_examples(tmp_path):
    reports = reports_of(written(tmp_path / "wrong.py", spoilt() + EXAMPLES))
    assert {name: each.verdict for name, each in reports.items()} == dict.fromkeys(
        MISTAKES, Verdict.WRONG
    )


@pytest.mark.parametrize("source", [OPERATIONS, spoilt()], ids=["right", "wrong"])
def test_without_an_example_nothing_but_a_rule_of_numbers_is_wrong(tmp_path, source):
    source = re.sub(r"    >>> .*\n", "", source)
    reports = reports_of(written(tmp_path / "guessed.py", source))
    wrong = {name for name, report in reports.items() if report.verdict is Verdict.WRONG}
    assert wrong <= ({"log_of_shares"} if source != OPERATIONS else set())
    undecided = [each for each in reports.values() if each.verdict is Verdict.UNDECIDED]
    assert any("it needs example arguments" in str(report) for report in undecided)


def test_a_rule_that_is_wrong_for_numbers_needs_no_example(tmp_path):
    assert run(modules=[written(tmp_path / "scalar.py", SCALAR)])[0] == 1


def test_the_line_that_is_advised_can_be_pasted(tmp_path):
    source = OPERATIONS.partition("@primitive\ndef clip")[0].replace("row_bias(x, b)", "f(x, b)")
    code, text = run(modules=[written(tmp_path / "guessed.py", source)])
    assert code == 3
    assert "f is UNDECIDED: it needs example arguments (guessed: " in text
    assert "  write into guessed.py how it is called, such as" in text
    (line,) = re.findall(r"^ +(EXAMPLES = .*)$", text, re.MULTILINE)
    line = re.sub(r"\[\[1.0, 2.0, 3.0\], \S+ \S+ \S+\)\}", "[1.0, 2.0, 3.0])}", line)
    assert run(modules=[written(tmp_path / "told.py", source + line)])[0] == 0


CALLS = {
    "y = f(*given)\n": "given = (1, 2)\n",
    "print(f(x, y=2) + 1)\n": "x = 1\n",
    "if __name__ == '__main__':\n    x = make()\n    f(x, 2)\n": "def make(): return 1\n",
    "if __name__ == '__main__':\n    from math import isqrt\n    f(isqrt(1), 2)\n": "",
    "g = F.apply\ng(1, 2)\n": "class F: apply = f\n",
    "with open(__file__):\n    f(1, 2)\n": "",
    "gradcheck(F.apply, (1, 2), eps=1e-6)\n": "class F: apply = f\ndef gradcheck(*a, **k): ...\n",
    "check.check_function(f, 1, 2)\n": "class check: check_function = print\n",
    "try:\n    f(1, 2)\nexcept ValueError: ...\n": "",
}
NOT_READ = {
    "for x in (1, 2):\n    f(x, 2)\n": "",
    "x = 1\nx += 1\nf(x, 2)\n": "",
    "def test():\n    f(1, 2)\n": "",
    "check_function(f, 1, domain=(0, 1))\n": "check_function = lambda *a, **k: 1\n",
    "if __name__ == '__main__':\n    x = 1 / 0\n    f(x, 2)\n": "",
    "if __name__ == '__main__':\n    with open(__file__) as x:\n        f(x, 2)\n": "",
    "g(1, 2)\n": "g = print\n",
}


def found_in(source, name="f"):
    variables = {"__name__": "file", "__file__": __file__}
    exec(source, variables)
    return ExampleFinder(variables, source).find(name)


@pytest.mark.parametrize("call", CALLS)
def test_arguments_are_read_from_a_call(call):
    source = f"def f(x, y):\n    return x + y\n{CALLS[call]}{call}"
    name = "F" if "class F" in source else "f"
    source = source.replace("apply = f", "apply = staticmethod(f)")
    found = found_in(source, name)
    assert found.in_order(lambda x, y: 0) == (1, 2)


@pytest.mark.parametrize("call", NOT_READ)
def test_arguments_that_depend_on_more_than_assignments_are_not_read(call):
    assert found_in(f"def f(x, y): ...\n{NOT_READ[call]}{call}") is None


def test_the_table_comes_before_a_doctest_and_that_before_a_call():
    doctested = 'def f(x):\n    """Double.\n\n    >>> x = 2\n    >>> f(x)\n    """\nf(3)\n'
    assert found_in(doctested + "EXAMPLES = {'f': 1}").positional == (1,)
    assert found_in(doctested).positional == (2,)
    assert found_in(doctested.replace(">>>", "")).positional == (3,)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("EXAMPLES = {'triple': 1.0}", "a.py: EXAMPLES has 'triple', .*; did you mean tripled?"),
        ("EXAMPLES = [1]", "a.py: EXAMPLES must be a dict of arguments by name"),
    ],
)
def test_a_table_that_does_not_fit_the_file_is_refused(tmp_path, line, message):
    with pytest.raises(ValueError, match=message):
        checks_in(written(tmp_path / "a.py", SCALAR + line))


@pytest.mark.parametrize(
    ("example", "said"),
    [
        ("'text'", "no array of floating point"),
        ("(1.0, 2.0)", "cannot be called with its example: TypeError"),
    ],
)
def test_an_example_that_does_not_fit_is_undecided(tmp_path, example, said):
    source = f"{SCALAR}EXAMPLES = {{'tripled': {example}}}"
    code, text = run(modules=[written(tmp_path / "a.py", source)])
    assert code == 3
    assert said in text


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def line(*words):
        with pytest.raises(SystemExit) as end:
            main(list(words))
        assert end.value.code == 2
        return capsys.readouterr().err.removeprefix("autolm: ").rstrip()

    return line


def test_what_is_no_python_file_is_refused_as_what_it_is(refused):
    Path("folder/inner").mkdir(parents=True)
    Path("notes.txt").write_text("")
    Path("null.py").write_bytes(b"a\0b")
    null = "null.py: source code string cannot contain null bytes"
    for words, said in {
        ("check", "folder"): "folder: it is a folder; name the Python files in it",
        ("check", "folder/inner"): "folder/inner: it is a folder; name the Python files in it",
        ("check", "notes.txt"): "notes.txt: this is not a Python file; its name must end in .py",
        ("check", "folder/gone"): "folder/gone: there is no such file",
        ("check", "null.py"): null,
        ("step", "null.py"): null,
    }.items():
        assert refused(*words) == said


def test_a_package_is_checked_module_by_module(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "rules_of_a_package"
    (folder / "inner").mkdir(parents=True)
    for name, text in {
        "__init__.py": "from .right import doubled",
        "__main__.py": "raise SystemExit(9)",
        "right.py": "from autolm import primitive\n\n"
        "@primitive\ndef doubled(a):\n    return 2 * a, lambda g: (2 * g,)\n",
        "inner/__init__.py": "",
        "inner/wrong.py": "from autolm import primitive\nfrom ..right import doubled\n\n"
        "@primitive\ndef tripled(a):\n    return 3 * a, lambda g: (2 * g,)\n",
        "optional.py": "import a_module_that_nobody_installed",
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    verdicts = {check.name: check.report().verdict for check in checks_in(folder)}
    assert verdicts == {
        "doubled": Verdict.CORRECT,
        "tripled": Verdict.WRONG,
        "rules_of_a_package.optional": Verdict.UNDECIDED,
    }
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["check", folder.name])
    assert end.value.code == 1
    assert "tripled is WRONG" in capsys.readouterr().out


def test_a_wrong_operation_leaves_no_folder_and_draws_where_it_is_told(tmp_path, monkeypatch):
    path = written(tmp_path / "scalar.py", SCALAR)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    Path(tempfile.tempdir).mkdir()
    assert "drawing" not in run(modules=[path])[1]
    assert list(Path(tempfile.tempdir).iterdir()) == []
    code, text = run(modules=[path], drawings=tmp_path / "a" / "b")
    drawn = [line.partition("drawing: ")[2] for line in text.splitlines() if "drawing: " in line]
    assert [Path(each) for each in drawn] == list((tmp_path / "a" / "b").iterdir())
    assert code == 1
