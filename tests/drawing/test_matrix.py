"""Arrays as coloured cells: every number is there, and none is shown as 0 that is not."""

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm.drawing.axes import Axis
from autolm.drawing.matrix import Matrix, cell, exponent, matrices_svg
from autolm.drawing.palette import DARK, LIGHT

SVG = "{http://www.w3.org/2000/svg}"
TOKENS = Axis("tokens", ("the", "<고양이>", "␣"))
WEIGHTS = np.array([[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.5, -0.25, 0.75]])
AHEAD = ~np.tril(np.ones((3, 3), bool))


def cells(svg):
    """Read the cells of a picture: what each says, its colour, and what is written in it."""
    drawn_cells = []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        title, rect, text = (group.find(f"{SVG}{name}") for name in ("title", "rect", "text"))
        if title is not None:
            written = None if text is None else text.text
            drawn_cells.append((title.text, rect.get("fill"), rect.get("fill-opacity"), written))
    return drawn_cells


@given(st.floats(1e-300, 1e300), st.floats(-1, 1))
def test_a_cell_never_shows_0_for_what_is_not(largest, share):
    number = largest * share
    text = cell(number, exponent(largest)).replace("−", "-")
    assert (float(text) == 0) == (number == 0) or abs(share) < 1e-300
    assert float(text) * 10.0 ** exponent(largest) == pytest.approx(number, rel=0.51, abs=1e-300)
    assert len(text) <= 8


@pytest.mark.parametrize(
    ("number", "text"), [(float("inf"), "∞"), (float("-inf"), "−∞"), (float("nan"), "nan")]
)
def test_what_is_no_number_is_said(number, text):
    assert cell(number) == text


def test_a_picture_holds_every_number_with_its_labels_and_its_colour():
    drawn_cells = cells(matrices_svg([Matrix("weights", WEIGHTS, (TOKENS, TOKENS), AHEAD)]))
    assert [said for said, *_ in drawn_cells] == [
        f"{row} {column} {WEIGHTS[i, j]}"
        for i, row in enumerate(TOKENS.labels)
        for j, column in enumerate(TOKENS.labels)
    ]
    fills = [fill for _, fill, _, _ in drawn_cells]
    blue, orange, hidden = LIGHT.leaf_line, LIGHT.gradient, "url(#hidden)"
    assert fills == [blue, hidden, hidden, blue, blue, hidden, blue, orange, blue]
    depth = [float(opacity) for _, _, opacity, _ in drawn_cells if opacity]
    assert np.allclose(np.array(depth) / depth[0], [1, 0.25, 0.75, 0.5, 0.25, 0.75], atol=0.01)


def test_numbers_are_left_out_where_they_have_no_room_and_the_negative_have_a_dash():
    wide = np.linspace(-1, 1, 20)[None]
    svg = matrices_svg([Matrix("wide", wide)])
    assert not any(text for *_, text in cells(svg))
    assert svg.count("<path") == 1 + 10  # of the hatching; and the negative ones


def test_small_numbers_have_a_power_of_ten_in_the_caption():
    svg = matrices_svg([Matrix("grad-q", np.array([[0.00123, -0.0004]]))])
    assert "grad-q  ×10⁻³" in svg
    assert [text for *_, text in cells(svg)] == ["1.23", "−0.40"]


def test_dark_is_light_on_dark_and_rows_keep_within_the_width():
    many = [Matrix("w", WEIGHTS)] * 8
    dark = matrices_svg(many, dark=True, width=400)
    assert DARK.paper in dark and LIGHT.paper not in dark
    assert float(ElementTree.fromstring(dark).get("viewBox").split()[2]) <= 460
