import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import example, given

from autolm.testing import Call, GradientError, calls, check_gradient
from autolm.testing.check import report_on
from autolm.testing.comparison import Row
from autolm.testing.report import table
from autolm.testing.subject import Subject

from .wrong_operations import WRONG, product_swapped

# All but what one call alone does not show: a lost dtype, a relation of several results.
SILENT = {"exponential_widened", "running_average_blind"}
LOUD = [
    wrong
    for wrong, _, diagnosis in WRONG[::4]
    if "causal" not in diagnosis and wrong.name not in SILENT
]


@pytest.fixture
def report():
    return report_on(Subject.of(product_swapped), 5)


@pytest.mark.parametrize("operation", LOUD, ids=lambda op: op.name)
def test_the_program_runs_as_pasted_and_fails_in_the_same_way(operation):
    program = report_on(Subject.of(operation), 5).failure.program
    with pytest.raises(GradientError, match=f"{operation.name} is WRONG"):
        exec(compile(program, "pasted", "exec"), {})


def test_the_program_repeats_a_function_that_cannot_be_imported():
    def local(a):
        return np.exp(a), lambda grad: (grad * a,)

    program = report_on(Subject.of(local), 5).failure.program
    assert "import numpy as np" in program
    assert "def local(a):" in program


def test_the_example_line_pins_the_call(report):
    (line,) = [line for line in str(report).splitlines() if "@example" in line]
    pinned = eval(line.strip().removeprefix("@example"), {"Call": Call, "np": np})
    seen = []
    given(calls(product_swapped))(example(pinned)(lambda call: seen.append(call)))
    with pytest.raises(GradientError):
        check_gradient(product_swapped, *pinned.inputs, upstream=pinned.upstream)


def test_a_counterexample_is_shrunk_to_simple_numbers(report):
    assert repr(report.failure.example) == "Call(2.0, 3.0, upstream=1.0)"


def test_a_long_table_is_cut():
    rows = [Row("a", (i,), 1.0, 2.0) for i in range(20)]
    lines = table(rows)
    assert len(lines) == 10
    assert lines[-1] == "and 12 more"


def test_without_drawing_there_is_no_picture_and_no_error(report, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "autolm.inspect.draw", None)
    assert report.render(tmp_path / "picture.svg") is None


def test_the_counterexample_is_drawn_where_drawing_is_available(report, tmp_path, monkeypatch):
    drawn = []
    drawing = ModuleType("autolm.inspect.draw")
    drawing.render = lambda node, path: drawn.append((node.op, path))
    monkeypatch.setitem(sys.modules, "autolm.inspect.draw", drawing)
    path = tmp_path / "picture.svg"
    assert report.render(path) == path
    assert drawn == [(product_swapped, path)]
