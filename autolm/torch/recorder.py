"""`record()`: remember what the user's functions did, so that PyTorch's graph can be read.

A `TorchFunctionMode` sees each function that a program calls, `F.linear` and not the five that it
is made of. Beside its result stands what autograd does not keep: the name of the function, its
operands, the module and the line. Nothing is computed another way; a few places of PyTorch that
call past the mode are led through it while a block lasts (`detours.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from os.path import dirname, join
from types import FunctionType
from typing import Any

import torch
from torch.nn.modules import module as torch_modules
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from autolm.engine.graph import record_sites
from autolm.engine.site import add_machinery
from autolm.torch.asking import is_asked, unseen
from autolm.torch.call import DRAWS, Call
from autolm.torch.detours import detours
from autolm.torch.memory import add, keep_data, known, node_of, tensors
from autolm.torch.modules import enter, leave
from autolm.torch.operation import is_custom, writes

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
        name = getattr(function, "__name__", "")
        if is_asked() or name in PASSED or not torch.is_grad_enabled():
            return function(*args, **kwargs)
        if name == "__get__":  # of an attribute, of which few are tensors that were computed
            value = function(*args)
            return recorded(function, args, kwargs) if _is_made(value) else value
        if function in OPENED:
            with self:
                return _seen_through(function)(*args, **kwargs)
        return recorded(function, args, kwargs)


def _is_made(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.grad_fn is not None


def recorded(function: Any, args: Any, kwargs: Any, run: Any = None) -> Any:
    """Call a function, if need be by another way, and make nodes of what it returns."""
    run = run or function
    with unseen():
        if writes(function, kwargs):
            return _written(function, args, kwargs)
        if DRAWS.search(getattr(function, "__name__", "")) or is_custom(function):
            call = Call(function, args, kwargs, node_of, run)  # with the random state of now
            result = run(*args, **kwargs)
        else:
            result, call = run(*args, **kwargs), None
        if getattr(function, "__name__", "") == "register_hook":
            node_of(args[0]).hooks = args[0]._backward_hooks
            return result
        made = [each for each in tensors(result) if each.grad_fn is not None and not known(each)]
        if made:
            add(made, call or Call(function, args, kwargs, node_of, run))
    return result


def _written(function: Any, args: Any, kwargs: Any) -> Any:
    """Call a function that writes into a tensor, of which a node is made; and of what it views."""
    target = tensors((args, kwargs))[0]
    whole, call = target._base, Call(function, args, kwargs, node_of)
    before = None if whole is None else node_of(whole)
    keep_data(target)
    result = function(*args, **kwargs)
    if whole is not None and before is not None:
        if whole.grad_fn is not None and not known(whole):
            add([whole], call, [before, *call.operands[1:]])
        node_of(target)
    elif target.grad_fn is not None and not known(target):
        add([target], call)
    return result


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
    add_machinery(join(dirname(torch.__file__), ""))  # which is no part of a user's program
    with ExitStack() as stack:
        _open.append(Recorder())
        stack.callback(_open.clear)
        stack.enter_context(record_sites())
        stack.enter_context(detours(recorded))
        before = torch_modules.register_module_forward_pre_hook(enter)
        stack.callback(before.remove)
        after = torch_modules.register_module_forward_hook(leave, always_call=True)
        stack.callback(after.remove)
        stack.enter_context(_open[0])
        yield


_begun: list[Any] = []


def record_from_now_on() -> None:
    """Record to the end of the program."""
    if not _open:
        _begun.append(record())
        _begun[-1].__enter__()
