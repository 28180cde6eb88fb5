"""The player's JavaScript: ES modules, bundled into one script that a page can hold.

A page that is one file cannot import others. The bundle holds each module after the modules that it
imports, in one scope; the ``import`` lines and the word ``export`` are left out.
"""

from __future__ import annotations

import re
from importlib.resources import files

IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w.]+)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=const|let|function)", re.MULTILINE)


def module_source(name: str) -> str:
    """Return the text of a module, ``player.js`` for example."""
    return (files("autolm.pages") / "assets" / name).read_text(encoding="utf-8")


def bundle(entry: str) -> str:
    """Return one strict script with a module and everything that it imports."""
    sources: dict[str, str] = {}

    def add(name: str, importing: frozenset[str]) -> None:
        if name in sources or name in importing:
            return
        source = module_source(name)
        for _, imported in IMPORT.findall(source):
            add(imported, importing | {name})
        sources[name] = EXPORT.sub("", IMPORT.sub("", source))

    add(entry, frozenset())
    return "\n".join(['"use strict";', *sources.values()])
