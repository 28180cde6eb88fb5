"""Importing the engine loads the standard library only; what it shows comes when it is shown."""

import os
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


def run(program, *options):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, *options, "-c", program],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def alone(program, question):
    # no packages, and nothing of the user's
    return run(ALONE % program + f"\nprint({question})", "-I", "-S")


USE = """
from autolm.engine.value import Value
from autolm.engine.recording import no_grad, record_locations, scope
with record_locations(), scope("a"):
    y = Value(2.0, label="x").tanh() * 3
y.backward()
repr(y), str(y.location), list(y.steps()), y.location.frames
"""
SCALAR = "from autolm.nn.scalar import MLP\nMLP(2, [3, 1])([1.0, 2.0]).backward()"
FOREIGN = "sorted({name.partition('.')[0] for name in loaded} - set(sys.stdlib_module_names))"
ROOMS = "sorted(name for name in loaded if name.startswith('autolm.'))"


@pytest.mark.parametrize("program", [USE, SCALAR])
def test_nothing_but_the_standard_library_is_loaded(program):
    assert alone(program, FOREIGN) == "['autolm']"


def test_no_room_above_is_loaded():
    files = Path(autolm.__file__).parent.glob("engine/[!_]*.py")
    expected = ["autolm.engine", *sorted(f"autolm.engine.{file.stem}" for file in files)]
    assert alone(USE, ROOMS) == repr(expected)


SHOWN = {
    "a step": ("next(y.steps())", "1  ×  y = x · 3   x: 1 × 3 = 3, grad – → 3   3: a constant"),
    "a forward step": ("next(y.forward_steps())", "1  ×  y = x · 3 = 2 · 3 = 6"),
    "a picture": ("'svg' in str(y._repr_mimebundle_())", "True"),
    "an error": ("autolm.engine.graph.describe(y)", "mul 'y'"),
}


ONLY_VALUE = """
import autolm, sys, types
from autolm import Value
shell = types.SimpleNamespace(kernel=None, user_ns={})
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)
x = Value(2.0, name="x")
y = x * 3
"""


@pytest.mark.parametrize("what", SHOWN)
def test_what_a_node_shows_is_there_when_only_value_was_imported(what):
    expression, expected = SHOWN[what]
    assert run(f"{ONLY_VALUE}print({expression})", "-P") == expected


def test_operation_is_called_when_only_ops_was_imported():
    assert run("from autolm.ops import exp\nprint(exp([0.0]))", "-P") == "Tensor([1.])"


def test_importing_the_engine_sets_nothing():
    setting = "(gc.get_threshold(), gc.isenabled(), sys.getrecursionlimit(), sys.gettrace())"
    program = f"import gc\nfirst = {setting}\n{USE}\nlast = {setting}"
    assert alone(program, "first == last") == "True"
