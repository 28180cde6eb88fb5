"""The engine stands alone: the standard library, and no room of autolm above it."""

import subprocess
import sys
from pathlib import Path

import pytest

import autolm

# A package of this name and place, of which nothing was run: what is loaded is asked for.
ALONE = f"""
import sys, types
autolm = types.ModuleType("autolm")
autolm.__path__ = {[str(Path(autolm.__file__).parent)]!r}
sys.modules["autolm"] = autolm
before = set(sys.modules)
%s
loaded = set(sys.modules) - before
"""


def run(program):
    command = [sys.executable, "-I", "-S", "-c", program]  # no packages, and nothing of the user's
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def alone(program, question):
    return run(ALONE % program + f"\nprint({question})")


USE = """
from autolm.engine.value import Value
from autolm.engine.graph import no_grad, record_sites, scope
with record_sites(), scope("a"):
    y = Value(2.0, label="x").tanh() * 3
y.backward()
repr(y), str(y.site), list(y.steps()), y.site.frames
"""
SCALAR = "from autolm.nn.scalar import MLP\nMLP(2, [3, 1])([1.0, 2.0]).backward()"
FOREIGN = "sorted({name.partition('.')[0] for name in loaded} - set(sys.stdlib_module_names))"
ROOMS = "sorted(name for name in loaded if name.startswith('autolm.'))"


@pytest.mark.parametrize("program", [USE, SCALAR])
def test_nothing_but_the_standard_library_is_loaded(program):
    assert alone(program, FOREIGN) == "['autolm']"


def test_no_room_above_is_loaded():
    files = ["backprop", "copying", "fast_values", "graph", "hooks", "micrograd", "site", "value"]
    expected = ["autolm.engine", *(f"autolm.engine.{file}" for file in files)]
    assert alone(USE, ROOMS) == repr(expected)


def test_steps_read_as_tuples_where_nobody_has_words_for_them(tmp_path):
    engine = Path(autolm.__file__).parent / "engine"
    (tmp_path / "autolm").mkdir()
    (tmp_path / "autolm" / "__init__.py").touch()
    (tmp_path / "autolm" / "engine").symlink_to(engine)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from autolm.engine.value import Value\n"
        "x = Value(2.0)\nstep = next((x * x).steps())\n"
        "print(step, step.contributions[0], next((x * x).forward_steps()))\n"
        "print((x * x)._repr_mimebundle_())"
    )
    printed = run(program)
    assert printed.count("Value(data=2, grad=") >= 3
    assert printed.endswith("{}")


def test_importing_the_engine_sets_nothing():
    setting = "(gc.get_threshold(), gc.isenabled(), sys.getrecursionlimit(), sys.gettrace())"
    asked = f"import gc\nfirst = {setting}\n{USE}\nlast = {setting}"
    assert alone(asked, "first == last") == "True"


def test_debugger_that_is_not_there_is_one_line():
    program = (
        "import os\nos.environ['AUTOLM_DEBUG'] = '1'\n"
        "from autolm.engine import hooks\n"
        "hooks.PLACES['backward under AUTOLM_DEBUG=1'] = 'autolm.not_installed:it'\n"
        "from autolm.engine.value import Value\n"
        "try:\n    (Value(2.0) * 3).backward()\n"
        "except RuntimeError as error:\n    told = str(error)"
    )
    assert alone(program, "told") == (
        "backward: AUTOLM_DEBUG=1, and the debugger is not installed here"
    )


def test_library_that_a_room_lacks_is_not_taken_for_a_room_that_is_not_there(tmp_path):
    (tmp_path / "needy.py").write_text("import a_library_that_nobody_has")
    program = (
        f"import sys\nsys.path.append({str(tmp_path)!r})\n"
        "from autolm.engine import hooks\n"
        "hooks.PLACES['step in words'] = 'needy:it'\n"
        "try:\n    told = hooks.higher('step in words')\n"
        "except ModuleNotFoundError as error:\n    told = error.name"
    )
    assert alone(program, "told") == "a_library_that_nobody_has"
