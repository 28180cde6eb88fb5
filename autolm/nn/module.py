"""Module: the base class of the parts of a model, with paths of parameters and scopes of calls.

A module is an object whose attributes are parameters (Tensors), other modules, or lists of these.
Setting an attribute gives its whole subtree a path (`blocks.0.attention.W_Q`); the nodes that a
module creates when it is called are in its scope (`blocks.0.attention`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from autolm.engine.recording import scope
from autolm.nn.saved_arrays import fitting_arrays
from autolm.outside.message import message
from autolm.tensor.quiet import is_quiet, quiet
from autolm.tensor.tensor import Tensor

NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")  # of a part in a list of parts


class Module:
    """A part of a model; subclasses set attributes in `__init__` and define `forward`.

    Examples
    --------
    >>> class Double(Module):
    ...     def __init__(self):
    ...         self.factor = Tensor(2.0)
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> class Model(Module):
    ...     def __init__(self):
    ...         self.layers = [Double(), Double()]
    >>> [path for path, _ in Model().named_parameters()]
    ['layers.0.factor', 'layers.1.factor']
    """

    name = ""  # in the enclosing module
    path = ""  # from the outermost module

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        for child_name, child in _children(name, value):
            _place(child, child_name, self.path)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call `forward` in the scope of this module."""
        with scope(self.name):
            if is_quiet():  # as in every module within another
                return self.forward(*args, **kwargs)
            with quiet():
                return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the result; defined by subclasses."""
        raise NotImplementedError(message("{kind} defines no forward", kind=type(self).__name__))

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each parameter once, with its path from here, in the order of definition."""
        paths: dict[Tensor, str] = {}
        self._find_parameters("", paths)
        return ((path, parameter) for parameter, path in paths.items())

    def _find_parameters(self, prefix: str, paths: dict[Tensor, str]) -> None:
        for name, value in vars(self).items():
            for child_name, child in _children(name, value):
                path = prefix + child_name
                if isinstance(child, Module):
                    child._find_parameters(f"{path}.", paths)
                elif child.requires_grad:
                    paths.setdefault(child, path)

    def parameters(self) -> list[Tensor]:
        """List the parameters."""
        return [parameter for _, parameter in self.named_parameters()]

    def num_parameters(self) -> int:
        """Return the number of elements in all parameters."""
        return sum(parameter.size for parameter in self.parameters())

    def zero_grad(self) -> None:
        """Clear the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return a table of the parameters for a notebook; equal parts of a list share a row."""
        from autolm.drawing.table import table

        alike: dict[tuple[str, str], list[tuple[str, int]]] = {}
        for path, parameter in self.named_parameters():
            size = "×".join(map(str, parameter.shape)) or "one number"
            pattern = NUMBER.sub("#", path, count=1)
            alike.setdefault((pattern, size), []).append((path, parameter.size))
        rows = []
        for (_pattern, size), parts in alike.items():
            first, count = parts[0]
            name = first if len(parts) == 1 else f"{first} … {parts[-1][0]}"
            numbers = f"{count}" if len(parts) == 1 else f"{len(parts)} · {count}"
            rows.append((name, size, numbers))
        return table(repr(self), rows, repr(self))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the arrays of all parameters, by path."""
        return {path: parameter.data.copy() for path, parameter in self.named_parameters()}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Set all parameters from arrays by path, and keep the dtype of each parameter.

        Raises
        ------
        TypeError, ValueError
            If a parameter is missing, unknown, of another shape or not floating point; then no
            parameter is changed.
        """
        fitting = fitting_arrays("weights", state, self.state())
        for path, parameter in self.named_parameters():
            parameter.data = fitting[path]


def _children(name: str, value: Any) -> list[tuple[str, Any]]:
    """Return the modules and Tensors in an attribute, with their names."""
    if isinstance(value, (Module, Tensor)):
        return [(name, value)]
    if isinstance(value, (list, tuple)):
        return [(f"{name}.{i}", v) for i, v in enumerate(value) if isinstance(v, (Module, Tensor))]
    return []


def _place(child: Module | Tensor, name: str, parent_path: str) -> None:
    """Set the paths in a subtree."""
    path = f"{parent_path}.{name}" if parent_path else name
    if isinstance(child, Tensor):
        if not child.parents:
            child.name, child.scope = path, parent_path
        return
    child.__dict__.update(name=name, path=path)
    for attribute, value in vars(child).copy().items():
        for grandchild_name, grandchild in _children(attribute, value):
            _place(grandchild, grandchild_name, path)
