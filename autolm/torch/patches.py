"""Patches for the PyTorch calls that a `TorchFunctionMode` does not see.

`Function.apply` bypasses every mode, so it is patched to record. A checkpoint runs its part of the
model again in the backward pass; while recording, it runs once, with the same numbers and more
memory. A compiled model runs uncompiled, with a notice. `backward()` is walked if a tool watches.
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
from autolm.torch.notices import (
    COMPILED,
    is_unrecordable,
    note_possible_pass,
    notice,
    program_location,
    report_unrecorded,
    report_unwalked,
)
from autolm.torch.recording_pause import is_recording_paused
from autolm.torch.root import PassNotWalkable, restricted_to_inputs, root_of_pass
from autolm.torch.rule import MATERIALIZES

CallRecorder = Callable[[Any, Any, Any, Any], Any]
_apply = vars(Function)["apply"].__func__
_backward, _grad = torch.autograd.backward, torch.autograd.grad
_start: Any = BaseProcess.start
_backward_of_tensor = torch.Tensor.backward
_watching_at_start: Any = None  # the watcher of passes in the recording thread
_thread_at_start: threading.Thread | None = None
_set_materialize_grads = FunctionCtx.set_materialize_grads


@contextmanager
def patched_torch(call_and_record: CallRecorder) -> Iterator[None]:
    """Patch PyTorch in this block, so that every call reaches `call_and_record`."""

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if is_recording_paused() or not torch.is_grad_enabled() or is_unrecordable():
            return _apply(cls, *args, **kwargs)
        return call_and_record(cls, args, kwargs, partial(_apply, cls))

    global _thread_at_start, _watching_at_start
    _thread_at_start, _watching_at_start = threading.current_thread(), watching_pass()
    checkpoint: Any = torch.utils.checkpoint
    changes = [
        (Function, "apply", classmethod(apply)),
        (FunctionCtx, "set_materialize_grads", _note_materializing),
        (torch.autograd, "backward", _backward_with_walk),
        (torch.Tensor, "backward", _backward_outside_modes),
        (torch.autograd, "grad", _grad_with_notice),
        (BaseProcess, "start", _start_with_notice),
        (torch, "compile", _skip_compile),
        (checkpoint, "_checkpoint_without_reentrant_generator", _without_checkpoint),
        (checkpoint.CheckpointFunction, "apply", _run_directly),
    ]
    with ExitStack() as stack:
        for owner, name, patch in changes:
            stack.callback(_restore, owner, name, vars(owner).get(name))
            setattr(owner, name, patch)
        if "torch._dynamo" in sys.modules:  # a model may be compiled already
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


def _restore(owner: Any, name: str, original: Any) -> None:
    if original is None:
        delattr(owner, name)
    else:
        setattr(owner, name, original)


def _note_materializing(context: Any, value: bool) -> None:
    setattr(context, MATERIALIZES, value)  # PyTorch stores it where Python cannot read it
    _set_materialize_grads(context, value)


def _backward_with_walk(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Give the pass to a watching tool to walk; PyTorch runs its own backward at the end."""

    def program_backward() -> None:
        patched, torch.autograd.backward = torch.autograd.backward, _backward
        try:  # PyTorch looks up its own name when it dispatches to modes
            _backward(tensors, grad_tensors, retain_graph, create_graph, grad_variables, inputs)
        finally:
            torch.autograd.backward = patched

    watching = None if is_recording_paused() else watching_pass()
    if watching is None:
        if _is_in_another_thread():
            call = f"backward() at {program_location()} in {threading.current_thread().name}"
            report_unwalked(call, "autolm walks the passes of the thread that it began in")
        program_backward()
        return
    grads = grad_tensors if grad_variables is None else grad_variables
    with ExitStack() as stack:
        try:
            root, grad = root_of_pass(tensors, grads, program_backward)
            if inputs is not None:
                stack.enter_context(restricted_to_inputs(root, inputs))
        except PassNotWalkable as reason:
            report_unwalked(f"backward() at {program_location()}", str(reason))
            program_backward()
            return
        except Exception as error:
            try:
                program_backward()
            except RuntimeError:  # PyTorch raises too; the message of autolm names a fix
                if isinstance(error, ValueError):
                    raise error from None
                raise
            _report_failure(error)
            return
        watching(root, grad, None)


@wraps(torch.Tensor.backward)
def _backward_outside_modes(tensor: Any, *args: Any, **kwargs: Any) -> None:
    """Call `backward` without PyTorch's dispatch, which removes the active mode meanwhile.

    The recording can then be stopped during the pass.
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


def _report_failure(error: Exception) -> None:
    if isinstance(error, ValueError):
        report_unwalked(f"backward() at {program_location()}", str(error))
    else:
        report_unrecorded("backward()", error)


def _grad_with_notice(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Call `torch.autograd.grad`, and report that its pass is not walked."""
    if _watching_at_start is not None and not is_recording_paused() and not is_unrecordable():
        call = f"torch.autograd.grad at {program_location()}"
        reason = "autolm walks backward() only"
        if retain_graph or create_graph:  # the graph remains, and can be walked later
            notice(f"not walked: {call}; {reason}")
        else:
            report_unwalked(call, reason)
    return _grad(outputs, inputs, grad_outputs, retain_graph, create_graph, *args, **kwargs)


def _start_with_notice(process: BaseProcess) -> None:
    """Start a process, and note that its passes are not recorded."""
    note_possible_pass(f"a process started at {program_location()}")
    _start(process)


def _is_in_another_thread() -> bool:
    return _watching_at_start is not None and threading.current_thread() is not _thread_at_start


def _skip_compile(model: Any = None, **options: Any) -> Any:
    notice(COMPILED)
    return (lambda function: function) if model is None else model


def _without_checkpoint(*_: Any, **__: Any) -> Iterator[None]:
    yield


def _run_directly(run: Any, preserve: Any, *args: Any) -> Any:
    return run(*args)
