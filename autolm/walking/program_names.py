"""Name nodes after the variables or the source text of the program.

A node without a name of its own is named after the variable that holds it, or the path to it
through lists, dictionaries and attributes (`w[0]`, `p['a']`, `n.w[1]`). A result that no variable
holds is named by its source text, `x1*w[0]`, if the lines of the program were recorded.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import CO_OPTIMIZED
from itertools import islice
from os.path import dirname, join
from types import FrameType, MappingProxyType, MemberDescriptorType, ModuleType
from typing import Any
from weakref import ref

import numpy as np

from autolm.engine.backprop import Contribution, Step
from autolm.engine.graph import ForwardStep, Node, stepped_root, topological_order
from autolm.engine.location import is_machinery
from autolm.tensor.nodes import known_node
from autolm.walking.source import MAX_SOURCE, source_texts

MAX_OBJECTS = 300_000  # how many objects of a program are searched
MAX_SOURCE_NODES = 150_000
_HOME = join(dirname(dirname(__file__)), "")
_ATOMS = {str, bytes, int, float, bool, type(None)}
_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
_STEPS = (
    Step,
    Contribution,
    ForwardStep,
)  # for display only; a program does not keep nodes in them

NodeNames = Mapping[Node, str]
_names: ContextVar[NodeNames] = ContextVar("autolm_names", default=MappingProxyType({}))
# The names when a step was last printed: root, variables, and names by the id of a node.
_printed: ContextVar[tuple[Any, Collection[str], dict[int, str]]] = ContextVar(
    "autolm_printed", default=(lambda: None, (), {})
)
_variables: ContextVar[Mapping[str, Any] | None] = ContextVar("autolm_variables", default=None)


class SourceText(str):
    """A name that is the source text of its node, and so shows how it was computed."""

    __slots__ = ()


def names_of(root: Node, variables: Mapping[str, Any]) -> dict[Node, str]:
    """Return the names of the nodes under a root, for a program with these variables.

    >>> from autolm import Value
    >>> w = [Value(1), Value(2)]
    >>> names_of(w[0] * w[1], {"w": w, "p": {"a": w[1]}}).values()
    dict_values(['w[0]', 'w[1]'])
    """
    return names_of_nodes(dict.fromkeys(topological_order(root)[::-1]), variables)


def names_of_nodes(nodes: dict[Node, Any], variables: Mapping[str, Any]) -> dict[Node, str]:
    """Return the names of these nodes, each result listed before its operands.

    Graphs of more than `MAX_SOURCE_NODES` get no names from source text; that would take minutes.
    """
    names = _shortest_paths(variables, nodes)
    if len(nodes) > MAX_SOURCE_NODES or not any(node.location for node in nodes):
        return names
    texts = source_texts(nodes, variables)
    names |= {n: SourceText(t) for n, t in texts.items() if n not in names and not n.name}
    return names


def _shortest_paths(variables: Mapping[str, Any], nodes: Collection[Node]) -> dict[Node, str]:
    """Return the shortest path from a variable to each of these nodes that a program holds."""
    paths: dict[Node, str] = {}
    visited: set[int] = set()  # ids of containers and objects; the program keeps them alive
    waiting = deque((name, value) for name, value in variables.items() if name[:1] != "_")
    examined = 0
    while waiting and examined < MAX_OBJECTS and len(paths) < len(nodes):
        path, value = waiting.popleft()
        # isinstance would evaluate a proxy object
        node = value if issubclass(type(value), Node) else known_node(value)
        if node is not None:
            if node in nodes:
                paths.setdefault(node, path)
        elif id(value) not in visited:
            visited.add(id(value))
            for form, key, inner in islice(_children(value), MAX_OBJECTS - examined):
                examined += 1
                if type(inner) not in _ATOMS:
                    inner_path = path + form.format(key)
                    if len(inner_path) <= MAX_SOURCE:
                        waiting.append((inner_path, inner))
    return paths


def _children(value: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the items of a container or an object, each with its path format and key."""
    if isinstance(value, dict):
        yield from (("[{!r}]", key, item) for key, item in list(value.items()) if _is_plain(key))
    elif isinstance(value, _STEPS):
        return
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        yield from ((".{}", name, getattr(value, name)) for name in value._fields)
    elif isinstance(value, list | tuple | deque):
        yield from (("[{}]", i, item) for i, item in enumerate(value))
    elif isinstance(value, np.ndarray) and value.dtype == object:
        yield from (("[{}]", ", ".join(map(str, i)), item) for i, item in np.ndenumerate(value))
    elif _is_of_a_program(value):
        yield from ((".{}", name, item) for name, item in _attributes(value) if name[:1] != "_")


def _is_plain(key: Any) -> bool:
    """Whether the repr of a dictionary key is valid source text."""
    if type(key) is tuple:
        return all(map(_is_plain, key))
    return type(key) in (str, int, bool)


def _is_of_a_program(value: Any) -> bool:
    """Whether the class of an object is defined by a program or a library of models."""
    if issubclass(type(value), type | ModuleType):
        return False
    library, _, rest = str(type(value).__module__).partition(".")
    if library == "autolm":
        return rest.startswith(("nn.", "lm."))
    return library == "__main__" or library not in sys.stdlib_module_names


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the stored attributes of an object; properties are not computed."""
    kind = type(value)
    try:
        attributes = list(vars(value).items())
    except Exception:  # it has no __dict__, or access to it fails
        attributes = []
    for name, value_of_name in attributes:
        if isinstance(name, str) and name.isidentifier() and not hasattr(kind, name):
            yield name, value_of_name
    for name, descriptor in [item for base in kind.__mro__ for item in vars(base).items()]:
        if isinstance(descriptor, MemberDescriptorType):
            try:
                yield name, descriptor.__get__(value)
            except AttributeError:
                continue


@contextmanager
def use_variables(variables: Mapping[str, Any]) -> Iterator[None]:
    """Use these as the variables of the program in a `with` block of the tool that ran it."""
    token = _variables.set(variables)
    try:
        yield
    finally:
        _variables.reset(token)


@contextmanager
def use_names(names: NodeNames) -> Iterator[None]:
    """Use these names for nodes, for a `with` block."""
    token = _names.set(names)
    try:
        yield
    finally:
        _names.reset(token)


def name_of(node: Node, root: Node | None = None) -> str:
    """Return the name of one node, for a message about the graph of `root`."""
    variables = variables_of_caller()
    whole = _root_over(node, variables) if root is None else root  # a Tensor has no truth value
    name = program_name(node) or names_of(whole, variables).get(node, "")
    # A call may make several nodes; only the whole graph shows which of them is its result.
    is_part = root is None and whole is node
    return "" if is_part and isinstance(name, SourceText) and name.endswith(")") else name


def names_when_stepping(*nodes: Node) -> NodeNames:
    """Return the names of the nodes of one step, for a program that prints steps.

    A program may print every step, so the names are cached per graph and computed again when the
    program has a new variable.
    """
    if _names.get():
        return _names.get()
    variables, stepped = variables_of_caller(), stepped_root.get()()
    known_root, known_variables, names = _printed.get()
    is_known = known_root() is not None and known_root() is stepped and id(nodes[0]) in names
    if not is_known or known_variables != variables.keys():
        root = _root_over(nodes[0], variables)
        called = names_of(root, variables)
        names = {id(node): called.get(node, "") for node in topological_order(root)}
        _printed.set((ref(root), frozenset(variables), names))
    return {node: names[id(node)] for node in nodes if names[id(node)]}


def _root_over(node: Node, variables: Mapping[str, Any]) -> Node:
    """Return the root of the graph that contains a node; the node itself if none is known.

    The candidates are the root of the current stepping and the nodes in variables, newest first.
    """
    candidates = [value for value in variables.values() if issubclass(type(value), Node)]
    visited = set[Node]()
    for root in [stepped_root.get()(), *sorted(candidates, key=_creation_order, reverse=True)]:
        stack = [] if root is None else [root]
        while stack:
            current = stack.pop()
            if current is node:
                return root
            if current not in visited:
                visited.add(current)
                stack += current.parents
    return node


def _creation_order(node: Node) -> int:
    return abs(node.order)


def program_name(node: Node) -> str:
    """Return the current program's name for a node; empty if it has none."""
    return _names.get().get(node, "")


def variables_of_caller() -> Mapping[str, Any]:
    """Return the variables that are visible where the program called autolm, innermost first."""
    tool_variables = _variables.get()
    if tool_variables is not None:
        return tool_variables
    frame = _calling_frame()
    variables = local_variables(frame)
    while frame.f_code.co_name in _COMPREHENSIONS and frame.f_back:
        frame = frame.f_back  # the enclosing function
        variables = local_variables(frame) | variables
    variables = {**variables, **frame.f_globals, **variables}
    return {name: value for name, value in variables.items() if name.isidentifier()}


def variable_of_caller(name: str) -> Any:
    """Return what one variable holds where the program called autolm; None if there is none."""
    frame = _calling_frame()
    local = local_variables(frame)
    return local[name] if name in local else frame.f_globals.get(name)


def _calling_frame() -> FrameType:
    frame = sys._getframe(2)
    while _is_autolm_or_machinery(frame.f_code.co_filename) and frame.f_back:
        frame = frame.f_back
    return frame


def _is_autolm_or_machinery(path: str) -> bool:
    return path.startswith(_HOME) or is_machinery(path)


def local_variables(frame: FrameType) -> dict[str, Any]:
    """Return the variables of a call without keeping them alive in its frame."""
    local = frame.f_locals
    variables = {**local}
    if frame.f_code.co_flags & CO_OPTIMIZED and type(local) is dict:
        local.clear()  # a function's f_locals is a copy, which would keep nodes alive
    return variables
