import re

import numpy as np
import pytest

from autolm import Tensor, Value
from autolm.inspect import draw


def edges(source: str) -> list[tuple[str, str]]:
    return re.findall(r"^\s*\"?([\w:.]+)\"? -> \"?([\w:.]+)\"?", source, re.MULTILINE)


def test_a_square_shows_two_edges() -> None:
    x = Value(3.0, name="x")
    into_operation = edges(draw(x * x).source)
    starts = [start for start, _ in into_operation]
    assert len(into_operation) == 3
    assert max(map(starts.count, starts)) == 2


def test_a_gradient_that_was_not_computed_is_not_shown_as_0() -> None:
    x = Value(3.0, name="x")
    y = x * 0.0
    before = draw(y).source
    y.backward()
    assert before.count("–") > draw(y).source.count("–")


def test_the_text_is_the_same_each_time() -> None:
    def picture() -> str:
        x = Tensor(np.arange(4.0), name="x")
        return str(draw((x * x + x.exp()).sum()).source)

    assert picture() == picture()


@pytest.mark.parametrize("name", ['"quoted"', "<b>", "a & b", "back\\slash", "{x|y}"])
def test_names_are_escaped(name: str) -> None:
    source = draw(Value(1.0, name=name) * 2).source
    assert "<b>b</b>" not in source
    assert f">{name}<" not in source or not set("<>&") & set(name)


def test_a_long_chain_is_drawn_without_recursion() -> None:
    y = Value(1.0)
    for _ in range(20_000):
        y = y * 1.0
    assert len(draw(y).source) < 1_000_000
