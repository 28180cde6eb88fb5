"""The laws that a correct operation keeps, in the order in which a report shows them."""

from autolm.testing.laws.conduct import hygiene, linear, state
from autolm.testing.laws.definitions import relations, scalar
from autolm.testing.laws.edges import extremes, kinks
from autolm.testing.laws.law import Law, LawBroken, Tally
from autolm.testing.laws.values import aliases, broadcasting, graphs, rule

LAWS_OF_VALUE: tuple[Law, ...] = (rule, broadcasting, aliases, graphs)
LAWS: tuple[Law, ...] = (
    *LAWS_OF_VALUE,
    *(hygiene, state, kinks, extremes, linear, scalar, relations),
)

__all__ = ["LAWS", "LAWS_OF_VALUE", "Law", "LawBroken", "Tally"]
