"""Bundle the ES modules of the player into one script, since a single page cannot import files.

The bundle contains each module after the modules that it imports, in one scope, without ``import``
lines and the word ``export``.
"""

from __future__ import annotations

import re
from importlib.resources import files

IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w.]+)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=const|let|function)", re.MULTILINE)


def module_source(name: str) -> str:
    """Return the source of a module, such as ``player.js``."""
    return (files("autolm.pages") / "assets" / name).read_text(encoding="utf-8")


def bundle(entry: str) -> str:
    """Return a strict script with a module and all its imports."""
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
