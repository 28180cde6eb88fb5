"""The built-in toy language: small tales of beasts, birds and people, with a known entropy.

TinyLM trains on it by default. Its sentences have regularities at every distance: spelling;
"an" before a vowel; nouns that take their own adjectives and verbs; verbs that take their own
objects; the number of the subject, which the verb must keep across "from the hills"; the tense,
which the first words of a sentence set for its verb; and "does", after which the verb stays bare
and a question mark must come. `grammar` computes the entropy from the rules.
"""

from autolm.lm.grammar import Grammar

_NOUNS = {
    "beast": {
        "cat": "cats",
        "fox": "foxes",
        "hare": "hares",
        "mouse": "mice",
    },
    "bird": {
        "crow": "crows",
        "goose": "geese",
        "owl": "owls",
        "swan": "swans",
    },
    "person": {
        "baker": "bakers",
        "child": "children",
        "king": "kings",
        "sailor": "sailors",
    },
}

_ADJECTIVES = {
    "beast": ("big", "hungry", "lazy", "small"),
    "bird": ("proud", "quiet", "tiny", "white"),
    "person": ("brave", "happy", "kind", "tired"),
}

# Each verb in singular, plural (and after "does") and past, followed by its complement.
_DEEDS = {
    "everyone": {
        "hides/hide/hid <place>": 2,
        "sits/sit/sat <place>": 3,
        "sleeps/sleep/slept <place>": 3,
        "waits/wait/waited for <awaited>": 3,
        "sees/see/saw <sight>": 3,
    },
    "beast": {
        "runs/run/ran <way>": 4,
        "jumps/jump/jumped over <obstacle>": 3,
        "eats/eat/ate <meal>": 4,
    },
    "bird": {
        "flies/fly/flew <flight>": 5,
        "sings/sing/sang": 2,
        "sings/sing/sang to <listener>": 3,
    },
    "person": {
        "walks/walk/walked <way>": 3,
        "bakes/bake/baked <pastry>": 3,
        "writes/write/wrote to <listener>": 2,
        "laughs/laugh/laughed": 2,
    },
}

_LISTS = {
    "the": ("the", "my", "our"),
    "number": ("two", "six", "ten"),
    "name": ("ada", "ben", "eve", "jim", "tom", "zoe"),
    "whereabouts": ("by the sea", "from the hills", "in the tree", "near the barns"),
    "place": (
        "at home",
        "by the door",
        "by the fire",
        "in a boat",
        "in the garden",
        "on the wall",
        "under a tree",
    ),
    "awaited": ("a friend", "dawn", "rain", "spring", "the post"),
    "sight": ("a ship", "a star", "snow", "the moon", "the sea", "two bees"),
    "way": ("along the road", "home", "to the sea", "through the wood", "uphill"),
    "obstacle": ("a gate", "a log", "the stones"),
    "meal": ("an apple", "bread", "cheese", "the soup"),
    "flight": ("away", "home", "over the roofs", "past the tower", "to the south"),
    "listener": ("a friend", "the moon", "the stars", "the wind"),
    "pastry": ("a cake", "bread", "an apple pie"),
    "opening.now": ("at dawn", "every day", "in winter", "now"),
    "opening.past": ("last night", "long ago", "once", "then"),
}


def _sentence_rules() -> dict[str, dict[str, float]]:
    """Return the ways to say and to ask who does, or did, what."""
    rules: dict[str, dict[str, float]] = {
        "sentence": {
            "<said.now>.": 4,
            "<said.past>.": 5,
            "<opening.now>, <said.now>.": 2,
            "<opening.past>, <said.past>.": 2,
            "<asked>?": 2,
        },
        "said.now": {},
        "said.past": {},
        "asked": {},
    }
    for kind in _NOUNS:
        for number, weight, auxiliary in (("one", 3, "does"), ("many", 2, "do")):
            someone = f"<{kind}.{number}>"
            subject = f"<subject.{kind}.{number}>"
            rules["said.now"][f"{subject} <deed.{kind}.{number}>"] = weight
            rules["said.past"][f"{subject} <deed.{kind}.past>"] = weight
            rules["asked"][f"{auxiliary} {someone} <deed.{kind}.many>"] = weight
            rules["asked"][f"why did {someone} <deed.{kind}.many>"] = weight
            rules[f"subject.{kind}.{number}"] = {someone: 4, f"{someone} <whereabouts>": 1}
    return rules


def _phrase_rules(kind: str) -> dict[str, dict[str, float]]:
    """Return the noun phrases of one kind of beings, and what they do."""
    deeds = _DEEDS["everyone"] | _DEEDS[kind]
    rules: dict[str, dict[str, float]] = {
        f"{kind}.one": {
            f"<the> <noun.{kind}.one>": 5,
            f"<the> old <noun.{kind}.one>": 1,
            f"<the> <adjective.{kind}> <noun.{kind}.one>": 3,
            f"<a.{kind}>": 2,
            f"a <adjective.{kind}> <noun.{kind}.one>": 2,
            f"an old <noun.{kind}.one>": 1,
        },
        f"{kind}.many": {
            f"<the> <noun.{kind}.many>": 4,
            f"<the> <adjective.{kind}> <noun.{kind}.many>": 2,
            f"<number> <noun.{kind}.many>": 2,
            f"<number> <adjective.{kind}> <noun.{kind}.many>": 1,
        },
        f"noun.{kind}.one": dict.fromkeys(_NOUNS[kind], 1),
        f"noun.{kind}.many": dict.fromkeys(_NOUNS[kind].values(), 1),
        f"a.{kind}": {f"{_article(noun)} {noun}": 1 for noun in _NOUNS[kind]},
        f"adjective.{kind}": dict.fromkeys(_ADJECTIVES[kind], 1),
    }
    for column, form in enumerate(("one", "many", "past")):
        rules[f"deed.{kind}.{form}"] = {
            _conjugated(deed, column): weight for deed, weight in deeds.items()
        }
    return rules


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _conjugated(deed: str, column: int) -> str:
    verb, space, rest = deed.partition(" ")
    return verb.split("/")[column] + space + rest


def _toy_language() -> Grammar:
    rules = _sentence_rules()
    for kind in _NOUNS:
        rules |= _phrase_rules(kind)
    rules["person.one"]["<name>"] = 8
    for symbol, alternatives in _LISTS.items():
        rules[symbol] = dict.fromkeys(alternatives, 1)
    return Grammar(rules)


TOY_LANGUAGE = _toy_language()
"""The toy language: 0.378 nats per character over 31 characters, the newline counted."""
