"""`record()`: remember what the user's functions did, so that PyTorch's graph can be read.

A `TorchFunctionMode` sees each function that a program calls, `F.linear` and not the five that it
is made of. Beside its result stands what autograd does not keep: the name of the function, its
operands, the module and the line. Nothing is computed another way; a few places of PyTorch that
call past the mode are led through it while a block lasts (`detours.py`).
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

from autolm.engine.recording import Note, note_here, record_sites
from autolm.engine.site import add_machinery
from autolm.torch.asking import begin_unseen, end_unseen, is_asked
from autolm.torch.call import draws
from autolm.torch.cuts import CUTS, forget_cuts, note_cut
from autolm.torch.detours import detours
from autolm.torch.memory import RecordedCall, add, known, node_of, recorded_call, tensors
from autolm.torch.modules import enter, forget_scopes, leave
from autolm.torch.notices import forget_notices, is_unwatchable, not_recorded
from autolm.torch.operation import called, may_write, writes_into
from autolm.torch.snapshot import Write, begin_write
from autolm.torch.torch_node import TorchNode

# Functions of Python that are opened: what one wants to see are the steps in them.
OPENED = {torch.nn.functional.multi_head_attention_forward}
# What has no result of its own, or runs the program's own code.
PASSED = {"backward", "retain_grad"}


class Recorder(TorchFunctionMode):
    """Makes a node of each result of a function that autograd follows."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if is_asked() or not torch.is_grad_enabled() or is_unwatchable():
            return function(*args, **kwargs)
        name = getattr(function, "__name__", "")
        if name in PASSED:
            return function(*args, **kwargs)
        if name == "__get__":  # of an attribute, of which few are tensors that were computed
            value = function(*args)
            if function in CUTS:
                _note_detached(function, args[0])
            return recorded(function, args, kwargs) if _is_made(value) else value
        if function in OPENED:
            with self:
                return _seen_through(function)(*args, **kwargs)
        return recorded(function, args, kwargs)


def _note_detached(function: Any, tensor: torch.Tensor) -> None:
    """Note a value that leaves the graph, often as another tensor of the same memory."""
    node = known(tensor)
    if node is not None:
        node.watch()
    note_cut(CUTS[function], tensor)


def _is_made(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.grad_fn is not None


def recorded(function: Any, args: Any, kwargs: Any, run: Any = None) -> Any:
    """Call a function, if need be by another way, and make nodes of what it returns.

    Whatever goes wrong in the record is said, and the program goes on without it.
    """
    run, call, targets = run or function, None, None
    token = begin_unseen()
    try:
        try:
            if may_write(function) or "out" in kwargs:
                targets = _targets(function, args, kwargs)
            if not targets and draws(function):  # with the random state of now
                call = recorded_call(function, args, kwargs, run)
        except Exception as error:
            not_recorded(called(function), error)
        if targets:
            return _written(function, args, kwargs, run, targets)
        result = run(*args, **kwargs)
        try:
            if type(result) is torch.Tensor:
                made = [result] if result.grad_fn is not None and not known(result) else ()
            else:
                made = [t for t in tensors(result) if t.grad_fn is not None and not known(t)]
            if made:
                call = call or recorded_call(function, args, kwargs, run)
                add(made, call, note_here(sys._getframe(2)))
            elif function is torch.Tensor.register_hook:
                node_of(args[0]).hooks = args[0]._backward_hooks
            elif function in CUTS:
                _note_detached(function, args[0])
        except Exception as error:
            not_recorded(called(function), error)
        return result
    finally:
        end_unseen(token)


class _Target(NamedTuple):
    """What a call writes into, with an index of the part if it is only a part."""

    tensor: torch.Tensor
    index: Any = None


def _targets(function: Any, args: Any, kwargs: Any) -> list[_Target]:
    """List the tensors that a call writes into."""
    targets = [_Target(each) for each in tensors(writes_into(function, args, kwargs))]
    if targets and getattr(function, "__name__", "") == "__setitem__":
        return [targets[0]._replace(index=args[1])]
    return targets


def _written(function: Any, args: Any, kwargs: Any, run: Any, targets: Sequence[_Target]) -> Any:
    """Call a function that writes into tensors, of which nodes are made; and of what they view."""
    call, bases, writes = None, list[TorchNode | None](), list[Write | None]()
    try:
        bases = [None if t.tensor._base is None else node_of(t.tensor._base) for t in targets]
        for node in (*bases, *(node_of(each.tensor) for each in targets)):
            if node is not None:
                node.watch()
        call = recorded_call(function, args, kwargs, run)
        writes = [begin_write(each.tensor, each.index) for each in targets]
    except Exception as error:
        not_recorded(called(function), error)
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
                _note_written(target, before, call, note)
        except Exception as error:
            not_recorded(called(function), error)
    return result


def _note_written(
    target: torch.Tensor, before: TorchNode | None, call: RecordedCall, note: Note | None
) -> None:
    """Make a node of what was written into, or of the tensor that it is a view of.

    PyTorch makes the view anew from that tensor, and so its node, where it is used next.
    """
    whole = target._base
    if whole is not None and before is not None:
        if whole.grad_fn is not None and not known(whole):
            add([whole], call, note, before)
    elif target.grad_fn is not None and not known(target):
        add([target], call, note)


@cache
def _seen_through(function: FunctionType) -> FunctionType:
    """Return a function of PyTorch that does not hand itself to the mode, but what it calls."""
    blind = dict.fromkeys(
        (each for each in function.__globals__ if each.startswith("has_torch_function")), _never
    )
    names = {**function.__globals__, **blind}
    twin = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


def _never(*_: Any) -> bool:
    return False


_open: list[Recorder] = []


@contextmanager
def record() -> Iterator[None]:
    """Remember what a program's functions did in this block, for `graph` and `node`.

    While it lasts, every tensor that is computed knows the function that made it, its operands, its
    module and its line. A debugger that waits for `backward()` finds it here too. Blocks may nest.

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
    if _open:  # but PyTorch takes a mode away while it asks it
        is_there = any(mode is _open[0] for mode in _get_current_function_mode_stack())  # type: ignore[no-untyped-call]
        with nullcontext() if is_there else _open[0]:
            yield
        return
    forget_notices()
    forget_cuts()
    add_machinery(join(dirname(torch.__file__), ""))  # which is no part of a user's program
    with ExitStack() as stack:
        recorder = Recorder()
        _open.append(recorder)
        stack.callback(_open.clear)
        stack.enter_context(record_sites())
        stack.enter_context(detours(recorded))
        before = torch_modules.register_module_forward_pre_hook(enter)
        stack.callback(before.remove)
        after = torch_modules.register_module_forward_hook(leave, always_call=True)
        stack.callback(after.remove)
        _push_mode(recorder)  # type: ignore[no-untyped-call]
        stack.callback(_take_away, recorder)
        _closing.append(stack)
        stack.callback(_closing.clear)
        yield


def _take_away(recorder: Recorder) -> None:
    """Take a recorder from the modes of this thread, whatever modes stand above it."""
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
    """End the outermost recording now: the rest of its block costs nothing."""
    if _closing:
        forget_scopes()
        _closing[0].close()


_begun: list[Any] = []


def record_from_now_on() -> None:
    """Record to the end of the program."""
    if not _open:
        _begun.append(record())
        _begun[-1].__enter__()
