"""The names at the top: there, lazy, the same for type checkers, and never overwritten."""

import ast
import builtins
import importlib
import importlib.util
import json
import os
import pkgutil
import random
import subprocess
import sys
from pathlib import Path

import pytest

import autolm
from tests import stubs

HEAVY = {"numpy", "matplotlib", "hypothesis", "rich", "graphviz", "safetensors", "numba"}
PACKAGES_WITH_LAZY_NAMES = ["autolm", "autolm.lm", "autolm.nn"]


def in_a_fresh_interpreter(program: str) -> str:
    folder = str(Path(autolm.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": folder},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def modules() -> list[str]:
    found = pkgutil.walk_packages(autolm.__path__, "autolm.")
    names = [module.name for module in found if not module.name.endswith("__main__")]
    if importlib.util.find_spec("torch") is None:
        names = [name for name in names if not name.startswith("autolm.torch.")]
    return names


@pytest.mark.parametrize("package", stubs.PACKAGES)
def test_stubs_are_those_that_the_packages_make(package: str) -> None:
    pytest.importorskip("torch" if package == "autolm.torch" else "numpy")
    assert stubs.path_of(package).read_text("utf-8") == stubs.stub(package)


@pytest.mark.parametrize("package", PACKAGES_WITH_LAZY_NAMES)
def test_every_name_of_a_stub_is_the_object_of_its_module(package: str) -> None:
    module = importlib.import_module(package)
    tree = ast.parse(stubs.path_of(package).read_text("utf-8"))
    for line in tree.body:
        for alias in line.names if isinstance(line, ast.ImportFrom) else ():
            home = importlib.import_module(line.module or "")
            assert getattr(module, alias.name) is getattr(home, alias.name)
            assert alias.name in dir(module)


def test_a_star_brings_the_names_and_hides_no_builtin() -> None:
    brought: dict[str, object] = {}
    exec("from autolm import *", brought)
    del brought["__builtins__"]
    assert set(brought) == set(autolm.__all__)
    assert not set(brought) & set(dir(builtins))


@pytest.mark.parametrize("name", ["sum", "abs", "max", "min", "pow", "nothing", "__path"])
def test_what_is_not_at_the_top_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'autolm' has no attribute '{name}'"):
        getattr(autolm, name)


def test_every_operation_is_at_the_top_unless_it_hides_a_builtin() -> None:
    hidden = set(dir(builtins))
    expected = {op.name for op in autolm.ops.OPERATIONS} - hidden
    assert expected <= set(autolm.__all__)


@pytest.mark.parametrize("name", ["Value", "scope", "no_grad", "Node"])
def test_one_number_loads_the_standard_library_only(name: str) -> None:
    loaded = in_a_fresh_interpreter(
        f"from autolm import {name}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    )
    tops = {module.partition(".")[0] for module in json.loads(loaded)}
    assert not tops & HEAVY
    assert "autolm" in tops


CALLS = """
import autolm, os, sys, tempfile, warnings
x = autolm.Value(3.0, name="x")
y = x * x
y.backward()
assert "x" in str(autolm.explain(x, y))
assert autolm.blame_nonfinite(y) is None
assert "digraph" in autolm.draw(y).source
with autolm.Walk(y) as walk:
    assert walk.step() is not None
with autolm.scope("s"), autolm.no_grad(), autolm.record_locations():
    autolm.Value(1.0)
autolm.edit(y, x, 4.0).undo()
with tempfile.TemporaryDirectory() as folder:
    autolm.render(y, os.path.join(folder, "y.dot"))
assert list(autolm.softmax([0.0, 0.0]).data) == [0.5, 0.5]
assert autolm.Tape(y, inputs=[x], parameters=[]).forward([2.0]) is not None
assert autolm.primitive(lambda a: (a, lambda grad: (grad,)))([1.0]).shape == (1,)
assert autolm.check_gradient(lambda a: a * a, [2.0])
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    w = autolm.Tensor([1.0])
    step = autolm.recorded(lambda x: (w * x).sum(), autolm.SGD([w], 0.5))
    assert step([2.0]) == 2.0
for name in autolm.__all__:
    assert callable(getattr(autolm, name)), name
for room in [room for name, room in sys.modules.items() if name.startswith("autolm")]:
    for name in getattr(room, "__all__", ()):
        assert type(vars(room).get(name)) is not type(sys), f"{room.__name__}.{name}"
print("called")
"""


@pytest.mark.table(3)
@pytest.mark.parametrize("seed", range(3))
def test_no_module_overwrites_a_function_in_whichever_order_all_are_imported(seed: int) -> None:
    order = modules()
    random.Random(seed).shuffle(order)
    imports = "\n".join(f"import {name}" for name in order)
    assert in_a_fresh_interpreter(f"{imports}\n{CALLS}") == "called\n"


FORGET = (
    "for name in [m for m in sys.modules if m.partition('.')[0] == 'autolm']: del sys.modules[name]"
)


def test_each_room_can_be_the_first_that_is_imported() -> None:
    # Of its files test_house says that they form no circle; a room's face does more than import.
    rooms = [name for name in modules() if hasattr(importlib.import_module(name), "__path__")]
    imports = "".join(f"{FORGET}\nimport {name}\n" for name in rooms)
    in_a_fresh_interpreter(f"import sys\n{imports}")


def test_a_step_reads_well_when_only_value_was_imported() -> None:
    shown = in_a_fresh_interpreter(
        "from autolm import Value\nfor step in (Value(2.0, name='x') * 3).steps(): print(step)"
    )
    assert shown == "1  ×  x · 3   x: 1 × 3 = 3, grad – → 3   3: a constant\n"


WATCHED = """
import gc, importlib, signal, sys
from functools import cached_property
from importlib.machinery import SourceFileLoader

def of_the_process():
    return {
        "the collector's threshold": gc.get_threshold(),
        "the limit of recursion": sys.getrecursionlimit(),
        "the hooks": (sys.excepthook, sys.displayhook, sys.gettrace(), sys.getprofile()),
        "what Ctrl-C does": signal.getsignal(signal.SIGINT),
    }

def parts(thing):  # of a file, a class, a function or a record
    slots = (getattr(kind, "__slots__", ()) for kind in type(thing).__mro__)
    names = {*getattr(thing, "__dict__", ()), *(name for some in slots for name in some)}
    cached = {name for name in names if isinstance(getattr(type(thing), name, 0), cached_property)}
    own = getattr(thing, "__dict__", {})
    names -= {"__weakref__", *cached}  # what it works out itself, when it is asked for it
    return {name: own[name] if name in own else getattr(thing, name, None) for name in names}

def is_ours(thing):
    kind = thing if hasattr(thing, "__code__") or isinstance(thing, type) else type(thing)
    return str(getattr(kind, "__module__", "")).startswith("autolm")

made = {}  # what each file had made when it was done, and its parts

def exec_module(self, module, plain=SourceFileLoader.exec_module):
    plain(self, module)
    if module.__name__.startswith("autolm"):
        for name, thing in [("", module), *vars(module).items()]:
            if (thing is module or is_ours(thing)) and id(thing) not in made:
                made[id(thing)] = f"{module.__name__}.{name}", thing, parts(thing)

SourceFileLoader.exec_module = exec_module
before = of_the_process()
for name in MODULES:
    importlib.import_module(name)
for what, was in before.items():
    assert of_the_process()[what] == was, what
changed = []
for name, thing, was in made.values():
    now = parts(thing)
    changed += [f"{name}.{part}" for part in was if now.get(part, was) is not was[part]]
    new = {part for part in now if part not in was}
    if name.endswith("."):  # a room is told of its files, and keeps the names that were asked for
        exported = {*getattr(thing, "__all__", ()), "__all__"}
        new -= {part for part in new if hasattr(now[part], "__spec__") or part in exported}
    changed += [f"{name}.{part}" for part in sorted(new)]
assert not changed, changed
print(len(made))
"""


def test_to_import_a_file_changes_nothing_that_another_has_made() -> None:
    watched = in_a_fresh_interpreter(f"MODULES = {modules()}\n{WATCHED}")
    assert int(watched) > 500
