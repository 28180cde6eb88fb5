"""An ordinary debugger steps into a rule, and finds the gradient and the operands in view."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autolm import Tensor, Value, ops
from tests.programs import INSTRUCTIONS

PROGRAM = """
from autolm import Tensor, Value, primitive

@primitive
def mine(a, b):
    def backward(grad):
        breakpoint()
        return grad * b, grad * a
    return a * b, backward

a, b = Value(2.0), Value(3.0)
y = a * b
t = a.tanh()
q = Tensor([[1.0, 2.0]]) @ Tensor([[3.0], [4.0]])
breakpoint()
y.backward()
t.backward()
q.backward([[1.0]])
mine(5.0, Tensor(7.0)).backward()
"""


def run(program, typed):
    return subprocess.run(
        [sys.executable, program],
        input=typed,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent.parent.parent),
            "PYTHONIOENCODING": "utf-8",
        },
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


def test_pdb_stops_in_the_rule_of_a_node_with_its_numbers_in_view(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = run(
        program,
        "tbreak y.backward_rule\ntbreak t.backward_rule\ntbreak q.backward_rule\n"
        "c\np grad, a, b\nc\np grad, y\nc\np grad.shape, rows, b\nc\np grad, a, b\nc\n",
    )
    assert done.returncode == 0, done.stderr
    printed = [line.removeprefix("(Pdb) ") for line in done.stdout.splitlines()]
    for numbers in (
        "(1.0, 2.0, 3.0)",
        "(1.0, 0.9640275800758169)",
        "((1, 1), array([[1., 2.]]), array([[3.],",
        "(array(1.), array(5.), array(7.))",
    ):
        assert any(line.startswith(numbers) for line in printed), done.stdout


def test_from_one_rule_of_a_value_pdb_steps_into_the_next(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "from autolm import Value\nhalf = Value(2.0) / 4\nloss = half * half\n"
        "breakpoint()\nloss.backward()\n"
    )
    done = run(program, "tbreak loss.backward_rule\nc\n" + "s\n" * 60 + "q\n")
    rules = re.findall(r"> \S+\((\d+)\)backward\(\)\n-> return", done.stdout)
    assert len(set(rules)) == 2, done.stdout


@pytest.mark.parametrize("leaf", [Value, Tensor])
@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_rules_are_named_functions_of_grad(leaf, name):
    for step in INSTRUCTIONS[name](leaf(0.5), leaf(0.25)).steps():
        assert_reads_well(step.node.backward_rule)


@pytest.mark.parametrize("op", [op for op in ops.PRIMITIVES if op.cases], ids=lambda op: op.name)
def test_rules_of_primitives_are_named_functions_of_grad(op):
    for case in op.cases:
        operands = [Tensor(np.full(shape, 0.5)) for shape in case.shapes]
        assert_reads_well(op(*operands, **case.attributes).backward_rule)


def assert_reads_well(rule):
    code = rule.__code__
    assert code.co_name == "backward"
    assert code.co_varnames[:1] == ("grad",)
    assert all(not name.startswith("_") for name in code.co_freevars + code.co_varnames)


def test_steps_and_nodes_have_reprs_of_one_line():
    x = Tensor([[0.5] * 30] * 30, name="x")
    y = (x @ x).tanh()
    step = next(y.sum().steps())
    for printed in (x, y, step, *step.contributions, next(y.sum().forward_steps()), Value(2.0)):
        assert "\n" not in repr(printed)
        assert len(repr(printed)) < 150
    assert repr(x) == "Tensor(30×30 ‖15‖ [0.5 0.5 0.5 …], name='x')"
