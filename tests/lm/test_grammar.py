"""Entropy, probabilities and parsing of grammars, held against complete enumeration."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm.lm.grammar import Grammar

Derivation = tuple[float, str]


def derivations(rules: Mapping[str, Mapping[str, float]], symbol: str) -> Iterator[Derivation]:
    """Yield every derivation of ``symbol``: its probability and the text that it makes."""
    for text, weight in rules[symbol].items():
        pieces: list[Sequence[Derivation]] = [
            list(derivations(rules, piece)) if index % 2 else [(1.0, piece)]
            for index, piece in enumerate(text.replace(">", "<").split("<"))
        ]
        for choice in product(*pieces):
            probability = math.prod(p for p, _ in choice) * weight / sum(rules[symbol].values())
            yield probability, "".join(words for _, words in choice)


UNAMBIGUOUS = {
    "sentence": {"<who> sees <whom>.": 3, "the <noun> <noun>s.": 1, "rain.": 2},
    "who": {"a <noun>": 1, "he": 2},
    "whom": {"<who>": 1, "me": 1, "": 3},
    "noun": {"cat": 1, "cow": 2, "owl": 4},
}
AMBIGUOUS = {
    "sentence": {"<a><b>": 1, "xyz": 1},
    "a": {"x": 1, "xy": 1},
    "b": {"z": 1, "yz": 3},
}
weights = st.floats(0.01, 100)
texts = st.text("ab", max_size=2)
random_grammars = st.fixed_dictionaries(
    {
        "sentence": st.dictionaries(
            st.sampled_from(["<x>", "<x><y>", "<y>a<x>", "b<y>", "ab", ""]), weights, min_size=1
        ),
        "x": st.dictionaries(st.sampled_from(["<y>", "<y><y>", "a", "b", ""]), weights, min_size=1),
        "y": st.dictionaries(texts, weights, min_size=1),
    }
)


def test_expected_line_length_counts_the_newline() -> None:
    expected = math.fsum(p * len(text + "\n") for p, text in derivations(UNAMBIGUOUS, "sentence"))
    assert Grammar(UNAMBIGUOUS).expected_line_length == pytest.approx(expected, rel=1e-13)


@given(random_grammars)
def test_entropy_of_derivations_is_that_of_all_derivations(
    rules: dict[str, dict[str, float]],
) -> None:
    probabilities = [p for p, _ in derivations(rules, "sentence")]
    expected = -math.fsum(p * math.log(p) for p in probabilities)
    assert Grammar(rules).entropy == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(random_grammars)
def test_probability_of_a_sentence_is_that_of_all_its_derivations(
    rules: dict[str, dict[str, float]],
) -> None:
    grammar = Grammar(rules)
    expected: dict[str, float] = {}
    for probability, text in derivations(rules, "sentence"):
        expected[text] = expected.get(text, 0.0) + probability
    for text, probability in expected.items():
        assert grammar.log_probability(text) == pytest.approx(math.log(probability), abs=1e-9)
        assert grammar.contains(text)


@given(random_grammars, st.text("abc", max_size=6))
def test_nothing_but_derived_sentences_belongs(
    rules: dict[str, dict[str, float]], text: str
) -> None:
    derived = {text for _, text in derivations(rules, "sentence")}
    assert Grammar(rules).contains(text) == (text in derived)


def test_samples_are_as_frequent_as_probable() -> None:
    grammar, rng, count = Grammar(UNAMBIGUOUS), np.random.default_rng(0), 20_000
    samples = [grammar.sample(rng) for _ in range(count)]
    for sentence in {text for _, text in derivations(UNAMBIGUOUS, "sentence")}:
        probability = math.exp(grammar.log_probability(sentence))
        deviation = math.sqrt(count * probability * (1 - probability))
        assert samples.count(sentence) == pytest.approx(count * probability, abs=5 * deviation)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({}, "<sentence> has no rules"),
        ({"sentence": {}}, "<sentence> has no rules"),
        ({"sentence": {"<verb>": 1}}, "<verb> has no rules"),
        ({"sentence": {"a<sentence>": 1, "a": 1}}, "recursion: sentence → sentence"),
        ({"sentence": {"<x>": 1}, "x": {"<y>": 1}, "y": {"<x>": 1}}, "recursion: "),
        ({"sentence": {"a": 0}}, "<sentence>: the weight of 'a' must be finite and above 0, not 0"),
        ({"sentence": {"a": math.nan}}, "the weight of 'a' must be finite and above 0, not nan"),
    ],
)
def test_nonsense_rules_are_refused(rules: dict[str, dict[str, float]], message: str) -> None:
    with pytest.raises(ValueError, match=f"^grammar: .*{message}|^grammar: {message}"):
        Grammar(rules)
