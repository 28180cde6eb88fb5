"""What a program's modules are called: `blocks.1.attn`, and their parameters in them.

The first model that runs gives its modules the names that they have in it. Of a further one, and of
a module that stands alone, the names begin with what the program calls it: `critic.layers.0`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch

from autolm.engine.recording import NO_NOTE, Recording, current_recording, recorder, recording_here
from autolm.engine.site import calling_site, is_machinery
from autolm.torch.asking import is_asked
from autolm.torch.cuts import cut_of, note_no_grad
from autolm.torch.memory import latest_node
from autolm.torch.notices import not_recorded
from autolm.torch.torch_node import TorchNode
from autolm.walking.program_names import local_variables

_paths: WeakKeyDictionary[torch.nn.Module, str] = WeakKeyDictionary()
_roots: WeakSet[torch.nn.Module] = WeakSet()


class _Entered(threading.local):
    """For each module that runs in this thread, what was recorded around it."""

    def __init__(self) -> None:
        self.around: list[Recording | None] = []


_entered = _Entered()


def path_of(module: torch.nn.Module) -> str:
    """Return the path of a module; one that is in no model seen before is a model of its own.

    A model that the program has in a variable may run only in parts, as by `model.encode(x)`.
    """
    path = _paths.get(module)
    if path is None:
        root = _owner(module) or module
        prefix = _prefix(root)
        _roots.add(root)
        for name, inner in root.named_modules():
            _paths.setdefault(inner, ".".join(filter(None, (prefix, name))))
        path = _paths[module]
    return path


def _owner(module: torch.nn.Module) -> torch.nn.Module | None:
    """Return the outermost variable of the program that is a model with this module in it."""
    owner = None
    for frame in _frames_of_the_program():
        for each in local_variables(frame).values():
            if isinstance(each, torch.nn.Module) and any(m is module for m in each.modules()):
                owner = each
    return owner


def _frames_of_the_program() -> Iterator[FrameType]:
    """Yield the frames of the program's own code, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame:
        if not is_machinery(frame.f_code.co_filename):
            yield frame
        frame = frame.f_back


def _prefix(module: torch.nn.Module) -> str:
    is_model = any(True for _ in module.children()) and any(True for _ in module.parameters())
    taken = {_paths[root] for root in _roots}
    if is_model and "" not in taken:
        return ""
    name = _called(module) or type(module).__name__
    numbers = (f"{name}{n}" for n in range(2, len(taken) + 3))
    return name if name not in taken else next(each for each in numbers if each not in taken)


def _called(module: torch.nn.Module) -> str:
    """Return what a program calls a module: its outermost variable, or attribute of one."""
    found = ""
    for frame in _frames_of_the_program():
        variables = local_variables(frame)
        owners = [variables, *(vars(each) for each in variables.values() if _has_parts(each))]
        names = (n for held in owners for n, each in held.items() if each is module)
        found = next((n for n in names if n.isidentifier() and n != "self"), found)
    return found


def _has_parts(value: Any) -> bool:
    return hasattr(value, "__dict__") and not isinstance(value, type | ModuleType | torch.Tensor)


def enter(module: torch.nn.Module, _: Any) -> None:
    """Let what is recorded from now on be in the scope of a module."""
    try:
        inner = _scope_of(module)
    except Exception as error:
        not_recorded(type(module).__name__, error)
        inner = recording_here()
    _entered.around.append(current_recording())
    recorder.set(inner)


def _scope_of(module: torch.nn.Module) -> Recording:
    path, now = path_of(module), recording_here()
    if not torch.is_grad_enabled() and not is_asked():
        note_no_grad(module)
    known, entered = now.known, now.entered
    if known is not None:
        site = calling_site(known, entered)
        if path:
            entered = known.entering(entered, path, site)
        # PyTorch's function that calls this hook goes on to call the module; who called it waits.
        waiting = sys._getframe(2).f_back
        if waiting is not None:
            known = known.within(waiting, calling_site(known, entered, waiting))
    return Recording(now.enabled, path or now.scope, known, entered)


def leave(*_: Any) -> None:
    """Let it be in the scope around again."""
    if _entered.around:
        recorder.set(_entered.around.pop())


def forget_scopes() -> None:
    """Let no module that is running now be left: the recording ends inside of it."""
    if _entered.around:
        recorder.set(_entered.around[0])
        _entered.around.clear()


def why_absent(name: str) -> str:
    """Say why a parameter of a model has no node in a graph; empty for what is no parameter."""
    for root in list(_roots):
        for module_name, module in root.named_modules():
            for own_name, parameter in module.named_parameters(recurse=False):
                path = ".".join(filter(None, (_paths[root], module_name, own_name)))
                if path == name and not parameter.requires_grad:
                    return f"{name}: requires_grad is False, so it has no gradient"
                if path == name:
                    cut = cut_of(parameter, module)
                    if cut:
                        return f"{name}: no gradient reaches it; it was cut off by {cut}"
                    return f"{name}: no gradient reaches it in this pass"
    return ""


def name_leaves(order: Iterable[TorchNode]) -> None:
    """Call parameters and buffers as they are called in their modules."""
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
