r"""Probabilistic grammars without recursion: languages whose entropy is known exactly.

No model can reach a lower expected loss than the entropy of the language, so the loss of a trained
model can be compared with the optimum. `toy_language` is the built-in example.

**The mathematics.** A symbol *X* is rewritten by one of its rules *r*, chosen with probability
*p(r)*, into words and symbols; these symbols are rewritten in turn, independently. A
derivation is the sequence of these choices. By the chain rule its entropy is that of the first
choice plus the expected entropy of those that follow; its expected length follows by linearity::

    H(X)  =  Σ_r p(r) · ( −ln p(r)  +  Σ_{symbols Y in r} H(Y) )
    L(X)  =  Σ_r p(r) · ( Σ_{words w in r} |w|  +  Σ_{symbols Y in r} L(Y) )

Without recursion both are finite sums, taken from the bottom up. If no sentence has two derivations
(the grammar is *unambiguous*), a sentence and its derivation are one, and *H(sentence)* is the
entropy of the sentences in nats. A text of *n* independent sentences, each on a line, then costs
*n H* nats and has, as *n* grows, *n (L + 1)* characters, newlines counted. So the entropy of the
text is *H / (L + 1)* nats per character. (Cover and Thomas, *Elements of Information Theory*,
sections 2.5 and 4.2.)
"""

import math
import re
from bisect import bisect
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import accumulate
from typing import TypeAlias

import numpy as np

from autolm.ops.array_arguments import read_rng
from autolm.outside.arguments import read_finite, read_kind, read_text

_SYMBOL = re.compile(r"<([^<>]+)>")


@dataclass(frozen=True)
class Symbol:
    """A nonterminal symbol in a rule."""

    name: str


@dataclass(frozen=True)
class Rule:
    """One alternative of a symbol: words and symbols, with its probability."""

    probability: float
    parts: tuple[str | Symbol, ...]


Rules: TypeAlias = Mapping[str, tuple[Rule, ...]]


class Grammar:
    """A probabilistic context-free grammar without recursion.

    Parameters
    ----------
    weighted_rules
        For each symbol, its alternatives and their weights, which need not add up to one. An
        alternative is text in which ``<name>`` stands for the symbol of that name. The start symbol
        is "sentence". No sentence may have two derivations: this is not checked, and `entropy` and
        `entropy_per_character` depend on it.

    Raises
    ------
    ValueError
        If a symbol has no rules or is recursive, or a weight is not positive.

    Examples
    --------
    >>> grammar = Grammar({"sentence": {"the <bird> sings.": 3, "rain.": 1},
    ...                    "bird": {"owl": 1, "robin": 1}})
    >>> grammar.contains("the owl sings."), grammar.contains("the owl")
    (True, False)
    >>> round(math.exp(grammar.log_probability("the owl sings.")), 12)
    0.375
    >>> round(grammar.entropy / math.log(2), 4)  # H(3/4, 1/4) = 0.8113 bits, and 3/4 of one bit
    1.5613
    >>> grammar.expected_line_length  # 3/4 · (11 + 4 + 1) + 1/4 · (5 + 1)
    13.5
    """

    def __init__(self, weighted_rules: Mapping[str, Mapping[str, float]]) -> None:
        read_kind("grammar", "weighted_rules", weighted_rules, Mapping, "a dictionary by symbol")
        self.rules: Rules = {
            symbol: _normalized(symbol, alternatives)
            for symbol, alternatives in weighted_rules.items()
        }
        self._thresholds = {
            symbol: list(accumulate(rule.probability for rule in rules))[:-1]
            for symbol, rules in self.rules.items()
        }
        entropies: dict[str, float] = {}
        lengths: dict[str, float] = {}
        for symbol in _bottom_up(self.rules):
            rules = self.rules[symbol]
            entropies[symbol] = math.fsum(
                rule.probability * _cost(rule, entropies) for rule in rules
            )
            lengths[symbol] = math.fsum(rule.probability * _length(rule, lengths) for rule in rules)
        self.entropy = entropies["sentence"]
        """The entropy of a sentence, in nats."""
        self.expected_line_length = lengths["sentence"] + 1
        """The expected number of characters of a sentence and the newline after it."""

    @property
    def entropy_per_character(self) -> float:
        """The entropy of a text of such sentences, one per line, in nats per character."""
        return self.entropy / self.expected_line_length

    def sample(self, rng: np.random.Generator) -> str:
        """Return a random sentence, without a newline."""
        read_rng("grammar", "rng", rng)
        words: list[str] = []
        pending: list[str | Symbol] = [Symbol("sentence")]
        while pending:
            part = pending.pop()
            if isinstance(part, str):
                words.append(part)
            else:
                choice = bisect(self._thresholds[part.name], rng.random())
                pending.extend(reversed(self.rules[part.name][choice].parts))
        return "".join(words)

    def contains(self, sentence: str) -> bool:
        """Return whether ``sentence`` belongs to the language."""
        return self.log_probability(sentence) > -math.inf

    def log_probability(self, sentence: str) -> float:
        """Return the logarithm of the probability of ``sentence``, in nats; -inf outside.

        The inside algorithm (Manning and Schütze 1999, section 11.3.2) adds up the probabilities of
        all derivations of the sentence.
        """
        read_text("grammar", "sentence", sentence)

        @cache
        def after_symbol(name: str, start: int) -> Mapping[int, float]:
            """Return the possible ends of a symbol that begins at ``start``, with probabilities."""
            ends: dict[int, float] = defaultdict(float)
            for rule in self.rules[name]:
                reached: Mapping[int, float] = {start: rule.probability}
                for part in rule.parts:
                    reached = after_part(part, reached)
                for end, probability in reached.items():
                    ends[end] += probability
            return ends

        def after_part(part: str | Symbol, starts: Mapping[int, float]) -> Mapping[int, float]:
            ends: dict[int, float] = defaultdict(float)
            for start, probability in starts.items():
                if isinstance(part, Symbol):
                    for end, inside in after_symbol(part.name, start).items():
                        ends[end] += probability * inside
                elif sentence.startswith(part, start):
                    ends[start + len(part)] += probability
            return ends

        probability = after_symbol("sentence", 0).get(len(sentence), 0.0)
        return math.log(probability) if probability > 0 else -math.inf


def _normalized(symbol: str, alternatives: Mapping[str, float]) -> tuple[Rule, ...]:
    what = f"grammar: weighted_rules: <{symbol}>"
    read_text(what, "a symbol", symbol)
    read_kind(what, "the rules", alternatives, Mapping, "a dictionary of weights by text")
    for text, weight in alternatives.items():
        read_text(what, "an alternative", text)
        read_finite(what, f"the weight of {text!r}", weight, above=0)
    total = math.fsum(alternatives.values())
    return tuple(Rule(weight / total, _parts(text)) for text, weight in alternatives.items())


def _parts(text: str) -> tuple[str | Symbol, ...]:
    pieces = enumerate(_SYMBOL.split(text))
    return tuple(Symbol(piece) if index % 2 else piece for index, piece in pieces if piece)


def _bottom_up(rules: Rules) -> list[str]:
    """Return the symbols in an order in which each follows the symbols that its rules use."""
    uses = {symbol: {p.name for r in ways for p in _symbols(r)} for symbol, ways in rules.items()}
    for missing in {"sentence"}.union(*uses.values()) - {s for s, ways in rules.items() if ways}:
        raise ValueError(f"grammar: <{missing}> has no rules")
    try:
        return list(TopologicalSorter(uses).static_order())
    except CycleError as error:
        raise ValueError(f"grammar: recursion: {' → '.join(error.args[1][::-1])}") from None


def _symbols(rule: Rule) -> list[Symbol]:
    return [part for part in rule.parts if isinstance(part, Symbol)]


def _cost(rule: Rule, entropies: Mapping[str, float]) -> float:
    """Return the entropy of choosing ``rule`` and rewriting its symbols, in nats."""
    return -math.log(rule.probability) + math.fsum(entropies[s.name] for s in _symbols(rule))


def _length(rule: Rule, lengths: Mapping[str, float]) -> float:
    """Return the expected number of characters that ``rule`` produces."""
    return math.fsum(len(p) if isinstance(p, str) else lengths[p.name] for p in rule.parts)
