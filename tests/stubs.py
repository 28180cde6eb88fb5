"""Write the `__init__.pyi` of packages whose names are imported on first use.

Run it after a public name or an operation was added: ``python -m tests.stubs``.
"""

from importlib import import_module
from pathlib import Path

from autolm import ops
from autolm.ops.arithmetic import ON_EACH_ELEMENT
from autolm.outside.lazy import expand

PACKAGES = ("autolm", "autolm.lm", "autolm.nn", "autolm.torch", "autolm.ops")
PUBLIC_IN_OPS = {
    "ModuleType": "types",
    "ArrayOperation": "autolm.ops.array_operation",
    "Case": "autolm.ops.array_operation",
    "Composed": "autolm.ops.composed",
    "composed": "autolm.ops.composed",
    "Primitive": "autolm.ops.primitive",
    "primitive": "autolm.ops.primitive",
    "OneOf": "autolm.ops.call_patterns",
    "Pattern": "autolm.ops.call_patterns",
}
RECORDS_IN_OPS = """
FAMILIES: tuple[ModuleType, ...]
PRIMITIVES: tuple[Primitive, ...]
COMPOSED: tuple[Composed, ...]
OPERATIONS: tuple[ArrayOperation, ...]
"""


def path_of(package: str) -> Path:
    """Return where the stub of a package is."""
    return Path(import_module(package).__file__ or "").with_suffix(".pyi")


def stub(package: str) -> str:
    """Write each name as an import from the module that defines it."""
    module = import_module(package)
    records = "\n__version__: str\n" if package == "autolm" else ""
    if package == "autolm.ops":
        records = RECORDS_IN_OPS + "".join(f"{op.name}: Primitive\n" for op in ON_EACH_ELEMENT)
        written = [op for op in ops.OPERATIONS if op not in ON_EACH_ELEMENT]
        home_of = PUBLIC_IN_OPS | {op.name: op.forward.__module__ for op in written}
    else:
        home_of = expand(module._HOMES)
        home_of |= dict.fromkeys(getattr(module, "_SUBPACKAGES", ()), package)
    places = sorted((home, name) for name, home in home_of.items())
    imports = "".join(f"from {home} import {name} as {name}\n" for home, name in places)
    exported = "".join(f'    "{name}",\n' for name in sorted(module.__all__))
    return f"{imports}{records}\n__all__ = [\n{exported}]\n"


if __name__ == "__main__":
    for each in PACKAGES:
        path_of(each).write_text(stub(each), "utf-8")
