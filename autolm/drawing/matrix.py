"""An array as coloured cells: blue is positive, orange negative, and what a mask hides is hatched.

Each array has one scale, as wide as its largest number, and one power of ten, so that small numbers
are no wall of 0.00. In a narrow cell, where its number has no room, a negative one has a dash: a
printer without colours shows it too. The page builds tables of the same cells, which one can touch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.drawing.axes import Axis
from autolm.drawing.markup import markup
from autolm.drawing.palette import DARK, LIGHT, Palette
from autolm.outside.columns import width as width_of
from autolm.walking.wording import RAISED

FULLEST = 0.72  # how much of its colour the largest number has: text on it can be read
WIDE, NARROW, HIGH = 46, 16, 20  # pixels: a cell with its number, one without, and their height
CHARACTER = 6.8  # pixels: how wide a character of a label is, at most
WITH_NUMBERS = 12  # columns: with more, a picture leaves the numbers out
GAP, TITLE = 26, 22


@dataclass(frozen=True)
class Matrix:
    """An array to be shown.

    Attributes
    ----------
    title
        What it is called.
    array
        Of rank 1 or 2, (rows, columns).
    axes
        What they run along.
    hidden
        Where a mask hides a number, in the same shape.
    """

    title: str
    array: NDArray[Any]
    axes: tuple[Axis, ...] = ()
    hidden: NDArray[np.bool_] | None = None

    @property
    def largest(self) -> float:
        """The largest number, without its sign, of those that are finite."""
        return largest(self.array)

    @property
    def exponent(self) -> int:
        """The power of ten that all cells leave out."""
        return exponent(self.largest)


def largest(array: NDArray[Any]) -> float:
    """Return the largest number, without its sign, of those that are finite."""
    return float(np.abs(array[np.isfinite(array)]).max(initial=0.0))


def exponent(largest: float) -> int:
    """Choose the power of ten that all cells leave out; 0 for numbers of a usual size.

    >>> exponent(0.4), exponent(0.00123), exponent(0.0)
    (0, -3, 0)
    """
    power = math.floor(math.log10(largest)) if largest else 0
    return 0 if -1 <= power <= 2 else power


def cell(number: float, exponent: int = 0) -> str:
    """Write a number into a cell, without the power of ten that all of them leave out.

    >>> cell(-0.00123, -3), cell(0.5), cell(0.004), cell(0.00002), cell(0.0)
    ('−1.23', '0.50', '0.004', '2e−5', '0')
    """
    scaled = number / 10.0**exponent
    size = abs(scaled)
    if not math.isfinite(scaled):
        text = str(scaled).replace("inf", "∞")
    elif size == 0:
        text = "0"
    elif size >= 100:
        text = f"{scaled:.0f}"
    elif size >= 0.0995:
        text = f"{scaled:.2f}"
    elif size >= 0.00095:
        text = f"{scaled:.3f}"
    else:
        text = f"{scaled:.0e}".replace("e-0", "e-")
    return text.replace("-", "−")


def power(exponent: int) -> str:
    """Write a power of ten, as a caption has it; empty for 1.

    >>> power(-3), power(0)
    ('×10⁻³', '')
    """
    return f"×10{str(exponent).replace('-', '−').translate(RAISED)}" if exponent else ""


def matrices_svg(matrices: Sequence[Matrix], *, dark: bool = False, width: int = 740) -> str:
    """Draw matrices one beside the other, in rows that keep within a width in pixels."""
    palette = DARK if dark else LIGHT
    parts, x, y, below, right = list[str](), 0.0, 0.0, 0.0, 0.0
    for matrix in matrices:
        drawn, wide, high = _drawn(matrix, palette)
        if x and x + wide > width:
            x, y, below = 0.0, y + below + GAP, 0.0
        parts.append(f'<g transform="translate({x:g} {y:g})">{drawn}</g>')
        x, below, right = x + wide + GAP, max(below, high), max(right, x + wide)
    size = f"{right + 2 * GAP:g} {y + below + 2 * GAP:g}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-GAP} {-GAP} {size}" '
        f'style="max-width:100%;width:{size.split()[0]}px;background:{palette.paper}" '
        'font-family="DejaVu Sans Mono,Menlo,Consolas,monospace" font-size="11">'
        f'<pattern id="hidden" width="5" height="5" patternUnits="userSpaceOnUse">'
        f'<path d="M0 5 5 0" stroke="{palette.line}" stroke-width=".7"/></pattern>'
        f"{''.join(parts)}</svg>"
    )


def _drawn(matrix: Matrix, palette: Palette) -> tuple[str, float, float]:
    """Draw one matrix at the origin; return it with its width and height."""
    array = np.atleast_2d(matrix.array)
    hidden = np.zeros(array.shape, bool) if matrix.hidden is None else matrix.hidden
    rows, columns = (Axis(), Axis(), *matrix.axes)[-2:]
    has_numbers = array.shape[1] <= WITH_NUMBERS
    wide = WIDE if has_numbers else NARROW
    row_names = [rows.at(i) for i in range(len(array))] if array.shape[0] > 1 else [""]
    column_names = [columns.at(j) for j in range(array.shape[1])]
    left = CHARACTER * max(map(width_of, row_names)) + 4
    longest = CHARACTER * max(map(width_of, column_names), default=0)
    top = TITLE + (longest if longest > wide else 14) + 4
    caption = f"{matrix.title}  {power(matrix.exponent)}".rstrip()
    parts = [f'<text y="12" fill="{palette.ink}" font-weight="bold">{markup(caption)}</text>']
    for i, name in enumerate(row_names):
        y = top + i * HIGH + 14
        parts.append(_label(name, left - 4, y, palette, 'text-anchor="end"'))
    for j, name in enumerate(column_names):
        x = left + (j + 0.5) * wide
        if longest > wide:
            turned = f'transform="rotate(-90 {x + 4:g} {top - 4:g})"'
            parts.append(_label(name, x + 4, top - 4, palette, turned))
        else:
            parts.append(_label(name, x, top - 4, palette, 'text-anchor="middle"'))
    for i, j in np.ndindex(*array.shape):
        at = left + j * wide, top + i * HIGH, wide
        said = f"{row_names[i]} {column_names[j]} {float(array[i, j])!r}".strip()
        parts.append(_cell(float(array[i, j]), bool(hidden[i, j]), at, matrix, said, palette))
    return (
        "".join(parts),
        max(left + wide * array.shape[1], CHARACTER * width_of(caption)),
        top + HIGH * len(array),
    )


def _cell(
    number: float,
    is_hidden: bool,
    at: tuple[float, float, float],
    matrix: Matrix,
    said: str,
    palette: Palette,
) -> str:
    x, y, wide = at
    share = abs(number) / (matrix.largest or 1) if math.isfinite(number) else 0.0
    color = palette.gradient if number < 0 else palette.leaf_line
    form = f'x="{x:g}" y="{y:g}" width="{wide:g}" height="{HIGH}" stroke="{palette.frame_line}"'
    fill = 'fill="url(#hidden)"' if is_hidden else _paint(color, share)
    drawn = f"<g><title>{markup(said)}</title><rect {form} {fill}/>"
    middle = f'x="{x + wide / 2:g}" y="{y + 14:g}" text-anchor="middle"'
    if is_hidden:
        return f"{drawn}</g>"
    if wide == WIDE:
        text = cell(number, matrix.exponent)
        return f'{drawn}<text {middle} fill="{palette.ink}">{text}</text></g>'
    dash = f'<path d="M{x + wide / 2 - 3:g} {y + HIGH / 2:g}h6" stroke="{palette.ink}"/>'
    return f"{drawn}{dash if number < 0 and share > 0.04 else ''}</g>"


def _paint(color: str, share: float) -> str:
    return f'fill="{color}" fill-opacity="{FULLEST * share:.3f}"'


def _label(text: str, x: float, y: float, palette: Palette, place: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{palette.muted}" {place}>{markup(text)}</text>'
