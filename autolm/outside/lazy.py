"""Names of a package that are imported on first use.

`from autolm import Value` then loads no NumPy. Type checkers and editors read the same names in the
package's `__init__.pyi`, which `python -m tests.stubs` writes from the table given here.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

ALL = "*"


def lazily(
    package: dict[str, Any], homes: Mapping[str, str], subpackages: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package; the first also makes `__all__`.

    Parameters
    ----------
    package
        Its `globals()`, where a name is stored once it is imported.
    homes
        For each module the names that it gives, separated by spaces; `ALL` for every name in the
        module's `__all__` that would not hide a builtin.
    subpackages
        Subpackages that are attributes too. `import *` does not import them.
    """

    def find(name: str) -> Any:
        if name == "__all__":
            value: Any = [name for name in expand(homes) if not hasattr(builtins, name)]
        elif name in subpackages:
            value = import_module(f"{package['__name__']}.{name}")
        elif not name.startswith("_") and (home := _home_of(name, homes)):
            value = getattr(import_module(home), name)
        else:
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        package[name] = value
        return value

    return find, lambda: sorted({*package, *expand(homes), *subpackages})


def expand(homes: Mapping[str, str]) -> dict[str, str]:
    """Return the module of each name of a table such as `lazily` takes."""
    return {name: home for home, names in homes.items() for name in _names(home, names)}


def _names(home: str, names: str) -> list[str]:
    if names != ALL:
        return names.split()
    return [name for name in import_module(home).__all__ if not hasattr(builtins, name)]


def _home_of(name: str, homes: Mapping[str, str]) -> str | None:
    """Find the module of one name; modules with all of their names come last."""
    written = (home for home, names in homes.items() if name in names.split())
    return next(written, None) or expand(homes).get(name)
