"""The commands of the course in Korean: what they do, and that no English sentence is left."""

import re

import pytest

from autolm.cli.command import main
from autolm.cli.help_texts import HELP
from autolm.debugger.commands import Debugger
from autolm.outside.language import speak
from tests.session import Session, the_neuron

ENGLISH = re.compile(r"\b[a-zA-Z]?[a-z]+ [a-z]+ [a-z]+\b")
SWAPPED = """from autolm import primitive
@primitive
def swapped(a, b):
    def backward(grad):
        return grad * a, grad * b
    return a * b, backward
"""


@pytest.fixture(autouse=True)
def english_again():
    yield
    speak("en")


@pytest.fixture
def autolm(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([*map(str, arguments), "--language", "ko"])
        output = capsys.readouterr()
        return end.value.code, output.out + output.err

    return run


@pytest.mark.parametrize("command", HELP)
def test_the_help_of_a_command_is_korean(autolm, command):
    code, output = autolm(command, "--help")
    assert code == 0
    assert "사용법: " in output
    assert "이 도움말을 표시합니다." in output
    assert "required" not in output
    for line in HELP[command].examples:
        output = output.replace(line, "")
    assert not ENGLISH.search(output), output


def test_a_run_is_trained_looked_at_and_sampled(autolm, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "text.txt").write_text("interrupted\nno breakpoints\n" * 40)
    small = ("--kind=lines", "--steps=4", "--d-model=8", "--num-heads=2", "--num-layers=1")
    run = tmp_path / "run"
    code, output = autolm("train", tmp_path / "text.txt", *small, "--output", run)
    assert code == 0
    for words in (
        "층 1 · 헤드 2",
        "바닥    균등 ",
        "걸음 4/4",
        "퍼플렉시티",
        "검증하지 않음: 도중에",
    ):
        assert words in output
    code, output = autolm("train", "--resume", run, "--steps", "3")
    assert code == 2
    assert output == "autolm: steps가 3인데 이미 4걸음을 했습니다\n"
    assert "모듈" in autolm("info", run)[1]
    picture = tmp_path / "a.svg"
    code, output = autolm("draw", run, "--text", "no breakpoints", "--attention", "-o", picture)
    assert code == 0
    assert output.startswith("모델이 읽는 글: no breakpoints\n")  # a text is left as it is


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("nothing",), "그런 명령이 없습니다: 'nothing'"),
        (("step",), "프로그램 FILE.py나 폴더, 또는 -m MODULE을 쓰세요"),
        (("sample",), "인자가 빠졌습니다: 'MODEL'"),
        (
            ("train", "--steps", "x"),
            "'--steps'의 값이 잘못되었습니다: 'x'은(는) 정수가 아닙니다. 1 이상",
        ),
        (("train", "--num-layers", "0"), "num_layers은(는) 1 이상이어야 하는데 0입니다"),
        (("train", "/none.txt"), "/none.txt: 그런 파일이 없습니다. 이름을 확인하세요"),
        (("check", "nul"), "'nul'(이)라는 연산이 없습니다. 혹시 mul입니까?"),
        (("check", "/"), "/: 폴더입니다. 그 안의 파이썬 파일을 적어 주세요"),
        (("draw", "a.py", "-o", "a.gif"), "a.gif: 파일 이름은 .svg"),
        (("--bad",), "그런 옵션이 없습니다: --bad"),
        (("ops", "mul"), "남는 인자가 있습니다: mul"),
        (("step", "none.py"), "none.py: 읽을 수 없습니다: 그런 파일이나 폴더가 없습니다"),
        (("step", "none.py", "--segment", "x"), "'--segment'의 값이 잘못되었습니다: "),
        (("step", "none.py", "--segment", "0"), "'--segment'의 값이 잘못되었습니다: "),
        (("dap", "--port", "99999"), "'--port'의 값이 잘못되었습니다: "),
    ],
)
def test_an_error_is_one_line_of_korean(autolm, arguments, output):
    code, printed = autolm(*arguments)
    assert code == 2
    assert printed.startswith(f"autolm: {output}"), printed
    assert not ENGLISH.search(printed)


# What a pupil writes, and the end of the line that he is told.
MISTAKES = {
    "loss = Value('a') * 2": "int나 float 하나가 있어야 하는데 str입니다 (배열은 Tensor로)",
    "loss = Value.dot([Value(1.0)], [1.0, 2.0])": "dot: 수가 1개와 2개라서 짝이 맞지 않습니다",
    "loss = Tensor(np.ones((3, 4))) @ Tensor(np.ones((3, 5)))": (
        "matmul: a는 (3, 4), b는 (3, 5)라서 안쪽 크기 4와(과) 3이(가) 다릅니다"
    ),
    "loss = Tensor(np.ones((3, 4))) + Tensor(np.ones((3, 5)))": (
        "add: a (3, 4), b (3, 5): 브로드캐스팅할 수 없는 모양입니다"
    ),
    "loss = Tensor(np.ones(6)).reshape(4, 2)": (
        "reshape: (6,)의 원소 6개로는 모양 (4, 2)을(를) 채울 수 없습니다"
    ),
    "loss = Tensor(np.ones(6)).sum(axis=2)": "sum: axis 2은(는) 모양 (6,)의 범위를 벗어났습니다",
    "(Tensor([1.0, 2.0]) * 2).backward()": "먼저 .sum()이나 .mean()을 하거나 grad=를 주세요",
    "TinyLM(9, 8, 2, 8, 1, max_len=4).forward([1] * 9)": "토큰 9개는 max_len 4보다 많습니다",
    "TinyLM(9, 8, 2, 8, 1).forward([1.5])": "token_ids는 정수여야 하는데 float64입니다",
    "TinyLM(9, 8, 2, 8, 1, norm='both')": "'pre', 'post', None 가운데 하나를 고르세요",
    "SGD([Tensor([1.0])], -1)": "learning_rate은(는) 유한하고 0 이상이어야 하는데 -1입니다",
    "loss = wieght * 2": "'wieght'(이)라는 이름이 없습니다. 정의했는지, 철자가 맞는지 보세요",
    "loss = Value(2.0": "'('을(를) 닫지 않았습니다",
    "loss = Value(1 / 0)": "0으로 나누었습니다",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_in_a_program_is_told_in_korean_after_its_place(autolm, tmp_path, line):
    program = tmp_path / "a.py"
    program.write_text(
        f"import numpy as np\nfrom autolm import SGD, Tensor, TinyLM, Value\n{line}\n"
    )
    code, output = autolm("draw", program, "-o", tmp_path / "a.svg")
    error = output.splitlines()[0]  # the next line says how to see the traceback
    assert code == 2
    assert re.match(r"autolm: \S*a\.py:3: ", error)
    assert error.endswith(MISTAKES[line])
    assert not ENGLISH.search(error)


@pytest.mark.parametrize(
    "words", ["input must be positive", "interrupted", "a must be at least 1, not 0", "a  b: {}"]
)
def test_the_words_of_a_program_and_the_name_of_a_file_are_not_translated(autolm, tmp_path, words):
    program = tmp_path / "no breakpoints.py"
    program.write_text(f"def f():\n    raise ValueError({words!r})\nf()\n")
    code, output = autolm("draw", program, "-o", tmp_path / "a.svg")
    assert code == 2
    assert output.startswith(f"autolm: {program}:2: ValueError: {words}\nautolm: 트레이스백 보기: ")
    folder = tmp_path / words
    folder.mkdir()
    assert autolm("step", folder, "--var", "x")[1] == (
        f"autolm: --var는 프로그램에 쓰는 것인데 {folder}은(는) 폴더입니다\n"
    )


def test_pictures_and_rules_of_operations_are_korean(autolm, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    (tmp_path / "a.py").write_text("from autolm import Value\nloss = Value(2.0) * 3\n")
    assert autolm("draw", tmp_path / "a.py", "-o", tmp_path / "a.dot")[0] == 0
    picture = (tmp_path / "a.dot").read_text("utf-8")
    assert "잎:&#160;기울기를&#160;받습니다" in picture
    assert "leaf:" not in picture
    output = autolm("ops")[1]
    assert "각 id의 행에 ḡ를 더한다" in output
    assert not ENGLISH.search(output), ENGLISH.search(output)


def test_a_language_that_is_none_is_refused_in_that_of_the_locale(monkeypatch, capsys):
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    with pytest.raises(SystemExit):
        main(["ops", "--language", "fr"])
    assert capsys.readouterr().err == "autolm: language가 'fr'입니다. en, ko 가운데 고르세요\n"


def test_a_verdict_is_korean_and_the_program_that_shows_it_again_is_not(autolm, tmp_path):
    (tmp_path / "ops.py").write_text(SWAPPED)
    code, output = autolm("check", tmp_path / "ops.py")
    assert code == 1
    assert "swapped: 기울기가 틀렸습니다" in output
    assert "진단: a, b: 피연산자가 바뀜" in output
    assert "    import runpy\n" in output
    assert not ENGLISH.search(output.replace(str(tmp_path), "").partition("다시 보려면")[0])


GUESSED = """from autolm import primitive
@primitive
def row_bias(x, b):
    return x + b, lambda grad: (grad, grad.sum(0))
"""


def test_a_verdict_without_an_example_is_korean(autolm, tmp_path):
    (tmp_path / "ops.py").write_text(GUESSED)
    code, output = autolm("check", tmp_path / "ops.py")
    assert code == 3
    assert "row_bias: 판정할 수 없습니다: 인자의 예가 필요합니다 (짐작한 인자: x = " in output
    assert "  어떻게 부르는지 ops.py에 다음과 같이 적어 주세요\n" in output
    assert not ENGLISH.search(output)


def test_the_debugger_is_korean_and_what_the_program_says_is_left():
    speak("ko")
    root, names = the_neuron()
    session = Session(root, {**names, "told": "interrupted"})
    lines = "args,where,list,ll,s,si,s,rs,n,r,goto 1,goto 9,until 1,b op=*,b,disable,b,enable 1"
    lines += ",condition 1 1 > 0,ignore 1 2,b,watch b,tbreak op=+,clear,why n,why b 2,nan,up,down"
    lines += ",display n.grad,s,undisplay,whatis n,source n,zoom 1,open,foo,b foo,clear 9,s x,alias"
    lines += ",set w1 = 2,goto end,c"
    output = session.say(*lines.split(","))
    assert session.say("told") == "'interrupted'"
    for words in ("중단점 1: 연산 ×", "꺼짐", "2번 더 지나침", "끝"):
        assert words in output
    assert not ENGLISH.search(output), ENGLISH.search(output)
    printed = session.say("help", *(f"help {name}" for name in Debugger.groups["to look"].split()))
    assert "기여가 가장 큰 경로 K개" in " ".join(printed.split())
    assert not ENGLISH.search(printed.replace("backward-step", "")), ENGLISH.search(printed)
