"""`record()`: record the functions that a PyTorch program calls.

A `TorchFunctionMode` sees each function that the program calls: `F.linear`, and not the functions
inside it. For each result it records what autograd does not: the function, its operands, the module
and the location. The computation does not change. `patches.py` covers the calls that bypass modes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from os.path import dirname, join
from types import FunctionType
from typing import Any, NamedTuple

import torch
from torch._C import _len_torch_function_stack
from torch.nn.modules import module as torch_modules
from torch.overrides import (
    TorchFunctionMode,
    _get_current_function_mode_stack,
    _pop_mode,
    _push_mode,
)

from autolm.engine.location import add_machinery
from autolm.engine.recording import Note, note_here, record_locations
from autolm.torch.gradient_cuts import CUTS, note_cut, reset_cuts
from autolm.torch.module_paths import enter_module, leave_module, reset_scopes
from autolm.torch.node_lookup import (
    DeferredCall,
    add_nodes,
    find_node,
    node_of,
    note_call,
    tensors_in,
)
from autolm.torch.notices import is_unrecordable, report_unrecorded, reset_notices
from autolm.torch.operation import function_name, may_write, written_arguments
from autolm.torch.patches import patched_torch
from autolm.torch.recording_pause import begin_pause, end_pause, is_recording_paused
from autolm.torch.snapshot import Write, begin_write
from autolm.torch.torch_call import is_random
from autolm.torch.torch_node import TorchNode

# Python functions whose inner calls are recorded instead of the function.
RECORDED_INSIDE = {torch.nn.functional.multi_head_attention_forward}
# Functions that are called without being recorded.
NOT_RECORDED = {"backward", "retain_grad"}


class RecordingMode(TorchFunctionMode):
    """Create a node for each result that requires a gradient."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if is_recording_paused() or not torch.is_grad_enabled() or is_unrecordable():
            return function(*args, **kwargs)
        name = getattr(function, "__name__", "")
        if name in NOT_RECORDED:
            return function(*args, **kwargs)
        if name == "__get__":  # the getter of an attribute, which rarely computes a tensor
            value = function(*args)
            if function in CUTS:
                _note_detach(function, args[0])
            return call_and_record(function, args, kwargs) if _is_result(value) else value
        if function in RECORDED_INSIDE:
            with self:
                return _without_dispatch(function)(*args, **kwargs)
        return call_and_record(function, args, kwargs)


def _note_detach(function: Any, tensor: torch.Tensor) -> None:
    """Note a value that leaves the graph, often as another tensor with the same memory."""
    node = find_node(tensor)
    if node is not None:
        node.watch()
    note_cut(CUTS[function], tensor)


def _is_result(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.grad_fn is not None


def call_and_record(function: Any, args: Any, kwargs: Any, run: Any = None) -> Any:
    """Call a function, and create nodes for its results.

    An error in the recorder is reported on standard error, and does not reach the program.

    Parameters
    ----------
    function, args, kwargs
        The call to record.
    run
        The callable to run, if it is not `function` itself.
    """
    run, call, targets = run or function, None, None
    token = begin_pause()
    try:
        try:
            if may_write(function) or "out" in kwargs:
                targets = _targets(function, args, kwargs)
            if not targets and is_random(function):  # note the random state before the call
                call = note_call(function, args, kwargs, run)
        except Exception as error:
            report_unrecorded(function_name(function), error)
        if targets:
            return _call_in_place(function, args, kwargs, run, targets)
        result = run(*args, **kwargs)
        try:
            results = [result] if type(result) is torch.Tensor else tensors_in(result)
            new = [t for t in results if t.grad_fn is not None and not find_node(t)]
            if new:
                call = call or note_call(function, args, kwargs, run)
                add_nodes(new, call, note_here(sys._getframe(2)))
            elif function is torch.Tensor.register_hook:
                node_of(args[0]).hooks = args[0]._backward_hooks
            elif function in CUTS:
                _note_detach(function, args[0])
        except Exception as error:
            report_unrecorded(function_name(function), error)
        return result
    finally:
        end_pause(token)


class _Target(NamedTuple):
    """A tensor that a call writes into, with the index if only a part of it is written."""

    tensor: torch.Tensor
    index: Any = None


def _targets(function: Any, args: Any, kwargs: Any) -> list[_Target]:
    """List the tensors that a call writes into."""
    targets = [_Target(tensor) for tensor in tensors_in(written_arguments(function, args, kwargs))]
    if targets and getattr(function, "__name__", "") == "__setitem__":
        return [targets[0]._replace(index=args[1])]
    return targets


def _call_in_place(
    function: Any, args: Any, kwargs: Any, run: Any, targets: Sequence[_Target]
) -> Any:
    """Call an in-place function, and create nodes for the tensors that it writes into."""
    call, bases, writes = None, list[TorchNode | None](), list[Write | None]()
    try:
        bases = [None if t.tensor._base is None else node_of(t.tensor._base) for t in targets]
        for node in (*bases, *(node_of(target.tensor) for target in targets)):
            if node is not None:
                node.watch()
        call = note_call(function, args, kwargs, run)
        writes = [begin_write(target.tensor, target.index) for target in targets]
    except Exception as error:
        report_unrecorded(function_name(function), error)
    try:
        result = run(*args, **kwargs)
    finally:
        for write in writes:
            if write is not None:
                write.end()
    if call is not None:
        try:
            note = note_here(sys._getframe(3))
            for (target, _), before in zip(targets, bases, strict=True):
                _record_write(target, before, call, note)
        except Exception as error:
            report_unrecorded(function_name(function), error)
    return result


def _record_write(
    target: torch.Tensor, before: TorchNode | None, call: DeferredCall, note: Note | None
) -> None:
    """Create a node for the tensor that was written into, or for its base if it is a view.

    PyTorch recreates the view from its base at the next use, and its node is created then.
    """
    base = target._base
    if base is not None and before is not None:
        if base.grad_fn is not None and not find_node(base):
            add_nodes([base], call, note, before)
    elif target.grad_fn is not None and not find_node(target):
        add_nodes([target], call, note)


@cache
def _without_dispatch(function: FunctionType) -> FunctionType:
    """Return a copy of a PyTorch function that does not dispatch to modes; its inner calls do."""
    checks = dict.fromkeys(
        (name for name in function.__globals__ if name.startswith("has_torch_function")), _false
    )
    names = {**function.__globals__, **checks}
    copy = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _false(*_: Any) -> bool:
    return False


_active: list[RecordingMode] = []


@contextmanager
def record() -> Iterator[None]:
    """Record the PyTorch functions that are called in this block, for `graph` and `node`.

    Each tensor computed in the block has a node with the function, its operands, its module and its
    location. Recording does not change results; its cost is small for large operations. Blocks may
    nest. Not recorded: the inside of `torch.func` transforms and of `torch.jit` traces. A compiled
    model runs uncompiled.

    Examples
    --------
    >>> import torch
    >>> import autolm.torch
    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with autolm.torch.record():
    ...     loss = (w * w).sum()
    >>> for step in autolm.torch.graph(loss).steps():
    ...     print(step.node.op.name, [sent.parent.name for sent in step.contributions])
    sum ['']
    mul ['', '']
    """
    if _active:  # PyTorch removes a mode while it runs that mode's own code
        is_there = any(mode is _active[0] for mode in _get_current_function_mode_stack())  # type: ignore[no-untyped-call]
        with nullcontext() if is_there else _active[0]:
            yield
        return
    reset_notices()
    reset_cuts()
    add_machinery(join(dirname(torch.__file__), ""))  # skipped in locations
    with ExitStack() as stack:
        recorder = RecordingMode()
        _active.append(recorder)
        stack.callback(_active.clear)
        stack.enter_context(record_locations())
        stack.enter_context(patched_torch(call_and_record))
        before = torch_modules.register_module_forward_pre_hook(enter_module)
        stack.callback(before.remove)
        after = torch_modules.register_module_forward_hook(leave_module, always_call=True)
        stack.callback(after.remove)
        _push_mode(recorder)  # type: ignore[no-untyped-call]
        stack.callback(_remove_mode, recorder)
        _closing.append(stack)
        stack.callback(_closing.clear)
        yield


def _remove_mode(recorder: RecordingMode) -> None:
    """Remove a recorder from the stack of modes in this thread, and keep the modes above it."""
    above = []
    while _len_torch_function_stack():
        mode = _pop_mode()  # type: ignore[no-untyped-call]
        if mode is recorder:
            break
        above.append(mode)
    for mode in reversed(above):
        _push_mode(mode)  # type: ignore[no-untyped-call]


_closing: list[ExitStack] = []


def stop_recording() -> None:
    """End the outermost recording now, inside its block."""
    if _closing:
        reset_scopes()
        _closing[0].close()


_until_exit: list[Any] = []


def record_until_exit() -> None:
    """Record until the program ends."""
    if not _active:
        _until_exit.append(record())
        _until_exit[-1].__enter__()
