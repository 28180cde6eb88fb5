"""The house: which room may import which. Read from the imports themselves; nothing is run."""

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "autolm"
FLOORS = {
    "outside": 0,
    "engine": 0,
    "ops": 1,
    "tensor": 2,
    "nn": 3,
    "walking": 3,
    "compiled": 4,
    "drawing": 4,
    "debugger": 5,
    "pages": 5,
    "testing": 5,
    "lm": 5,
    "torch": 6,
    "cli": 7,
}
# What a file imports from above, inside a function: it is needed when the function is called.
UPWARD = {
    "engine.backprop": {"walking.wording"},
    "engine.watching": {"debugger.stop_backward", "debugger.dap.attached_program"},
    "engine.graph": {"walking.wording", "walking.program_names", "drawing.notebook"},
    "ops.primitive": {"tensor.tensor"},
    "ops.composed": {"tensor.tensor"},
    "tensor.tensor": {"walking.wording"},
    "tensor.nodes": {"torch.root", "torch.node_lookup"},
    "nn.module": {"drawing.table"},
    "testing.pytest_plugin": {  # pytest loads it in every project; it loads these when it is used
        "testing.check_report",
        "testing.operation_checks",
        "testing.jax",
        "testing.torch",
    },
    "walking.blame": {"drawing.table"},
    "walking.explanation": {"drawing.table"},
    "walking.torch_recording": {"torch.function_mode", "torch.notices"},
    "compiled.tape": {"walking.wording"},
    "torch.torch_node": {
        "torch.node_lookup",
        "torch.module_paths",
        "torch.fused_functions",
        "torch.numpy_equivalent",
    },
}
FILES = {
    ".".join(("autolm", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(ROOT.rglob("*.py"))
}


def all_imports_of(module):
    """List what a file imports: (module, line, whether inside a function)."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    inside = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} imports by dots"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [name if name in FILES else node.module for name in names]
        elif isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            continue
        found += [(target, node.lineno, node in inside) for target in targets]
    return found


def imports_of(module):
    """List what a file imports, but for its listed imports from above."""
    upward = UPWARD.get(module.removeprefix("autolm."), ())
    return [
        (target, line)
        for target, line, inside in all_imports_of(module)
        if not (inside and target.removeprefix("autolm.") in upward)
    ]


def room_of(module):
    return module.split(".")[1] if module.count(".") else ""


ROOMED = [module for module in FILES if room_of(module) in FLOORS]


def test_every_file_is_in_a_room():
    outside = {module for module in FILES if room_of(module) not in FLOORS}
    assert outside == {"autolm", "autolm.__main__"}


@pytest.mark.parametrize("module", ROOMED)
def test_imports_point_down(module):
    for target, line in imports_of(module):
        if not target.startswith("autolm"):
            continue
        here, there = room_of(module), room_of(target)
        assert there in FLOORS, f"{module}:{line} imports {target}, which is no room"
        if here != there:
            assert FLOORS[there] < FLOORS[here], (
                f"{module}:{line} imports {target}: {here} is on floor {FLOORS[here]}, "
                f"and {there} on floor {FLOORS[there]}"
            )


def test_no_files_import_one_another_in_a_circle():
    def of_ours(module):
        return {target for target, _ in imports_of(module) if target in FILES} - {module}

    # A room's front page imports its files: what a file takes from its own room, it takes directly.
    graph = {module: of_ours(module) for module in ROOMED}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("a circle of imports: " + " → ".join(reversed(error.args[1])))


@pytest.mark.parametrize("room", ["engine", "outside"])
def test_the_lowest_rooms_import_the_standard_library_only(room):
    allowed = sys.stdlib_module_names | ({"filelock"} if room == "outside" else set())
    for module in ROOMED:
        if room_of(module) == room:
            for target, line in imports_of(module):
                top = target.partition(".")[0]
                assert top in allowed or target.startswith(f"autolm.{room}"), (
                    f"{module}:{line} imports {target}"
                )


FACES = ("drawing", "debugger", "pages", "cli")
# Python's own, and IPython's
PUBLIC = {"_asdict", "_exit", "_fields", "_getframe", "_make", "_replace", "_repr_mimebundle_"}


@pytest.mark.parametrize("module", [m for m in ROOMED if room_of(m) in FACES])
def test_faces_use_what_is_public_alone(module):
    """What begins with an underscore belongs to the object, the class or the file that has it."""
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            private = [alias.name for alias in node.names if alias.name.startswith("_")]
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls"):
            private = [node.attr] if node.attr.startswith("_") and node.attr[:2] != "__" else []
        else:
            continue
        assert not set(private) - PUBLIC, f"{module}:{node.lineno} uses {private[0]}"


def test_only_commands_and_what_is_listed_import_packages_inside_functions():
    found = {
        module.removeprefix("autolm."): {
            target.removeprefix("autolm.")
            for target, _, inside in all_imports_of(module)
            if inside and target.startswith("autolm")
        }
        for module in ROOMED
        if room_of(module) != "cli"  # whose --help must not wait for NumPy
    }
    assert {module: targets for module, targets in found.items() if targets} == UPWARD


@pytest.mark.parametrize("module", FILES)
def test_all_of_a_file_is_formatted(module):
    assert "# fmt:" not in FILES[module].read_text(encoding="utf-8")
