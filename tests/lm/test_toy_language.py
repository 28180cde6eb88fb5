"""The toy language is what it says: unambiguous, grammatical, of the entropy computed."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from autolm.lm.grammar import Grammar, Symbol
from autolm.lm.toy_language import TOY_LANGUAGE

Remaining = tuple[str | Symbol, ...]
"""What is still to be derived: the rest of a sentence, not rewritten to its end."""

SAMPLES = [TOY_LANGUAGE.sample(rng) for rng in [np.random.default_rng(0)] for _ in range(2000)]


def rewritten(grammar: Grammar, remaining: Remaining) -> list[Remaining]:
    """Rewrite the first part, a symbol, in each possible way."""
    first, rest = remaining[0], remaining[1:]
    assert isinstance(first, Symbol)
    return [rule.parts + rest for rule in grammar.rules[first.name]]


def forks(grammar: Grammar) -> Iterator[tuple[Remaining, Remaining]]:
    """Yield each two ways that a derivation can take at one place of a sentence."""
    seen: set[Remaining] = set()
    pending: list[Remaining] = [(Symbol("sentence"),)]
    while pending:
        remaining = pending.pop()
        if remaining in seen or not remaining:
            continue
        seen.add(remaining)
        if isinstance(remaining[0], str):
            pending.append(remaining[1:])
            continue
        ways = rewritten(grammar, remaining)
        yield from ((one, other) for i, one in enumerate(ways) for other in ways[:i])
        pending.extend(ways)


def is_ambiguous(grammar: Grammar) -> bool:
    """Decide whether two derivations of any sentence differ: exactly, by following both at once.

    Two derivations part at a fork, and make the same sentence if and only if they can be led on,
    character by character alike, until nothing (or the same) remains of both.
    """
    seen: set[tuple[Remaining, Remaining]] = set()
    pending = list(forks(grammar))
    while pending:
        one, other = pair = pending.pop()
        if one == other:
            return True
        if pair in seen:
            continue
        seen.add(pair)
        if one and isinstance(one[0], Symbol):
            pending.extend((way, other) for way in rewritten(grammar, one))
        elif other and isinstance(other[0], Symbol):
            pending.extend((one, way) for way in rewritten(grammar, other))
        elif one and other:
            shared = min(len(one[0]), len(other[0]))
            if one[0][:shared] == other[0][:shared]:
                pending.append((without(one, shared), without(other, shared)))
    return False


def without(remaining: Remaining, count: int) -> Remaining:
    """Take ``count`` characters from the words that ``remaining`` begins with."""
    first = remaining[0]
    assert isinstance(first, str)
    return (first[count:], *remaining[1:]) if first[count:] else remaining[1:]


def test_no_sentence_has_two_derivations() -> None:
    assert not is_ambiguous(TOY_LANGUAGE)


@pytest.mark.parametrize(
    "rules",
    [
        {"sentence": {"<x>b": 1, "ab": 1}, "x": {"a": 1}},
        {"sentence": {"<x><y>": 1}, "x": {"a": 1, "ab": 1}, "y": {"bc": 1, "c": 1}},
    ],
)
def test_the_search_for_two_derivations_finds_them(rules: dict[str, dict[str, float]]) -> None:
    assert is_ambiguous(Grammar(rules))


def test_samples_cost_as_many_nats_as_the_exact_entropy_says() -> None:
    nats = [-TOY_LANGUAGE.log_probability(sentence) for sentence in SAMPLES]
    standard_error = float(np.std(nats)) / math.sqrt(len(nats))
    assert np.mean(nats) == pytest.approx(TOY_LANGUAGE.entropy, abs=4 * standard_error)


def test_entropy_per_character_is_a_little_under_two_fifths_of_a_nat() -> None:
    assert TOY_LANGUAGE.entropy_per_character == pytest.approx(0.38, abs=0.01)


def test_text_has_31_characters() -> None:
    assert "".join(sorted(set("\n".join(SAMPLES)))) == "\n ,.?abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    "sentence",
    [
        "the old cat sat by the door.",
        "a quiet owl sang to the moon.",
        "an owl flies over the roofs.",
        "my mice from the hills run home.",
        "once, ada baked an apple pie.",
        "at dawn, the white geese fly to the south.",
        "does the fox sleep in the garden?",
        "why did ten sailors laugh?",
    ],
)
def test_sentences_of_the_language_belong(sentence: str) -> None:
    assert TOY_LANGUAGE.contains(sentence)


@pytest.mark.parametrize(
    ("sentence", "fault"),
    [
        ("the cats from the hills sleeps at home.", "number, across other words"),
        ("the cat from the hills sleep at home.", "number, across a plural"),
        ("six fox run home.", "number of the noun"),
        ("a owl sings.", "article"),
        ("an robin sings.", "article"),
        ("a old fox runs home.", "article before an adjective"),
        ("once, the owl sings.", "tense"),
        ("at dawn, the owl sang.", "tense"),
        ("does the owl sings?", "form after does"),
        ("does the owls sing?", "number of the auxiliary"),
        ("why did the owl sang?", "form after did"),
        ("does the owl sing.", "full stop after a question"),
        ("the owl sings?", "question mark after a statement"),
        ("the dog sings.", "a bird's verb"),
        ("the kind fox runs home.", "a person's adjective"),
        ("the dog eats a cake.", "object of another verb"),
        ("the owl sits over the roofs.", "place where only one flies"),
        ("the owl sings", "no end"),
        ("the owl sings.\n", "newline"),
        (" the owl sings.", "space before"),
        ("the  owl sings.", "two spaces"),
        ("", "nothing"),
    ],
)
def test_near_misses_do_not_belong(sentence: str, fault: str) -> None:
    assert not TOY_LANGUAGE.contains(sentence), fault
