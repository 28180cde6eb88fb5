"""The outline of a graph: its scopes as a tree of groups, which a picture can expand or collapse.

The direct operations of a scope are grouped in stages, before, between and after its inner scopes,
so that collapsed stages form no cycles. Similar numbered scopes, such as the blocks
of a transformer, form two groups: the first scope, and the others together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

from autolm.drawing.atoms import Atom
from autolm.outside.message import message

MIN_SIMILAR = 3  # similar numbered scopes that are grouped
MAX_TITLE = 3  # operations in the title of a stage
Path = tuple[str, ...]


@dataclass(eq=False)
class Group:
    """A part of a graph: a scope, a stage of a scope, several similar scopes, or one atom."""

    kind: Literal["scope", "stage", "alike", "atom"]
    path: Path  # of the scope itself, or of the one around it
    key: str  # unique in the outline
    title: str
    members: list[int]  # indices of its operation atoms
    children: list[Group] = field(default_factory=list)
    note: str = ""

    def walk(self) -> Iterator[Group]:
        """Yield this group and every group in it, outermost first."""
        stack = [self]
        while stack:
            group = stack.pop()
            yield group
            stack += reversed(group.children)


@lru_cache(maxsize=100_000)
def scope_parts(scope: str) -> Path:
    """Split a scope into its parts; a number belongs to the name before it.

    >>> scope_parts("blocks.0.attention")
    ('blocks.0', 'attention')
    """
    parts: list[str] = []
    for part in filter(None, scope.split(".")):
        if part.isdecimal() and parts:
            parts[-1] += f".{part}"
        else:
            parts.append(part)
    return tuple(parts)


def outline(atoms: Sequence[Atom], expand: Sequence[str] = ()) -> Group:
    """Return the tree of groups; scopes that match a pattern of `expand` are not grouped.

    Raises
    ------
    ValueError
        For a pattern that no scope matches.
    """
    operations = [i for i, atom in enumerate(atoms) if not atom.is_leaf]
    paths = {scope_parts(atoms[i].scope) for i in operations}
    paths |= {path[:n] for path in paths for n in range(len(path))}
    for pattern in expand:
        if not any(is_inside(path, [pattern]) for path in paths):
            names = sorted({".".join(path) for path in paths if path})
            known = ", ".join(get_close_matches(pattern, names, n=3) or names[:12])
            raise ValueError(
                message(
                    "expand: no scope {pattern!r} here; there are: {known}",
                    pattern=pattern,
                    known=known or "none",
                )
            )
    return _Outliner(atoms, expand).scope((), operations)


def leads_to(path: Path, patterns: Iterable[str]) -> bool:
    """Whether a pattern such as `blocks.*.attention` can match a scope or one inside it."""
    names = _names(path)
    return any(_match(names, pattern.split(".")[: len(names)]) for pattern in patterns)


def is_inside(path: Path, patterns: Iterable[str]) -> bool:
    """Whether a pattern matches a scope or one around it."""
    names = _names(path)
    return any(_match(names[: p.count(".") + 1], p.split(".")) for p in patterns)


def _names(path: Path) -> list[str]:
    return ".".join(path).split(".") if path else []


def _match(names: Sequence[str], patterns: Sequence[str]) -> bool:
    return len(names) == len(patterns) and all(map(fnmatchcase, names, patterns))


class _Outliner:
    def __init__(self, atoms: Sequence[Atom], expand: Sequence[str]) -> None:
        self.atoms, self.expand = atoms, expand
        self.paths = [scope_parts(atom.scope) for atom in atoms]

    def scope(self, path: Path, members: list[int]) -> Group:
        """Return the group of a scope, with its inner groups."""
        inside: dict[str, list[int]] = {}
        direct: list[int] = []
        for i in members:
            deeper = self.paths[i][len(path) :]
            (inside.setdefault(deeper[0], []) if deeper else direct).append(i)
        scopes = [self.scope((*path, name), inside[name]) for name in inside]
        key = ".".join(path)
        group = Group("scope", path, key, path[-1] if path else "", members)
        if not scopes:
            group.children = [self.atom(i) for i in direct]
        else:
            parts = self.stages(direct, members)
            stages = [self.stage(path, i, part) for i, part in enumerate(parts)]
            children = [*self.group_similar(scopes), *stages]
            group.children = sorted(children, key=lambda child: child.members[0])
        return group

    def atom(self, i: int) -> Group:
        return Group("atom", self.paths[i], f"#{i}", self.atoms[i].op.name, [i])

    def stage(self, path: Path, number: int, members: list[int]) -> Group:
        if len(members) == 1:
            return self.atom(members[0])
        children = [self.atom(i) for i in members]
        names = list(dict.fromkeys(self.atoms[i].op.name for i in members))
        title = ", ".join(names[:MAX_TITLE]) + (" …" if len(names) > MAX_TITLE else "")
        return Group("stage", path, f"{'.'.join(path)}/{number}", title, members, children)

    def stages(self, direct: list[int], members: list[int]) -> list[list[int]]:
        """Split the direct operations of a scope by how many inner scopes precede them."""
        is_direct, level = set(direct), dict[int, int]()
        for i in members:
            level[i] = max(
                (
                    level[operand] + (i in is_direct and operand not in is_direct)
                    for operand in self.atoms[i].operands
                    if operand in level
                ),
                default=0,
            )
        parts: dict[int, list[int]] = {}
        for i in direct:
            parts.setdefault(level[i], []).append(i)
        return list(parts.values())

    def group_similar(self, scopes: list[Group]) -> list[Group]:
        """Group similar scopes with consecutive numbers, except the first of them."""
        runs: list[list[Group]] = []
        for group in scopes:
            if runs and self.follows(runs[-1][-1], group):
                runs[-1].append(group)
            else:
                runs.append([group])
        result: list[Group] = []
        for run in runs:
            result.append(run[0])
            if len(run) < MIN_SIMILAR:
                result += run[1:]
            else:
                result.append(_similar(run[1:]))
        return result

    def follows(self, group: Group, other: Group) -> bool:
        """Whether two scopes have consecutive numbers and the same operations inside."""
        name, _, i = group.title.rpartition(".")
        other_name, _, j = other.title.rpartition(".")
        return (
            bool(name)
            and name == other_name
            and i.isdecimal()
            and j.isdecimal()
            and int(j) == int(i) + 1
            and not leads_to(group.path, self.expand)
            and not leads_to(other.path, self.expand)
            and self.signature(group) == self.signature(other)
        )

    def signature(self, group: Group) -> Counter[tuple[Path, str]]:
        depth, signature = len(group.path), Counter[tuple[Path, str]]()
        for i in group.members:
            signature[self.paths[i][depth:], self.atoms[i].op.name] += len(self.atoms[i].nodes)
        return signature


def _similar(scopes: list[Group]) -> Group:
    first, last = scopes[0], scopes[-1]
    name = first.title.rpartition(".")[0]
    numbers = [group.title.rpartition(".")[2] for group in (first, last)]
    members = sorted(i for group in scopes for i in group.members)
    key = f"{first.key}–{numbers[1]}"
    title = f"{name}.{numbers[0]} – {numbers[1]}"
    note = f"×{len(scopes)} alike"
    return Group("alike", first.path[:-1], key, title, members, scopes, note)
