"""`autolm check` of Functions of many signatures, with and without example arguments."""

import io
from pathlib import Path

import pytest
from hypothesis import settings
from rich.console import Console

torch = pytest.importorskip("torch")

from autolm.cli.file_checks import checks_in  # noqa: E402
from autolm.cli.verdicts import show_verdicts  # noqa: E402
from autolm.testing import Verdict  # noqa: E402

from .many_signatures import RIGHT, WRONG  # noqa: E402

SOURCE = Path(__file__).with_name("many_signatures.py").read_text("utf-8")


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """Check one Function of the file."""
    folder = tmp_path_factory.mktemp("files")
    checks = {}
    for name, end in {"guessed": "", "told": "EXAMPLES = RIGHT | WRONG\n"}.items():
        path = folder / f"{name}.py"
        path.write_text(SOURCE + end, encoding="utf-8")
        checks[name] = {check.name: check for check in checks_in(path)}

    def verdict_of(file, name):
        before = settings.get_current_profile_name()
        settings.load_profile("few")
        try:
            return checks[file][name].report()
        finally:
            settings.load_profile(before)

    settings.register_profile("few", parent=settings.default, max_examples=3, derandomize=True)
    return verdict_of


def test_there_are_enough():
    assert len(RIGHT) >= 35
    assert len(WRONG) >= 20


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_function_is_proved_on_its_example(check, name):
    report = check("told", name)
    assert report.verdict is Verdict.CORRECT, report
    assert ("float64 result" in report.reason) == (name == "InDouble")


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_function_is_found_on_its_example(check, name):
    assert check("told", name).verdict is Verdict.WRONG


@pytest.mark.parametrize("name", [*RIGHT, *WRONG])
def test_a_guess_makes_no_function_wrong(check, name):
    report = check("guessed", name)
    if report.verdict is Verdict.CORRECT:
        assert report.reason.startswith("on guessed arguments: ")
        assert name in RIGHT or name == "FlagForgotten"  # whose flag is left out
    else:
        assert report.verdict is Verdict.UNDECIDED
        assert f'EXAMPLES = {{"{name}": (' in str(report)


def test_a_call_after_the_main_guard_is_an_example(tmp_path):
    path = tmp_path / "kernel.py"
    start, end = SOURCE.index("class RowBias("), SOURCE.index("class ChannelBias(")
    call = 'if __name__ == "__main__":\n    x = torch.randn(4, 3)\n    RowBias.apply(x, x[0])\n'
    text = f"import torch\nfrom torch.autograd import Function\n\n{SOURCE[start:end]}{call}"
    path.write_text(text, encoding="utf-8")
    console = Console(file=io.StringIO(), width=200)
    assert show_verdicts(modules=[path], profile="dev", console=console) == 0
    assert "RowBias is" not in console.file.getvalue()
