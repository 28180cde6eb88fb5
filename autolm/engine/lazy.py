"""Names of a room that are imported when they are first asked for; `__init__` files use it.

To import a room then costs nothing, and each name no more than the file that it comes from: so
`from autolm import Value` loads no NumPy. A type checker does not run this; for it, the `__init__`
file imports the same names in a branch that only type checkers read.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any


def lazily(
    room: dict[str, Any], homes: Mapping[str, str], rooms: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return the `__getattr__`, the `__dir__` and the `__all__` of a room.

    Parameters
    ----------
    room
        Its `globals()`: a name that was found is kept there.
    homes
        Modules, by their whole names, and which names each gives, with spaces between; a star does
        not import one that would hide a builtin.
    rooms
        Rooms in it, which are names of it too; but a star does not import them.
    """
    home_of = {name: home for home, names in homes.items() for name in names.split()}
    inner = frozenset(rooms)

    def find(name: str) -> Any:
        if name in home_of:
            found = getattr(import_module(home_of[name]), name)
        elif name in inner:
            found = import_module(f"{room['__name__']}.{name}")
        else:
            raise AttributeError(f"module {room['__name__']!r} has no attribute {name!r}")
        room[name] = found
        return found

    def names() -> list[str]:
        return sorted({*room, *home_of, *inner})

    return find, names, [name for name in home_of if not hasattr(builtins, name)]
