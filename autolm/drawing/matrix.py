"""An array as coloured cells: blue is positive, orange negative, and masked cells are hatched.

The colour scale of an array is that of its largest number, and all cells share a power of ten, so
that small numbers are not printed as 0.00. Narrow cells have no number, but a dash if it is
negative, which is visible without colours.
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

MAX_OPACITY = 0.72  # of the colour of the largest number, so that text on it is readable
WIDE, NARROW, HIGH = (
    46,
    16,
    20,
)  # pixels: widths of a cell with and without its number, and the height
CHARACTER = 6.8  # pixels: greatest width of a character of a label
MAX_NUMBERED_COLUMNS = 12  # a picture with more columns has no numbers
GAP, TITLE = 26, 22


@dataclass(frozen=True)
class Matrix:
    """An array with its title, axes and mask.

    Attributes
    ----------
    title
        The title.
    array
        An array of shape (columns,) or (rows, columns).
    axes
        The axes of the array.
    hidden
        True where a mask hides a number; same shape as `array`.
    """

    title: str
    array: NDArray[Any]
    axes: tuple[Axis, ...] = ()
    hidden: NDArray[np.bool_] | None = None

    @property
    def largest(self) -> float:
        """The largest absolute value of the finite numbers."""
        return largest(self.array)

    @property
    def exponent(self) -> int:
        """The power of ten that the caption shows instead of the cells."""
        return exponent(self.largest)


def largest(array: NDArray[Any]) -> float:
    """Return the largest absolute value of the finite numbers."""
    return float(np.abs(array[np.isfinite(array)]).max(initial=0.0))


def exponent(largest: float) -> int:
    """Choose the common power of ten of all cells; 0 for numbers between 0.1 and 1000.

    >>> exponent(0.4), exponent(0.00123), exponent(0.0)
    (0, -3, 0)
    """
    power = math.floor(math.log10(largest)) if largest else 0
    return 0 if -1 <= power <= 2 else power


def cell(number: float, exponent: int = 0) -> str:
    """Format the number of a cell, divided by the common power of ten.

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
    """Format a power of ten for a caption; empty for 1.

    >>> power(-3), power(0)
    ('×10⁻³', '')
    """
    return f"×10{str(exponent).replace('-', '−').translate(RAISED)}" if exponent else ""


def matrices_svg(matrices: Sequence[Matrix], *, dark: bool = False, width: int = 740) -> str:
    """Draw matrices next to each other, in rows of at most `width` pixels."""
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
    """Draw one matrix at the origin; return the SVG, its width and its height."""
    array = np.atleast_2d(matrix.array)
    hidden = np.zeros(array.shape, bool) if matrix.hidden is None else matrix.hidden
    rows, columns = (Axis(), Axis(), *matrix.axes)[-2:]
    has_numbers = array.shape[1] <= MAX_NUMBERED_COLUMNS
    wide = WIDE if has_numbers else NARROW
    row_names = [rows.at(i) for i in range(len(array))] if array.shape[0] > 1 else [""]
    column_names = [columns.at(j) for j in range(array.shape[1])]
    label_width = CHARACTER * max(map(width_of, row_names)) + 4
    longest = CHARACTER * max(map(width_of, column_names), default=0)
    top = TITLE + (longest if longest > wide else 14) + 4
    caption = f"{matrix.title}  {power(matrix.exponent)}".rstrip()
    parts = [f'<text y="12" fill="{palette.ink}" font-weight="bold">{markup(caption)}</text>']
    for i, name in enumerate(row_names):
        y = top + i * HIGH + 14
        parts.append(_label(name, label_width - 4, y, palette, 'text-anchor="end"'))
    for j, name in enumerate(column_names):
        x = label_width + (j + 0.5) * wide
        if longest > wide:
            rotation = f'transform="rotate(-90 {x + 4:g} {top - 4:g})"'
            parts.append(_label(name, x + 4, top - 4, palette, rotation))
        else:
            parts.append(_label(name, x, top - 4, palette, 'text-anchor="middle"'))
    for i, j in np.ndindex(*array.shape):
        at = label_width + j * wide, top + i * HIGH, wide
        hint = f"{row_names[i]} {column_names[j]} {float(array[i, j])!r}".strip()
        parts.append(_cell(float(array[i, j]), bool(hidden[i, j]), at, matrix, hint, palette))
    return (
        "".join(parts),
        max(label_width + wide * array.shape[1], CHARACTER * width_of(caption)),
        top + HIGH * len(array),
    )


def _cell(
    number: float,
    is_hidden: bool,
    at: tuple[float, float, float],
    matrix: Matrix,
    hint: str,
    palette: Palette,
) -> str:
    x, y, wide = at
    share = abs(number) / (matrix.largest or 1) if math.isfinite(number) else 0.0
    color = palette.gradient if number < 0 else palette.leaf_line
    form = f'x="{x:g}" y="{y:g}" width="{wide:g}" height="{HIGH}" stroke="{palette.frame_line}"'
    fill = 'fill="url(#hidden)"' if is_hidden else _paint(color, share)
    drawn = f"<g><title>{markup(hint)}</title><rect {form} {fill}/>"
    middle = f'x="{x + wide / 2:g}" y="{y + 14:g}" text-anchor="middle"'
    if is_hidden:
        return f"{drawn}</g>"
    if wide == WIDE:
        text = cell(number, matrix.exponent)
        return f'{drawn}<text {middle} fill="{palette.ink}">{text}</text></g>'
    dash = f'<path d="M{x + wide / 2 - 3:g} {y + HIGH / 2:g}h6" stroke="{palette.ink}"/>'
    return f"{drawn}{dash if number < 0 and share > 0.04 else ''}</g>"


def _paint(color: str, share: float) -> str:
    return f'fill="{color}" fill-opacity="{MAX_OPACITY * share:.3f}"'


def _label(text: str, x: float, y: float, palette: Palette, place: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{palette.muted}" {place}>{markup(text)}</text>'
