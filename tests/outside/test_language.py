"""The command in Korean: the table has every message, and what is not ours is left alone."""

import ast
import json
import re
import string
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autolm import Value
from autolm.debugger.commands import Debugger
from autolm.ops import OPERATIONS
from autolm.outside.columns import width
from autolm.outside.language import say, say_rule, speak, usual_language
from autolm.outside.message import message
from autolm.outside.terminal import RED, in_a_line, styled, words_of, words_of_programs
from autolm.testing.registry import JAX_LAWS, LAWS, TORCH_LAWS
from autolm.walking.program import ProgramError, root_of_program

ROOT = Path(__file__).parents[2] / "autolm"
TABLE = json.loads((files("autolm.outside") / "korean.json").read_text("utf-8"))
RULES = TABLE.pop("rules")
# Files that say something to who uses the command, and what they say to programmers alone.
SPEAKING = """cli/*.py debugger/*.py lm/run_folder.py lm/report.py lm/course.py lm/config.py
lm/trained.py lm/training.py lm/corpora.py lm/text_loss.py lm/saved_state.py lm/stored_arrays.py
lm/checkpoint_file.py lm/old_checkpoint.py
lm/pretrained.py lm/size.py lm/tokenizers/loading.py lm/tokenizers/characters.py
outside/given_file.py outside/lock.py outside/whole_file.py walking/names.py
walking/decomposition.py walking/breakpoints.py walking/explanation.py walking/program.py
walking/what_if.py
walking/blame.py torch/notices.py torch/detours.py
drawing/attention.py drawing/renderers.py drawing/outline.py drawing/drawing.py
testing/check_report.py testing/verdict.py testing/diagnosis.py testing/hypotheses.py
testing/laws/*.py
testing/relations.py testing/operation_checks.py"""
SILENT = ("debugger/editor_extension.py", "cli/help_texts.py")  # help_texts: by the catalogue
# No message: names of choices, programs, words in pictures, and what programs are told of types.
NO_MESSAGES = {
    "; use sys.",  # in an error of Python's json
    "chain rule",
    "The cat sat on the mat.",
    "bold red",
    *Debugger.groups.values(),
    "autolm sample {}",
    "autolm step {}",
    "check_op({}, cases=[Case({}{})])",
    "inf − inf",
    "inf / inf",
    "<frozen runpy>",
    "import sys, pygraphviz",
    "graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())",
    'sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot"))',
    "within {} of {}",
    "{}, {} of this name",
    "{} of {} nodes, {}",
    "computation graph",
    "a node or the name of one",
    "a function of a node",
    "a list of nodes",
    "check_gradient({}, {}, upstream={})",
    "check_gradient(f, {})",
    "alias g p %1.grad",
    *Debugger.keys.values(),
}


@pytest.fixture(autouse=True)
def english_again():
    yield
    speak("en")
    words_of_programs.clear()


def literals(tree):
    """Every text but docstrings and templates of a `Message`; with `{}` for what is put in."""
    inside, texts = set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "message":
            inside |= set(node.args)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inside.add(node.value)
        if isinstance(node, ast.JoinedStr):
            inside |= set(ast.walk(node)) - {node}
            parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
            texts.append("".join(parts))
    texts += [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside
    ]
    return texts


def messages(text):
    """The lines and columns of a text that have two English words or more."""
    for part in re.split(r"\n| {2,}", text):
        if len(re.findall(r"[A-Za-z]{2,}", part.replace("{}", " "))) > 1 and " " in part.strip():
            yield part.strip()


def is_known(message):
    """Whether it is said in Korean, with some words in it; or is a part of what is."""
    example = message.replace("{}", "7")
    return say(example) != example or any(message in pattern for pattern in TABLE)


def test_every_message_of_the_command_has_its_korean():
    speak("ko")
    paths = [path for pattern in SPEAKING.split() for path in sorted(ROOT.glob(pattern))]
    assert len(paths) > 60
    missing = [
        (path.name, message)
        for path in paths
        if path.relative_to(ROOT).as_posix() not in SILENT
        for text in literals(ast.parse(path.read_text("utf-8")))
        for message in messages(text)
        if message not in NO_MESSAGES and not is_known(message)
    ]
    assert missing == []


def test_every_korean_is_korean_and_puts_in_what_the_english_has():
    for english, korean in (TABLE | RULES).items():
        assert not re.search("[가-힣]", english)
        if re.search(r"[A-Za-z]{3,} [A-Za-z]{2,}", re.sub("{}|pip install", "", english)):
            assert re.search("[가-힣]", korean), english
        field_count = english.count("{}")
        numbered = [
            field for _, field, _, _ in string.Formatter().parse(korean) if field is not None
        ]
        if all(numbered):
            assert {int(field) for field in numbered} == set(range(field_count)), english
        else:
            assert not any(numbered), english
            assert len(numbered) == field_count, english


def test_texts_of_debugger_commands_and_laws_have_korean():
    texts_ = [
        text_ for law in (*LAWS, *TORCH_LAWS, *JAX_LAWS) for text_ in (law.name, law.statement)
    ]
    for name in " ".join(Debugger.groups.values()).split():
        lines = [line.strip() for line in getattr(Debugger, f"do_{name}").__doc__.splitlines()]
        texts_ += [lines[0], *lines[3:]]
    assert [
        text_ for text_ in texts_ if text_ and text_ not in TABLE | dict.fromkeys(NO_MESSAGES)
    ] == []


def test_every_rule_formula_and_convention_is_said_in_korean():
    for op in OPERATIONS:
        for text in filter(None, (op.formula, *op.rule, op.kinks)):
            speak("en")
            assert say_rule(text) == text
            speak("ko")
            korean = say_rule(text)
            assert korean == text or re.search("[가-힣]", korean)
            assert not re.search(r"\b[a-z]+ [a-z]+ [a-z]+\b", korean), (text, korean)
    assert say_rule("text = a where b < 0, else c") == "text = b < 0이면 a, 아니면 c"


# As a column, a single word may be the name of an operation: `> 1/1  linear   linear`.
@pytest.mark.parametrize("english", ["the cat", "x = 1", "> 1/1  linear   loss = 2", "", "   "])
def test_what_is_not_ours_stays(english):
    speak("ko")
    assert say(english) == english


def test_columns_stay_where_they_were():
    english = "backward of o = 0.7071        5 steps, 5 leaves     neuron.py:9"
    speak("ko")
    korean = say(english)
    assert re.split(" {2,}", korean) == ["역전파: o = 0.7071", "단계 5개, 잎 5개", "neuron.py:9"]
    for column in ("단계", "neuron.py"):
        before = english.index("5 steps" if column == "단계" else column)
        assert width(korean[: korean.index(column)]) == before


def test_what_is_put_in_stays_unless_the_korean_says_it_too():
    speak("ko")
    assert say("interrupted was never closed") == "interrupted을(를) 닫지 않았습니다"
    assert say("loss.py: damaged: it is not JSON").endswith("손상되었습니다: JSON이 아닙니다")
    assert say("autolm: x").startswith("autolm")


def test_how_a_native_run_computes_is_said_in_the_line_of_the_model():
    speak("ko")
    model = "2 layers · 4 heads · d_model 64 · d_ff 256 · vocabulary 31 · 102 912 parameters"
    for how in ("step recorded in 0.2 s", "step not recorded: x"):
        korean = say(f"TinyLM  {model} · float32 · native, {how}")
        assert korean.startswith("TinyLM  층 2")
        assert " · float32 · native, 단계를 " in korean
        assert "step" not in korean


def test_colours_stay_around_what_is_said():
    speak("ko")
    assert say(styled(message("no breakpoints"), RED)) == styled("중단점이 없습니다", RED)


def test_the_language_is_that_of_the_locale_and_another_is_refused(monkeypatch):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for variable, value, language in (("LANG", "ko_KR.UTF-8", "ko"), ("LC_ALL", "C", "en")):
        monkeypatch.setenv(variable, value)
        assert usual_language() == language
    with pytest.raises(ValueError, match="choose one of en, ko"):
        speak("fr")


# Words of users


class OddError(Exception):
    pass


def texts(longest):
    pieces = [
        *"abz'\"‘’",
        "Error",
        ": ",
        " is ",
        "input ",
        "{}",
        " where ",
        " = ",
        "  ",
        "\n",
        "x: ",
    ]
    return st.lists(st.sampled_from([*pieces, *TABLE]), max_size=longest // 2).map(
        lambda chosen: "".join(chosen)[:longest]
    )


@settings(deadline=None, max_examples=60)
@example("x: " * 333)
@example("'" * 1000)
@example(" = ".join("ab" * 200))
@example("ValueError: " * 80)
@example("a where b = " * 80)
@example("{} is {}: " * 100)
@given(texts(1000) | st.text(max_size=300))
def test_any_text_goes_through_every_translation(text):
    speak("ko")
    for translate in (say, say_rule):
        assert isinstance(translate(text), str)
        assert isinstance(translate(styled(text, RED)), str)
    with pytest.raises(OddError) as caught:
        raise OddError(text)
    assert isinstance(say(in_a_line(f"x.py:3: OddError: {words_of(caught.value)}")), str)


def raised(kind, text):
    try:
        raise kind(text)
    except kind as error:
        return error


# Where the words of an error stand, and what is said around them.
PLACES = [
    ("x.py:3: {}: {}", "x.py:3: {}: {}"),
    ("x.py:3: {}: {} (in a thread)", "x.py:3: {}: {} (스레드에서)"),
    ("the condition of breakpoint 3: {}: {}", "중단점 3의 조건: {}: {}"),
    ("the forward raised {}: {}", "순전파가 오류를 냈습니다: {}: {}"),
]


@settings(deadline=None, max_examples=60)
@example("input must be positive", 0)
@example("interrupted", 0)
@example("damaged: it is not JSON", 2)
@given(texts(400), st.integers(0, len(PLACES) - 1))
def test_what_a_program_raises_is_never_translated(text, place):
    speak("ko")
    words = in_a_line(words_of(raised(ValueError, text)))
    english, korean = PLACES[place]
    if words and words != "ValueError":
        assert say(english.format("ValueError", words)) == korean.format("ValueError", words)
        assert say(words) == words


def test_words_that_are_cut_stay_too():
    speak("ko")
    text = "input must be positive: " * 60
    message = say(in_a_line(f"x.py:3: ValueError: {words_of(raised(ValueError, text))}"))
    assert message == in_a_line(f"x.py:3: ValueError: {text}")


def test_what_autolm_and_python_raise_in_a_program_is_translated():
    speak("ko")
    for call in (lambda: Value("a"), lambda: 1 / 0):
        with pytest.raises((TypeError, ZeroDivisionError)) as caught:
            call()
        words = words_of(caught.value)
        assert say(f"x.py:3: TypeError: {words}") != f"x.py:3: TypeError: {words}"


def test_the_command_puts_a_programs_words_in_as_they_are(tmp_path):
    program = tmp_path / "a.py"
    program.write_text("raise ValueError('input must be positive')\n")
    with pytest.raises(ProgramError) as caught:
        root_of_program(program)
    speak("ko")
    assert say(str(caught.value)).endswith("a.py:1: ValueError: input must be positive")


@pytest.mark.parametrize("english", [key for key in TABLE if ":say}" in TABLE[key]])
def test_a_message_with_many_colons_in_it_can_be_said(english):
    speak("ko")
    try:
        assert isinstance(say(english.replace("{}", "x: " * 190)), str)
    finally:
        speak("en")
