"""Paths of the program's modules and parameters, such as `blocks.1.attn`, for scopes and names.

Paths inside the first model that runs are relative to it. Paths inside any other model, or a single
module, begin with its variable in the program: `critic.layers.0`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch

from autolm.engine.location import calling_location, is_machinery
from autolm.engine.recording import NO_NOTE, Recording, current_recording, recorder, recording_here
from autolm.torch.gradient_cuts import find_cut, note_no_grad
from autolm.torch.node_lookup import latest_node
from autolm.torch.notices import report_unrecorded
from autolm.torch.recording_pause import is_recording_paused
from autolm.torch.torch_node import TorchNode
from autolm.walking.program_names import local_variables

_paths: WeakKeyDictionary[torch.nn.Module, str] = WeakKeyDictionary()
_roots: WeakSet[torch.nn.Module] = WeakSet()


class _ScopeStack(threading.local):
    """For each module that runs in this thread, the recording state of its caller."""

    def __init__(self) -> None:
        self.saved: list[Recording | None] = []


_scopes = _ScopeStack()


def path_of(module: torch.nn.Module) -> str:
    """Return the path of a module; register its model if it is new.

    Only a part of a model may run, as with `model.encode(x)`: the model is then found among the
    program's variables.
    """
    path = _paths.get(module)
    if path is None:
        root = _outermost_model(module) or module
        prefix = _prefix(root)
        _roots.add(root)
        for name, inner in root.named_modules():
            _paths.setdefault(inner, ".".join(filter(None, (prefix, name))))
        path = _paths[module]
    return path


def _outermost_model(module: torch.nn.Module) -> torch.nn.Module | None:
    """Return the outermost variable of the program that is a model containing this module."""
    owner = None
    for frame in _program_frames():
        for value in local_variables(frame).values():
            if isinstance(value, torch.nn.Module) and any(m is module for m in value.modules()):
                owner = value
    return owner


def _program_frames() -> Iterator[FrameType]:
    """Yield the frames of the program's own code, innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame:
        if not is_machinery(frame.f_code.co_filename):
            yield frame
        frame = frame.f_back


def _prefix(module: torch.nn.Module) -> str:
    is_model = any(True for _ in module.children()) and any(True for _ in module.parameters())
    used_paths = {_paths[root] for root in _roots}
    if is_model and "" not in used_paths:
        return ""
    name = _variable_name(module) or type(module).__name__
    numbered = (f"{name}{n}" for n in range(2, len(used_paths) + 3))
    return name if name not in used_paths else next(n for n in numbered if n not in used_paths)


def _variable_name(module: torch.nn.Module) -> str:
    """Return the name of the outermost variable, or attribute of one, that is the module."""
    result = ""
    for frame in _program_frames():
        variables = local_variables(frame)
        namespaces = [variables, *(vars(v) for v in variables.values() if _has_attributes(v))]
        names = (n for namespace in namespaces for n, v in namespace.items() if v is module)
        result = next((n for n in names if n.isidentifier() and n != "self"), result)
    return result


def _has_attributes(value: Any) -> bool:
    return hasattr(value, "__dict__") and not isinstance(value, type | ModuleType | torch.Tensor)


def enter_module(module: torch.nn.Module, _: Any) -> None:
    """Enter the scope of a module: a forward pre-hook for all modules."""
    try:
        inner = _scope_of(module)
    except Exception as error:
        report_unrecorded(type(module).__name__, error)
        inner = recording_here()
    _scopes.saved.append(current_recording())
    recorder.set(inner)


def _scope_of(module: torch.nn.Module) -> Recording:
    path, now = path_of(module), recording_here()
    if not torch.is_grad_enabled() and not is_recording_paused():
        note_no_grad(module)
    locations, entered = now.locations, now.entered
    if locations is not None:
        location = calling_location(locations, entered)
        if path:
            entered = locations.entering(entered, path, location)
        # PyTorch's function that calls this hook then calls the module, so its caller is waiting.
        waiting = sys._getframe(2).f_back
        if waiting is not None:
            locations = locations.within(waiting, calling_location(locations, entered, waiting))
    return Recording(now.enabled, path or now.scope, locations, entered)


def leave_module(*_: Any) -> None:
    """Return to the scope of the caller: a forward hook for all modules."""
    if _scopes.saved:
        recorder.set(_scopes.saved.pop())


def reset_scopes() -> None:
    """Return to the outermost scope: the recording ends while a module runs."""
    if _scopes.saved:
        recorder.set(_scopes.saved[0])
        _scopes.saved.clear()


def why_absent(name: str) -> str:
    """Explain why a parameter of a model is not in a graph; empty if it is not a parameter."""
    for root in list(_roots):
        for module_name, module in root.named_modules():
            for short_name, parameter in module.named_parameters(recurse=False):
                path = ".".join(filter(None, (_paths[root], module_name, short_name)))
                if path == name and not parameter.requires_grad:
                    return f"{name}: requires_grad is False, so it has no gradient"
                if path == name:
                    cut = find_cut(parameter, module)
                    if cut:
                        return f"{name}: no gradient reaches it; it was cut off by {cut}"
                    return f"{name}: no gradient reaches it in this pass"
    return ""


def name_leaves(order: Iterable[TorchNode]) -> None:
    """Name parameters and buffers by their paths in their modules."""
    unnamed = {node for node in order if not node.parents and not node.name}
    if not unnamed:
        return
    for root in list(_roots):
        for name, tensor in (*root.named_parameters(), *root.named_buffers()):
            node = latest_node(tensor)
            if node in unnamed:
                path = ".".join(filter(None, (_paths[root], name)))
                node.note = NO_NOTE._replace(name=path, scope=path.rpartition(".")[0])
                unnamed.discard(node)
