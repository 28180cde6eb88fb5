"""Places of PyTorch that call past a `TorchFunctionMode`, led through the recorder for a while.

`Function.apply` shows itself to no mode. A checkpoint would run its part of the model unseen, and
again in the backward pass: it runs plainly here, once, with the same numbers and more memory. A
compiled model has no functions left to be seen: it runs as it was written, and a warning says so.
And `backward()` asks whether somebody wants to walk the pass.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
import torch.utils.checkpoint
from torch.autograd.function import Function, FunctionCtx

from autolm.engine.backprop import watching_pass
from autolm.torch.asking import is_asked
from autolm.torch.root import graph_of_pass
from autolm.torch.rule import MATERIALIZES

Recorded = Callable[[Any, Any, Any, Any], Any]
_apply = vars(Function)["apply"].__func__
_backward = torch.autograd.backward
_set_materialize_grads = FunctionCtx.set_materialize_grads
COMPILED = "torch.compile: while autolm records, the model runs as it is written, uncompiled"


@contextmanager
def detours(recorded: Recorded) -> Iterator[None]:
    """Lead these through the recorder, for a block."""

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if is_asked() or not torch.is_grad_enabled():
            return _apply(cls, *args, **kwargs)
        return recorded(cls, args, kwargs, partial(_apply, cls))

    checkpoint: Any = torch.utils.checkpoint
    changes = [
        (Function, "apply", classmethod(apply)),
        (FunctionCtx, "set_materialize_grads", _note_materializing),
        (torch.autograd, "backward", _walked_backward),
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


def _walked_backward(tensors: Any, grad_tensors: Any = None, *args: Any, **kwargs: Any) -> None:
    """Let who watches walk the pass; whoever that is, PyTorch does it at the end."""
    watching = watching_pass()

    def own() -> None:
        torch.autograd.backward = _backward  # which goes by its own name through every mode
        try:
            _backward(tensors, grad_tensors, *args, **kwargs)
        finally:
            torch.autograd.backward = _walked_backward

    if watching is None or is_asked():
        own()
    else:
        root, grad = graph_of_pass(tensors, grad_tensors, own)
        watching(root, grad, None)


def _uncompiled(model: Any = None, **options: Any) -> Any:
    warnings.warn(COMPILED, stacklevel=2)
    return (lambda each: each) if model is None else model


def _nothing_around(*_: Any, **__: Any) -> Iterator[None]:
    yield


def _at_once(run: Any, preserve: Any, *args: Any) -> Any:
    return run(*args)
