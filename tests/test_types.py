"""Type checkers know the results of Values, and find a misspelt method."""

import pytest

PROGRAM = """
from autolm import Value
from autolm.nn import MLP

a, b = Value(2.0), Value(-3.0)
results: list[Value] = [
    a + b, 1 + a, a - b, 1 - a, a * b, 2 * a, a / b, 1 / a, a**b, a**2, 2**a, -a, abs(a),
    a.exp(), a.log(), a.tanh(), a.relu(), a.sigmoid(), a.gelu(), a.maximum(b),
    Value.sum([a, b]), Value.dot([a], [b]), (a * b + 1).tanh(),
]
number: float = (a * b).data
MLP(2, [3, 1])([a, b])
(a * b).backwrad()
"""


def test_results_of_values_are_values_and_a_misspelt_method_is_found(tmp_path):
    api = pytest.importorskip("mypy.api")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    output, errors, _ = api.run(["--strict", "--cache-dir", str(tmp_path), str(program)])
    assert not errors
    found = [line for line in output.splitlines() if "program.py" in line]
    assert len(found) == 1, output
    assert '"Value" has no attribute "backwrad"; maybe "backward"?' in found[0]
