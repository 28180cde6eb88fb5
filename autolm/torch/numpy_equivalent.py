"""Convert a PyTorch node to NumPy: its data, and the autolm operation that computes the same.

PyTorch writes `dim` where NumPy writes `axis`, and has many functions that only rearrange elements.
A candidate operation is accepted only if it reproduces the data of the node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from autolm import ops
from autolm.tensor.quiet import quiet
from autolm.torch.node_lookup import tensors_in
from autolm.torch.operation import TorchOperation
from autolm.torch.recording_pause import isolated
from autolm.torch.torch_node import TorchNode
from autolm.walking.array_adapter import adapter_of
from autolm.walking.numpy_view import NumPyView

UNKNOWN = TorchOperation("")
IDENTITY = TorchOperation("reshape", forward=lambda positions: (positions, None))
KEEPS_POSITIONS = TorchOperation("dropout")  # only known to keep each element in its position
# Functions that only rearrange the elements of their first operand, or only change its dtype.
REARRANGING = (
    "T broadcast_to chunk clone contiguous diagonal expand expand_as flatten flip gather getitem "
    "index_select mT moveaxis movedim narrow permute repeat repeat_interleave reshape reshape_as "
    "roll select split squeeze swapaxes swapdims t tensor_split tile transpose unbind unflatten "
    "unsqueeze view view_as"
)
CASTS = "bfloat16 cast double float half to type type_as"
NAMES = {"mm": "matmul", "bmm": "matmul", "amax": "max", "amin": "min"}
NAMES |= {"cat": "concatenate", "concat": "concatenate"}
REDUCTIONS = "sum prod mean var std max min logsumexp softmax log_softmax"
JOINS = frozenset(("concatenate", "stack"))


def in_numpy(node: TorchNode) -> NumPyView:
    """Convert a node to NumPy; an operation without an equivalent has an empty name.

    One output of several is described by the operation that returned them all.
    """
    data, op = adapter_of(node.data).array(), node.op
    if op is None or data is None:
        return NumPyView(data, op and UNKNOWN, (), {})
    source = node if op.output_index is None else node.parents[0]
    parents = tuple(source.parents)
    call = source.call
    if call is None or len(parents) != len(call.operands):
        return NumPyView(data, UNKNOWN, parents, {})
    name = NAMES.get(call.name, call.name)
    arrays = [adapter_of(parent.data).array() for parent in parents]
    equivalent: Equivalent | None
    nonempty = [k for k, parent in enumerate(parents) if parent.data.shape != (0,)]
    if name in CASTS.split() or (name == "concatenate" and len(nonempty) == 1):
        equivalent = Equivalent(IDENTITY, (nonempty or [0])[:1], {})  # joined to an empty cache
    elif name in REARRANGING.split():
        equivalent = Equivalent(_rearrangement(source, op.output_index or 0), (0,), {})
    elif name == "dropout":
        return NumPyView(data, KEEPS_POSITIONS, parents, {})
    else:
        equivalent = _find_equivalent(name, call.attributes, arrays)
    close = torch.finfo(node.data.dtype).eps ** 0.5 if node.data.is_floating_point() else 0.0
    if equivalent is None or not _computes(equivalent, arrays, data, close):
        return NumPyView(data, UNKNOWN, parents, {})
    operation, operands, attributes = equivalent
    return NumPyView(data, operation, tuple(parents[k] for k in operands), attributes)


def _rearrangement(source: TorchNode, output_index: int) -> TorchOperation:
    """Return an operation whose forward rearranges the positions of elements as `source` does."""

    def forward(positions: NDArray[Any]) -> tuple[NDArray[Any], None]:
        operands = [parent.data for parent in source.parents]
        # Keep the memory layout of the operand: `view` fails for some others.
        layout = torch.empty_like(operands[0], dtype=torch.float64)
        operands[0] = layout.copy_(torch.tensor(positions))
        with isolated():
            outputs = tensors_in(source.call.repeat(operands))
        return outputs[output_index].cpu().numpy(), None

    return TorchOperation("reshape", forward=forward)


class Equivalent(NamedTuple):
    """An autolm operation, the indices of its operands among the node's, and its attributes."""

    operation: Any
    operands: Sequence[int]
    attributes: Mapping[str, Any]


def _find_equivalent(
    name: str, attributes: Mapping[str, Any], arrays: list[NDArray[Any]]
) -> Equivalent | None:
    """Return the candidate for a PyTorch function, or None."""
    operation, every_operand = getattr(ops, name, None), tuple(range(len(arrays)))
    if not isinstance(operation, ops.ArrayOperation):
        return None
    if name == "embedding":
        return Equivalent(operation, (1,), {"token_ids": arrays[0]})
    if name == "cross_entropy" and len(arrays) == 2:
        options = {k: attributes[k] for k in ("reduction", "label_smoothing") if k in attributes}
        options |= {"targets": arrays[1], "ignore_index": attributes.get("ignore_index", -100)}
        return Equivalent(operation, (0,), options)
    if name == "masked_fill" and len(arrays) == 2 and len(attributes) == 1:
        value = next(iter(attributes.values()))
        return Equivalent(operation, (0,), {"mask": arrays[1], "value": value})
    if name in REDUCTIONS.split():
        return Equivalent(operation, every_operand, _axis_attributes(name, attributes))
    if name in JOINS:
        axis = attributes.get("dim", attributes.get("1", 0))
        return Equivalent(operation, every_operand, {"axis": axis})
    if name == "gelu":
        return Equivalent(operation, every_operand, dict(attributes))
    needs_no_attributes = operation.cases == () or name == "matmul"
    if attributes or not needs_no_attributes:
        return None
    return Equivalent(operation, every_operand, {})


def _axis_attributes(name: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    axis = attributes.get("dim", attributes.get("1"))
    if name.endswith("softmax"):
        return {"axis": axis}
    keepdims = attributes.get("keepdim", attributes.get("2", False))
    options: dict[str, Any] = {"axis": axis, "keepdims": keepdims}
    if name in ("var", "std"):
        options["ddof"] = attributes.get("correction", int(attributes.get("unbiased", True)))
    return options


def _computes(
    equivalent: Equivalent, arrays: list[NDArray[Any]], data: NDArray[Any], close: float
) -> bool:
    """Whether an operation computes `data`, except for rounding."""
    operation, operands, attributes = equivalent
    if any(arrays[k] is None for k in operands):
        return False
    try:
        with quiet():
            result, _ = operation.forward(*(arrays[k] for k in operands), **attributes)
    except (TypeError, ValueError, IndexError, RuntimeError):
        return False
    scale = np.abs(data[np.isfinite(data)]).max(initial=0.0)
    has_shape = np.shape(result) == data.shape
    return has_shape and np.allclose(result, data, rtol=close, atol=close * scale, equal_nan=True)
