"""The operations, one file per family: arithmetic, reductions, shapes, indexing, layers (layer 1).

They are pure functions of arrays, each with its backward rule and its record. `autolm.tensor`
records their results as nodes.

Every operation of a family is exported from here, and from `autolm` unless it would hide a builtin.
`__init__.pyi`, which `python -m tests.stubs` writes, lists the same names for type checkers.
"""

from typing import TypeVar

from autolm.ops import (
    along_axes,
    arithmetic,
    convolution,
    indexing,
    neural,
    positions,
    probability,
    reduce,
    shape,
)
from autolm.ops import attention as attention_family
from autolm.ops import einsum as einsum_family
from autolm.ops.array_operation import ArrayOperation as ArrayOperation
from autolm.ops.array_operation import Case as Case
from autolm.ops.call_patterns import Axis as Axis
from autolm.ops.call_patterns import Floats as Floats
from autolm.ops.call_patterns import Ids as Ids
from autolm.ops.call_patterns import Index as Index
from autolm.ops.call_patterns import Length as Length
from autolm.ops.call_patterns import Mask as Mask
from autolm.ops.call_patterns import NewShape as NewShape
from autolm.ops.call_patterns import OneOf as OneOf
from autolm.ops.call_patterns import Order as Order
from autolm.ops.call_patterns import Pattern as Pattern
from autolm.ops.call_patterns import Varied as Varied
from autolm.ops.call_patterns import WiderShape as WiderShape
from autolm.ops.composed import Composed as Composed
from autolm.ops.composed import composed as composed
from autolm.ops.primitive import Primitive as Primitive
from autolm.ops.primitive import primitive as primitive

Kind = TypeVar("Kind")

FAMILIES = (
    arithmetic,
    reduce,
    shape,
    along_axes,
    indexing,
    einsum_family,
    neural,
    probability,
    attention_family,
    convolution,
    positions,
)


def _defined_in(kind: type[Kind]) -> tuple[Kind, ...]:
    """Return the operations of a kind, in the order of families and of definitions."""
    values = (value for family in FAMILIES for value in vars(family).values())
    return tuple(dict.fromkeys(value for value in values if isinstance(value, kind)))


#: The operations with a rule of their own.
PRIMITIVES = (*_defined_in(Primitive), *arithmetic.ON_EACH_ELEMENT)
#: The operations that are composed of others.
COMPOSED = _defined_in(Composed)
#: Every operation, in the order of the table that `autolm ops` prints.
OPERATIONS = (*PRIMITIVES, *COMPOSED)

globals().update({op.name: op for op in OPERATIONS})
__all__ = [op.name for op in OPERATIONS]
