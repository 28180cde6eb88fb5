"""What marks an exercise in a page: it accepts every solution, and nothing else."""

import ast
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from course.marking import POINTS, mark, mark_building

FOLDER = Path(__file__).parents[2] / "demos" / "exercises"
EXERCISES = sorted(path for path in FOLDER.glob("*.py") if not path.stem.endswith("_solution"))
each_exercise = pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.stem)


def source(path):
    return path.read_text("utf-8")


def solution(path):
    return source(path.with_name(f"{path.stem}_solution.py"))


@each_exercise
def test_an_exercise_is_wrong_as_it_stands_and_its_solution_right(path):
    assert mark(source(path), source(path))[0] is False
    assert mark(solution(path), source(path))[0] is True


def returned(function):
    """The last return of the rule."""
    return [node for node in ast.walk(function) if isinstance(node, ast.Return)][-1]


@each_exercise
@pytest.mark.parametrize("factor", [-1, 2, 1 + 1e-6])
def test_a_solution_times_a_factor_is_wrong_in_every_operand(path, factor):
    tree = ast.parse(solution(path))
    (rule,) = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "backward"]
    answer = returned(rule).value.elts
    for place, right in enumerate(answer):
        answer[place] = ast.BinOp(right, ast.Mult(), ast.Constant(factor))
        verdict, why = mark(ast.unparse(ast.fix_missing_locations(tree)), source(path))
        assert verdict is False
        assert re.search(r"the rule sends \S+ to \w+; the engine:", why), why
        answer[place] = right


@each_exercise
def test_another_function_with_a_right_rule_is_refused(path):
    changed = re.sub(r"(    return )(?=[^\n]*, backward)", r"\g<1>2 * ", solution(path))
    verdict, why = mark(changed, source(path))
    assert verdict is False
    assert "change only its backward rule" in why


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("def", "SyntaxError: invalid syntax"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit()", "SystemExit"),
        ("", "the exercise defines no two_paths"),
        ("import numpy as np\nnp.nothing", "AttributeError"),
    ],
)
def test_what_goes_wrong_is_told_in_a_line(answer, said):
    verdict, why = mark(answer, source(FOLDER / "two_paths.py"))
    assert verdict is False
    assert said in why
    assert "\n" not in why


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("two_paths", "(grad * (x + 2 * w),)", "must return a tuple of 2 numbers"),
        ("two_paths", "[grad * (x + 2 * w), grad * w]", "must return a tuple of 2 numbers"),
        ("two_paths", "grad * (x + 2 * w)", "must return a tuple of 2 numbers"),
        ("two_paths", "grad * (x + 2 * w), None", "must return a tuple of 2 numbers"),
        ("bell", "[-grad * a * y]", "must return a tuple of 1 numbers"),
        ("bell", "-grad * a * y", "the rule agrees"),
        ("bell", "(-grad * a * y,)", "the rule agrees"),
    ],
)
def test_a_rule_returns_a_tuple_or_for_one_operand_a_number(name, answer, said):
    program = source(FOLDER / f"{name}.py")
    answered = re.sub(r"(?<=        return ).*", answer, program, count=1)
    assert said in mark(answered, program)[1]


@pytest.mark.parametrize(
    "rule",
    [
        "b = Value(a); y = (-b * b / 2).exp(); y.backward(grad); return (b.grad,)",
        "return (grad * (bell(a + 1e-5)[0] - bell(a - 1e-5)[0]) / 2e-5,)",
        "f = lambda a: np.exp(-(a**2) / 2); return (grad * (f(a + 1e-5) - f(a - 1e-5)) / 2e-5,)",
    ],
)
def test_a_derivative_taken_by_the_engine_or_by_differences_is_not_a_rule(rule):
    program = source(FOLDER / "bell.py")
    answer = program.replace("return (grad * y,)", rule).replace(
        "primitive\n", "Value, primitive\n"
    )
    assert mark(answer, program)[0] is False


def test_a_rule_is_asked_only_where_the_exercise_says_that_its_operands_lie():
    program = source(FOLDER / "temperature.py")
    assert mark(solution(FOLDER / "temperature.py").replace("/ tau**2", "/ abs(tau)**2"), program)[
        0
    ]
    sign = solution(FOLDER / "temperature.py").replace("slope / tau,", "slope / abs(tau),")
    assert mark(sign, program)[0]


def test_it_speaks_both_languages_and_names_no_cause():
    path = FOLDER / "two_paths.py"
    assert mark(source(path), source(path), "ko")[1].startswith("w = 0.7")
    assert "엔진의 답" in mark(source(path), source(path), "ko")[1]
    assert (
        mark(solution(path), source(path), "ko")[1] == f"{len(POINTS)}개의 점에서 엔진과 일치합니다"
    )


@pytest.mark.skipif(shutil.which("node") is None, reason="numbers.js is tested with Node.js")
def test_a_number_is_read_as_people_write_it():
    written = {
        "1/3": 1 / 3,
        "√12.5": 12.5**0.5,
        "2√3": 2 * 3**0.5,
        "84,934,656": 84934656,
        "84 934 656": 84934656,
        "8493만 4656": 84934656,
        "1750억": 1.75e11,
        "0,333": 0.333,
        "−1/4": -0.25,
        "25걸음": 25,
        "2·10^3": 2000,
        "ln 5": math.log(5),
        "50 %": 0.5,
        "강아지": None,
        "3.5.2": None,
        "": None,
    }
    module = (FOLDER.parent / "course" / "static" / "numbers.js").as_uri()
    program = f"import {{ numberOf }} from {module!r};"
    program += f"console.log(JSON.stringify({json.dumps(list(written))}.map((t) => numberOf(t))))"
    command = ["node", "--input-type=module", "-e", program]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    found = json.loads(done.stdout)
    assert [each["value"] for each in found] == [
        None if value is None else pytest.approx(value) for value in written.values()
    ]
    assert found[list(written).index("1750억")]["exact"] == 5e7  # meant to the nearest 억


BUILDING = FOLDER.parent / "building"
PARTS = sorted(path.stem.removesuffix("_tests") for path in BUILDING.glob("*_tests.py"))
TESTS = {name: source(BUILDING / f"{name}_tests.py") for name in PARTS}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_to_build_is_wrong_as_it_stands_and_its_solution_right(name):
    assert mark_building(source(BUILDING / f"{name}.py"), TESTS[name])[0] is False
    assert mark_building(source(BUILDING / f"{name}_solution.py"), TESTS[name])[0] is True


ALMOST = [
    ("value", "parent.grad += contribution", "parent.grad = contribution"),
    ("value", "reversed(order)", "[self, *reversed(order[:-1])][::-1]"),
    ("softmax_loss", "exp(x - largest) for x in z]", "exp(x) for x in z]"),
    ("softmax_loss", "(i == target)", "(i != target)"),
    ("attention_head", "k[: t + 1]", "k"),
    ("attention_head", "/ sqrt(len(key))", ""),
    ("normalise", " - mean_h -", " -"),
    ("normalise", "g * u for g, u", "u for g, u"),
    ("merge_loop", "max(counts", "min(counts"),
    ("adam_steps", "(v / (1 - beta2**t))", "(v)"),
    ("training", "losses.append(loss)", "losses.append(loss * len(pairs))"),
    ("training", "-= rate", "+= rate"),
]


@pytest.mark.parametrize(("name", "right", "wrong"), ALMOST)
def test_an_almost_right_part_is_refused_by_a_call_that_names_no_cause(name, right, wrong):
    solved = source(BUILDING / f"{name}_solution.py")
    assert right in solved
    verdict, why = mark_building(solved.replace(right, wrong), TESTS[name])
    assert verdict is False
    assert re.search(r" gives .*; it should be |Error: ", why), why


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("", "the exercise defines no softmax"),
        ("from autolm import softmax", "build it without autolm"),
        ("import numpy as np", "build it without numpy"),
        ("softmax = 3", "TypeError: 'int' object is not callable"),
        ("def softmax(z): return None", "gives None; it should be [0.1"),
        ("def softmax(z): return 'probabilities'", "gives 'probabilities'"),
        ("raise SystemExit", "SystemExit"),
    ],
)
def test_a_silly_part_is_told_what_it_lacks(answer, said):
    verdict, why = mark_building(answer, TESTS["softmax_loss"])
    assert verdict is False
    assert said in why


def test_a_part_is_marked_offline_by_the_file_beside_it(tmp_path):
    for file in (*BUILDING.glob("merge_loop*"), FOLDER.parent / "course" / "marking.py"):
        shutil.copy(file, tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parents[1]), "LC_ALL": "C.UTF-8"}
    for name, code, told in (("merge_loop", 1, "✗"), ("merge_loop_solution", 0, "✓")):
        if name.endswith("solution"):
            shutil.copy(tmp_path / f"{name}.py", tmp_path / "merge_loop.py")
        command = [sys.executable, "marking.py", "merge_loop.py"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8"
        )
        assert (done.returncode, done.stdout[0]) == (code, told), done.stderr
