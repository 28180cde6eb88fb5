"""Places of PyTorch that call past a `TorchFunctionMode`, led through the recorder for a while.

`Function.apply` shows itself to no mode. A checkpoint would run its part of the model unseen, and
again in the backward pass: it runs plainly here, once, with the same numbers and more memory. A
compiled model has no functions left to be seen: it runs as it was written, and a line says so.
And `backward()` asks whether somebody wants to walk the pass.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from multiprocessing.process import BaseProcess
from typing import Any

import torch
import torch.utils.checkpoint
from torch.autograd.function import Function, FunctionCtx

from autolm.engine.watching import watching_pass
from autolm.torch.asking import is_asked
from autolm.torch.notices import (
    COMPILED,
    is_unwatchable,
    not_recorded,
    not_walked,
    notice,
    place_of_program,
    started,
)
from autolm.torch.root import NotWalked, graph_of_pass, only_to
from autolm.torch.rule import MATERIALIZES

Recorded = Callable[[Any, Any, Any, Any], Any]
_apply = vars(Function)["apply"].__func__
_backward, _grad = torch.autograd.backward, torch.autograd.grad
_start: Any = BaseProcess.start
_backward_of_tensor = torch.Tensor.backward
_watching_at_start: Any = None  # who watches passes, in the thread that records
_thread_at_start: threading.Thread | None = None
_set_materialize_grads = FunctionCtx.set_materialize_grads


@contextmanager
def detours(recorded: Recorded) -> Iterator[None]:
    """Lead these through the recorder, for a block."""

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if is_asked() or not torch.is_grad_enabled() or is_unwatchable():
            return _apply(cls, *args, **kwargs)
        return recorded(cls, args, kwargs, partial(_apply, cls))

    global _thread_at_start, _watching_at_start
    _thread_at_start, _watching_at_start = threading.current_thread(), watching_pass()
    checkpoint: Any = torch.utils.checkpoint
    changes = [
        (Function, "apply", classmethod(apply)),
        (FunctionCtx, "set_materialize_grads", _note_materializing),
        (torch.autograd, "backward", _walked_backward),
        (torch.Tensor, "backward", _backward_past_modes),
        (torch.autograd, "grad", _named_grad),
        (BaseProcess, "start", _noted_start),
        (torch, "compile", _uncompiled),
        (checkpoint, "_checkpoint_without_reentrant_generator", _nothing_around),
        (checkpoint.CheckpointFunction, "apply", _at_once),
    ]
    with ExitStack() as stack:
        for owner, name, detour in changes:
            stack.callback(_restore, owner, name, vars(owner).get(name))
            setattr(owner, name, detour)
        if "torch._dynamo" in sys.modules:  # something may be compiled already
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


def _restore(owner: Any, name: str, original: Any) -> None:
    if original is None:
        delattr(owner, name)
    else:
        setattr(owner, name, original)


def _note_materializing(context: Any, value: bool) -> None:
    setattr(context, MATERIALIZES, value)  # which PyTorch keeps where nobody can read it
    _set_materialize_grads(context, value)


def _walked_backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Let who watches walk the pass; whoever that is, PyTorch does it at the end."""

    def own() -> None:
        patched, torch.autograd.backward = torch.autograd.backward, _backward
        try:  # it goes by its own name through every mode
            _backward(tensors, grad_tensors, retain_graph, create_graph, grad_variables, inputs)
        finally:
            torch.autograd.backward = patched

    watching = None if is_asked() else watching_pass()
    if watching is None:
        if _is_in_another_thread():
            what = f"backward() at {place_of_program()} in {threading.current_thread().name}"
            not_walked(what, "autolm walks the passes of the thread that it began in")
        own()
        return
    grads = grad_tensors if grad_variables is None else grad_variables
    with ExitStack() as stack:
        try:
            root, grad = graph_of_pass(tensors, grads, own)
            if inputs is not None:
                stack.enter_context(only_to(root, inputs))
        except NotWalked as reason:
            not_walked(f"backward() at {place_of_program()}", str(reason))
            own()
            return
        except Exception as error:
            try:
                own()
            except RuntimeError:  # PyTorch refuses it too; autolm says what to do
                if isinstance(error, ValueError):
                    raise error from None
                raise
            _say_why_not(error)
            return
        watching(root, grad, None)


@wraps(torch.Tensor.backward)
def _backward_past_modes(tensor: Any, *args: Any, **kwargs: Any) -> None:
    """Call `backward` of a tensor so that no mode is taken away meanwhile, as PyTorch would.

    Then the recording can be ended inside of it.
    """
    if type(tensor) in (torch.Tensor, torch.nn.Parameter):
        _differentiate(tensor, *args, **kwargs)
    else:
        _backward_of_tensor(tensor, *args, **kwargs)  # type: ignore[no-untyped-call]


def _differentiate(
    tensor: torch.Tensor,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    torch.autograd.backward(tensor, gradient, retain_graph, create_graph, inputs=inputs)


def _say_why_not(error: Exception) -> None:
    if isinstance(error, ValueError):
        not_walked(f"backward() at {place_of_program()}", str(error))
    else:
        not_recorded("backward()", error)


def _named_grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Say that what `torch.autograd.grad` does is not walked."""
    if _watching_at_start is not None and not is_asked() and not is_unwatchable():
        what = f"torch.autograd.grad at {place_of_program()}"
        why = "autolm walks backward() only"
        if retain_graph or create_graph:  # its graph is still there to be walked
            notice(f"not walked: {what}; {why}")
        else:
            not_walked(what, why)
    return _grad(outputs, inputs, grad_outputs, retain_graph, create_graph, *args, **kwargs)


def _noted_start(process: BaseProcess) -> None:
    """Note that a process is started, in which autolm does not look."""
    started(f"a process started at {place_of_program()}")
    _start(process)


def _is_in_another_thread() -> bool:
    return _watching_at_start is not None and threading.current_thread() is not _thread_at_start


def _uncompiled(model: Any = None, **options: Any) -> Any:
    notice(COMPILED)
    return (lambda each: each) if model is None else model


def _nothing_around(*_: Any, **__: Any) -> Iterator[None]:
    yield


def _at_once(run: Any, preserve: Any, *args: Any) -> Any:
    return run(*args)
