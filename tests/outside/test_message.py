"""Messages: English for programs, translated by template where they are shown."""

import ast
import copy
import pickle

import pytest

from autolm.outside.language import say, speak
from autolm.outside.message import Message, joined, message, split_fields
from tests.catalogue import ROOT, compiled, extracted, korean

LANGUAGE = "language is {language!r}; choose one of {languages}"


@pytest.fixture(autouse=True)
def english_again():
    yield
    speak("en")


def refusal(language, languages="en, ko"):
    return message(LANGUAGE, language=language, languages=languages)


def test_a_message_is_english_in_any_language_setting():
    speak("ko")
    error = ValueError(refusal("fr"))
    assert str(error) == "language is 'fr'; choose one of en, ko"
    assert isinstance(error.args[0], Message)


def test_a_message_is_translated_where_it_is_shown():
    assert say(refusal("fr")) == "language is 'fr'; choose one of en, ko"
    speak("ko")
    assert say(refusal("fr")) == "language가 'fr'입니다. en, ko 가운데 고르세요"


@pytest.mark.parametrize("text", ["interrupted", "no breakpoints", LANGUAGE, "{}"])
def test_a_part_that_is_not_a_message_is_never_translated(text):
    speak("ko")
    assert say(refusal("fr", text)) == f"language가 'fr'입니다. {text} 가운데 고르세요"


def test_a_part_that_is_a_message_is_translated_in_any_depth():
    speak("ko")
    inner = joined("; ", ["a name", refusal("fr")])
    assert say(message("{place}: {inner}", place="x.py:3", inner=inner)) == (
        "x.py:3: a name; language가 'fr'입니다. en, ko 가운데 고르세요"
    )


@pytest.mark.parametrize(
    "make", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_a_copy_of_a_message_is_translated_too(make):
    speak("ko")
    error = make(ValueError(message("{inner}", inner=refusal("fr"))))
    assert say(error.args[0]) == say(refusal("fr"))


def test_a_part_is_written_when_the_message_is_made():
    numbers = [1, 2]
    text = message("{numbers}", numbers=numbers)
    numbers.append(3)
    assert text == say(text) == "[1, 2]"


# The catalogue


def test_every_message_has_its_korean_and_none_is_left_over():
    assert [english for english, translation in korean().items() if not translation] == []
    assert korean().keys() == extracted().keys(), "run python -m tests.catalogue"


def test_the_compiled_catalogue_is_that_of_the_po_file():
    assert compiled() == korean(), "run python -m tests.catalogue"


def fields(template):
    return sorted(field for _, field in split_fields(template) if field is not None)


def test_a_translation_has_the_fields_of_its_english():
    wrong = [english for english, ko in korean().items() if fields(english) != fields(ko)]
    assert wrong == []


def calls_of_message():
    for path in sorted(ROOT.rglob("*.py")):
        source = path.read_text("utf-8")
        if "from autolm.outside.message import" in source:
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "message":
                    yield path.name, node


def test_a_template_is_a_literal_whose_fields_are_the_arguments():
    for file, call in calls_of_message():
        (template,) = call.args
        assert isinstance(template, ast.Constant), (file, call.lineno)
        names = {field.partition("!")[0].partition(":")[0] for field in fields(template.value)}
        assert names == {keyword.arg for keyword in call.keywords}, (file, call.lineno)
