"""Rotary position embedding: products of rotated queries and keys depend on their distance only.

It is composed of other operations: the table of angles is a constant, and each pair of numbers is
rotated as by a 2 × 2 matrix.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autolm.engine.graph import named
from autolm.ops.array_arguments import read_floats
from autolm.ops.array_operation import Array, Case
from autolm.ops.call_patterns import Floats, Ids, Length, OneOf, Pattern
from autolm.ops.composed import composed
from autolm.ops.definitions import constant
from autolm.ops.shape import concatenate, stack
from autolm.outside.arguments import read_bool, read_int, read_number
from autolm.outside.message import message

WAYS = {"base": OneOf(10_000.0, 10.0), "interleaved": OneOf(False, True)}


@composed(
    symbol="rope",
    formula="(a cos θ − b sin θ, b cos θ + a sin θ),  θ = position / base^(2i/d), for pair i",
    rule=("ḡ turned back, by −θ",),
    cases=(Case(((3, 4),)),),
    patterns=(
        Pattern(("… t 2·d",), {**WAYS, "positions": Ids("t", "t")}),
        Pattern(("… t h·2·d",), {**WAYS, "num_heads": Length("h"), "positions": Floats("… t")}),
    ),
)
def rope(
    x: Any,
    /,
    *,
    num_heads: int | None = None,
    positions: Any = None,
    base: float = 10_000.0,
    interleaved: bool = False,
) -> Any:
    """Rotate pairs of numbers by their position: rotary embedding of queries and keys.

    The product of a rotated query and key then depends on their distance.
    Shapes: ``(…, time, width) -> (…, time, width)``.

    Parameters
    ----------
    num_heads
        The number of heads in the width, which are rotated alike. By default the whole width is one
        head, and heads may be an axis before time.
    positions
        The position of each row, (time,) or (…, time); by default 0, 1, 2, … Rows that follow a
        cache begin at its length.
    base
        The last pair rotates about this many times slower than the first.
    interleaved
        Whether the numbers of a pair are neighbours, as in the paper and in GPT-J, or one from each
        half of a head, as in Llama and GPT-NeoX.

    Examples
    --------
    >>> from autolm import rope
    >>> rope([[1.0, 0.0], [1.0, 0.0]]).data.round(4)
    array([[1.    , 0.    ],
           [0.5403, 0.8415]])

    Notes
    -----
    Source: Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding (2021),
    section 3.2.2 and equation 34.
    """
    shape = x.shape
    heads = 1 if num_heads is None else read_int("rope", "num_heads", num_heads, low=1)
    interleaved = read_bool("rope", "interleaved", interleaved)
    base = read_number("rope", "base", base)
    if not 0 < base < np.inf:
        raise ValueError(message("rope: base must be finite and above 0, not {base}", base=base))
    if x.ndim < 2:
        raise ValueError(message("rope: x is {shape}; it must be (…, time, width)", shape=shape))
    if shape[-1] % (2 * heads):
        count = "pairs" if num_heads is None else f"pairs in each of num_heads {heads}"
        raise ValueError(
            message(
                "rope: x is {shape}: its width {shape2} does not part into {count}",
                shape=shape,
                shape2=shape[-1],
                count=count,
            )
        )
    width = shape[-1] // heads
    angles = _angles(shape[:-1], width, positions, base)[..., None, :]
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(float)
    cos, sin = (table.astype(dtype) for table in (np.cos(angles), np.sin(angles)))
    parts = named(x.reshape((*shape[:-1], heads, width)), "heads")
    if interleaved:
        a, b = parts[..., 0::2], parts[..., 1::2]
    else:
        a, b = parts[..., : width // 2], parts[..., width // 2 :]
    a, b = named(a, "a"), named(b, "b")
    turned = [
        named(_times(a, cos, "cos") - _times(b, sin, "sin"), "turned_a"),
        named(_times(b, cos, "cos") + _times(a, sin, "sin"), "turned_b"),
    ]
    joined = stack(turned, axis=-1) if interleaved else concatenate(turned, axis=-1)
    return named(joined, "turned").reshape(shape)


def _times(part: Any, table: Array, name: str) -> Any:
    return named(constant(name, part * table, 1), f"{part.name}_{name}")


def _angles(rows: tuple[int, ...], width: int, positions: Any, base: float) -> Array:
    """Return the angle of each pair in each row, (…, time, width / 2)."""
    if positions is None:
        places = np.arange(rows[-1], dtype=float)
    else:
        places = read_floats("rope", "positions", positions)
    try:
        np.broadcast_to(places, rows)
    except ValueError:
        raise ValueError(
            message(
                "rope: positions are {shape} and the rows of x are {rows}: they do not "
                "broadcast to them",
                shape=places.shape,
                rows=rows,
            )
        ) from None
    return np.asarray(places[..., None] * base ** (-np.arange(0, width, 2) / (width or 1)))
