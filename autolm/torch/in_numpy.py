"""A node of PyTorch in NumPy: its numbers, and the operation of ours that computes the same.

PyTorch says `dim` where NumPy says `axis`, and has many names for what only moves numbers. That an
operation of ours does compute the same is not believed but tried, on the numbers of the node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from autolm import ops
from autolm.tensor.quiet import quiet
from autolm.torch.asking import asking
from autolm.torch.memory import tensors
from autolm.torch.operation import TorchOperation
from autolm.torch.torch_node import TorchNode
from autolm.walking.array_adapter import adapter_of
from autolm.walking.numpy_view import NumPyView

UNKNOWN = TorchOperation("")
AS_IT_IS = TorchOperation("reshape", forward=lambda places: (places, None))
ROW_BY_ROW = TorchOperation("dropout")  # of which we only know that each number stays in its place
# What only moves the numbers of its first operand, and what changes no more than their dtype.
MOVES = (
    "T broadcast_to chunk clone contiguous diagonal expand expand_as flatten flip gather getitem "
    "index_select mT moveaxis movedim narrow permute repeat repeat_interleave reshape reshape_as "
    "roll select split squeeze swapaxes swapdims t tensor_split tile transpose unbind unflatten "
    "unsqueeze view view_as"
)
CASTS = "bfloat16 cast double float half to type type_as"
NAMES = {"mm": "matmul", "bmm": "matmul", "amax": "max", "amin": "min"}
NAMES |= {"cat": "concatenate", "concat": "concatenate"}
ALONG = "sum prod mean var std max min logsumexp softmax log_softmax"
JOINS = frozenset(("concatenate", "stack"))


def in_numpy(node: TorchNode) -> NumPyView:
    """Tell a node in NumPy; an operation that is not known here has no name.

    One of several results is told by the operation that made them all, of its operands.
    """
    data, op = adapter_of(node.data).array(), node.op
    if op is None or data is None:
        return NumPyView(data, op and UNKNOWN, (), {})
    source = node if op.part is None else node.parents[0]
    parents = tuple(source.parents)
    call = source.call
    if call is None or len(parents) != len(call.operands):
        return NumPyView(data, UNKNOWN, parents, {})
    name = NAMES.get(call.name, call.name)
    arrays = [adapter_of(parent.data).array() for parent in parents]
    told: Told | None
    full = [k for k, parent in enumerate(parents) if parent.data.shape != (0,)]
    if name in CASTS.split() or (name == "concatenate" and len(full) == 1):  # to an empty cache
        told = AS_IT_IS, (full or [0])[:1], {}
    elif name in MOVES.split():
        told = _moving(source, op.part or 0), (0,), {}
    elif name == "dropout":
        return NumPyView(data, ROW_BY_ROW, parents, {})
    else:
        told = _in_our_words(name, call.attributes, arrays)
    close = torch.finfo(node.data.dtype).eps ** 0.5 if node.data.is_floating_point() else 0.0
    if told is None or not _computes(told, arrays, data, close):
        return NumPyView(data, UNKNOWN, parents, {})
    operation, operands, attributes = told
    return NumPyView(data, operation, tuple(parents[k] for k in operands), attributes)


def _moving(source: TorchNode, part: int) -> TorchOperation:
    """Make the record of what moves numbers; its forward does the same with their places."""

    def forward(places: NDArray[Any]) -> tuple[NDArray[Any], None]:
        held = [parent.data for parent in source.parents]
        # In the layout that the operand has in memory, without which a view may not be one.
        held[0] = torch.empty_like(held[0], dtype=torch.float64).copy_(torch.tensor(places))
        with asking():
            moved = tensors(source.call.again(held))
        return moved[part].cpu().numpy(), None

    return TorchOperation("reshape", forward=forward)


Told = tuple[Any, Sequence[int], Mapping[str, Any]]


def _in_our_words(name: str, said: Mapping[str, Any], arrays: list[NDArray[Any]]) -> Told | None:
    """Return an operation of ours, which of the operands are its operands, and what it is told."""
    operation, all_of_them = getattr(ops, name, None), tuple(range(len(arrays)))
    if not isinstance(operation, ops.ArrayOperation):
        return None
    if name == "embedding":
        return operation, (1,), {"token_ids": arrays[0]}
    if name == "cross_entropy" and len(arrays) == 2:
        kept = {key: said[key] for key in ("reduction", "label_smoothing") if key in said}
        ignored = said.get("ignore_index", -100)
        return operation, (0,), {"targets": arrays[1], "ignore_index": ignored} | kept
    if name == "masked_fill" and len(arrays) == 2 and len(said) == 1:
        return operation, (0,), {"mask": arrays[1], "value": next(iter(said.values()))}
    if name in ALONG.split():
        return operation, all_of_them, _along(name, said)
    if name in JOINS:
        return operation, all_of_them, {"axis": said.get("dim", said.get("1", 0))}
    if name == "gelu":
        return operation, all_of_them, dict(said)
    is_alone = operation.cases == () or name == "matmul"
    return (operation, all_of_them, {}) if is_alone and not said else None


def _along(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    axis = said.get("dim", said.get("1"))
    if name.endswith("softmax"):
        return {"axis": axis}
    kept: dict[str, Any] = {"axis": axis, "keepdims": said.get("keepdim", said.get("2", False))}
    if name in ("var", "std"):
        kept["ddof"] = said.get("correction", int(said.get("unbiased", True)))
    return kept


def _computes(told: Told, arrays: list[NDArray[Any]], data: NDArray[Any], close: float) -> bool:
    """Whether an operation of ours makes these numbers, but for rounding."""
    operation, operands, attributes = told
    if any(arrays[k] is None for k in operands):
        return False
    try:
        with quiet():
            made, _ = operation.forward(*(arrays[k] for k in operands), **attributes)
    except (TypeError, ValueError, IndexError, RuntimeError):
        return False
    scale = np.abs(data[np.isfinite(data)]).max(initial=0.0)
    is_alike = np.shape(made) == data.shape
    return is_alike and np.allclose(made, data, rtol=close, atol=close * scale, equal_nan=True)
