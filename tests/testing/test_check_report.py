import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import example, given

from autolm.testing import Call, GradientError, calls, check_gradient
from autolm.testing.check_report import table
from autolm.testing.operation_checks import report_on
from autolm.testing.subject import Subject
from autolm.testing.verdict import Row

from .wrong_operations import product_swapped


@pytest.fixture(scope="module")
def report():
    return report_on(Subject.of(product_swapped), 5)


def test_the_example_line_pins_the_call(report):
    (line,) = [line for line in str(report).splitlines() if "@example" in line]
    pinned = eval(line.strip().removeprefix("@example"), {"Call": Call, "np": np})
    seen = []
    given(calls(product_swapped))(example(pinned)(lambda call: seen.append(call)))
    with pytest.raises(GradientError):
        check_gradient(product_swapped, *pinned.inputs, upstream=pinned.upstream)


def test_a_counterexample_is_shrunk_to_simple_numbers(report):
    assert repr(report.failure.example) == "Call(2.0, 3.0, upstream=1.0)"


def test_the_operands_in_the_drawing_have_their_names(report):
    assert [leaf.name for leaf in report.failure.node.parents] == ["a", "b"]


def test_a_long_table_is_cut():
    rows = [Row("a", (i,), 1.0, 2.0) for i in range(20)]
    lines = table(rows)
    assert len(lines) == 10
    assert lines[-1] == "and 12 more"


def test_without_drawing_there_is_no_picture_and_no_error(report, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "autolm.drawing.drawing", None)
    assert report.render(tmp_path / "picture.svg") is None


def test_the_counterexample_is_drawn_where_drawing_is_available(report, tmp_path, monkeypatch):
    drawn = []
    drawing = ModuleType("autolm.drawing.drawing")
    drawing.render = lambda node, path: drawn.append((node.op, path))
    monkeypatch.setitem(sys.modules, "autolm.drawing.drawing", drawing)
    path = tmp_path / "picture.svg"
    assert report.render(path) == path
    assert drawn == [(product_swapped, path)]
