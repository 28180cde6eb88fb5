"""Decompose a fused PyTorch function: run autolm's definition of it on the same tensors.

For example, attention is one kernel in PyTorch; its definition is two matrix products, a mask and a
softmax, and agrees with the kernel up to rounding. Dropout is repeated from the recorded random
state; if the kernel draws its mask differently, an error reports it.

The mathematics is in `autolm.ops.definitions`. `TensorFacade` gives PyTorch tensors the methods
that the definitions use, and each function below translates the arguments of one PyTorch function.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from autolm import ops
from autolm.engine.graph import named, topological_order
from autolm.engine.recording import Note
from autolm.ops import definitions
from autolm.outside.message import message
from autolm.torch.function_mode import record
from autolm.torch.node_lookup import node_of
from autolm.torch.recording_pause import recording_resumed
from autolm.torch.torch_call import TorchCall
from autolm.torch.torch_node import TorchNode
from autolm.walking.wording import label


def _binary(function: Callable[[Any, Any], Any]) -> Callable[[TensorFacade, Any], TensorFacade]:
    """Return an operator of facades that applies a function to their tensors."""

    def call(self: TensorFacade, other: Any) -> TensorFacade:
        return TensorFacade(function(self.tensor, self._as_tensor(other)))

    return call


class TensorFacade:
    """A PyTorch tensor with the methods of `autolm.Tensor`, for `autolm.ops.definitions`.

    Every method calls PyTorch, so the calls are recorded. NumPy arguments become constant tensors.
    """

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    @property
    def data(self) -> NDArray[Any]:
        """The data as a NumPy array; bfloat16, which NumPy lacks, as float32."""
        data = self.tensor.detach().cpu()
        array: NDArray[Any] = (data.float() if data.dtype is torch.bfloat16 else data).numpy()
        return array

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of `data`."""
        return self.data.dtype

    @property
    def parents(self) -> tuple[TorchNode, ...]:
        """The parents of the tensor's node."""
        return node_of(self.tensor).parents

    @property
    def note(self) -> Note | None:
        """The note of the tensor's node, which holds its name."""
        return node_of(self.tensor).note

    @note.setter
    def note(self, note: Note) -> None:
        node_of(self.tensor).note = note

    def __len__(self) -> int:
        return len(self.tensor)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the tensor, or a method that takes NumPy's keywords for axes."""
        attribute = getattr(self.tensor, name)
        if not callable(attribute):
            return attribute

        def call(*arguments: Any, **attributes: Any) -> TensorFacade:
            keywords = {TORCH_KEYWORDS.get(key, key): value for key, value in attributes.items()}
            return TensorFacade(attribute(*map(self._as_tensor, arguments), **keywords))

        return call

    def _as_tensor(self, argument: Any) -> Any:
        """Convert an argument for PyTorch; float arrays get the dtype of this tensor."""
        if isinstance(argument, TensorFacade):
            return argument.tensor
        if isinstance(argument, tuple):
            return tuple(map(self._as_tensor, argument))
        if not isinstance(argument, np.ndarray):
            return argument
        dtype = self.tensor.dtype if argument.dtype.kind == "f" else None
        return torch.as_tensor(argument, dtype=dtype, device=self.tensor.device)

    def __array_function__(self, function: Any, _: Any, arguments: Any, __: Any) -> Any:
        if function is not np.where:
            return NotImplemented
        arrays = (a if isinstance(a, TensorFacade) else np.asarray(a) for a in arguments)
        return TensorFacade(torch.where(*map(self._as_tensor, arrays)))

    __add__, __sub__, __mul__, __truediv__, __matmul__ = map(
        _binary, (operator.add, operator.sub, operator.mul, operator.truediv, operator.matmul)
    )

    def __neg__(self) -> TensorFacade:
        return TensorFacade(-self.tensor)

    def __getitem__(self, index: Any) -> TensorFacade:
        return TensorFacade(self.tensor[self._as_tensor(index)])


TORCH_KEYWORDS = {"axis": "dim", "keepdims": "keepdim"}


def _facade(tensor: torch.Tensor | None) -> Any:
    return None if tensor is None else TensorFacade(tensor)


def _array(tensor: torch.Tensor | None) -> NDArray[Any] | None:
    return None if tensor is None else TensorFacade(tensor).data


# Each function has the signature of PyTorch's function and calls autolm's definition.


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Compute softmax(q · kᵀ · scale + mask) · v.

    Parameters
    ----------
    query, key, value
        (..., length, width). With `enable_gqa`, key and value heads are shared by groups of
        query heads.
    attn_mask, dropout_p, is_causal, scale, enable_gqa
        See `torch.nn.functional.scaled_dot_product_attention`.
    """
    if enable_gqa:
        repeats = query.shape[-3] // key.shape[-3]
        key, value = (t.repeat_interleave(repeats, -3) for t in (key, value))
    mask = bias = None
    if is_causal:  # aligned at the first key; autolm aligns at the last
        mask = np.tri(query.shape[-2], key.shape[-2], dtype=bool)
    elif attn_mask is not None and attn_mask.dtype is torch.bool:
        mask = _array(attn_mask)
    elif attn_mask is not None:
        bias = _facade(attn_mask)

    def dropout(weights: TensorFacade) -> TensorFacade:  # some kernels draw their mask differently
        return TensorFacade(torch.dropout(weights.tensor, dropout_p, True))

    return definitions.attention(
        *map(_facade, (query, key, value)),
        mask=mask,
        bias=bias,
        scale=scale,
        dropout=dropout if dropout_p > 0 else None,
    )


def layer_norm(
    input: torch.Tensor,
    normalized_shape: tuple[int, ...],
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> Any:
    """Compute (x − mean x) / √(var x + ε) · weight + bias over the last axes."""
    axes = tuple(range(-len(normalized_shape), 0))
    return definitions.layer_norm(
        _facade(input), _facade(weight), _facade(bias), eps=eps, axis=axes
    )


def rms_norm(
    input: torch.Tensor,
    normalized_shape: tuple[int, ...],
    weight: torch.Tensor | None = None,
    eps: float | None = None,
) -> Any:
    """Compute x / √(mean x² + ε) · weight over the last axes."""
    axes = tuple(range(-len(normalized_shape), 0))
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    return definitions.rms_norm(_facade(input), _facade(weight), eps=eps, axis=axes)


def softmax(input: torch.Tensor, dim: int, *_: Any, **__: Any) -> Any:
    """Compute yᵢ = exp xᵢ / Σⱼ exp xⱼ."""
    return definitions.softmax(_facade(input), axis=dim)


def log_softmax(input: torch.Tensor, dim: int, *_: Any, **__: Any) -> Any:
    """Compute yᵢ = xᵢ − ln Σⱼ exp xⱼ."""
    return definitions.log_softmax(_facade(input), axis=dim)


def cross_entropy(
    input: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    **deprecated: Any,
) -> Any:
    """Compute the mean over rows of −ln softmax(logits)[target]; logits are (rows, classes)."""
    needs_gradient = any(t is not None and t.requires_grad for t in (target, weight))
    if input.ndim != 2 or needs_gradient or deprecated:
        raise ValueError(
            "it opens for (rows, classes), targets and weights without a gradient, and `reduction`"
        )
    return definitions.cross_entropy(
        _facade(input),
        targets=_array(target),
        weight=_array(weight),
        ignore_index=None if target.is_floating_point() else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


def gelu(input: torch.Tensor, approximate: str = "none") -> Any:
    """Compute x · Φ(x), the standard normal CDF, or its tanh approximation."""
    return definitions.gelu(_facade(input), approximate=approximate)


def silu(input: torch.Tensor, *_: Any, **__: Any) -> Any:
    """Compute x / (1 + e⁻ˣ)."""
    return ops.silu.forward(_facade(input))


def linear(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Any:
    """Compute x · weightᵀ + bias."""
    product = _facade(input) @ named(_facade(weight.T), "weightᵀ")
    return product if bias is None else named(product, "product") + _facade(bias)


def addmm(
    input: torch.Tensor,
    mat1: torch.Tensor,
    mat2: torch.Tensor,
    *,
    beta: float = 1,
    alpha: float = 1,
) -> Any:
    """Compute β · input + α · mat1 · mat2."""
    product, bias = named(_facade(mat1) @ _facade(mat2), "product"), _facade(input)
    return (bias if beta == 1 else bias * beta) + (product if alpha == 1 else product * alpha)


DEFINITIONS: dict[str, Callable[..., Any]] = {
    "scaled_dot_product_attention": attention,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "cross_entropy": cross_entropy,
    "gelu": gelu,
    "silu": silu,
    "linear": linear,
    "addmm": addmm,
}


def decompose(node: TorchNode) -> tuple[TorchNode, dict[TorchNode, TorchNode]]:
    """Decompose a fused function.

    Returns
    -------
    root
        The node of the recomputed result.
    leaves
        For each operand, its leaf in the new graph.

    Raises
    ------
    ValueError
        If the node is a leaf, its function has no definition here, or the definition does not
        reproduce its data.
    """
    if node.op is None:
        raise ValueError(message("open: {node} is a leaf: no operation made it", node=label(node)))
    call: TorchCall | None = node.call
    definition = DEFINITIONS.get(node.op.name)
    if call is None or definition is None:
        raise ValueError(f"open: {node.op.name} is not known here to be composed of others")
    copies = {operand: _copy_leaf(operand) for operand in call.operands}

    def run_definition(*arguments: Any, **attributes: Any) -> torch.Tensor:
        tensor: torch.Tensor = definition(*arguments, **attributes).tensor
        return tensor

    try:
        with recording_resumed(), record():
            result: torch.Tensor = call.repeat(
                list(map(copies.__getitem__, call.operands)), run_definition
            )
    except ValueError as error:
        raise ValueError(f"open: {node.op.name}: {error}") from None
    tolerance = math.sqrt(torch.finfo(result.dtype).eps)
    scale = float(node.data.abs().nan_to_num(0, 0, 0).max()) if node.data.numel() else 0.0
    if not torch.allclose(
        result.detach(), node.data, rtol=tolerance, atol=tolerance * scale, equal_nan=True
    ):
        cause = "its kernel has drawn the mask of its dropout in a way of its own"
        if not call.attributes.get("dropout_p"):
            cause = "they were changed since it was computed"
        raise ValueError(
            f"open: {label(node)} holds other numbers than {node.op.name} makes of its operands: "
            f"{cause}"
        )
    root, leaves = node_of(result), {node: node_of(copy) for node, copy in copies.items()}
    for operand, name in zip(call.operands, call.operand_names(definition), strict=True):
        leaves[operand].note = operand.note
        leaves[operand].name = operand.name or name
    new_nodes: Any = topological_order(root)
    for new in new_nodes:
        if new.parents:
            new.location, new.scope = node.location, node.scope
    root.name = node.name or node.op.name
    return root, leaves


def _copy_leaf(operand: TorchNode) -> torch.Tensor:
    return operand.data.detach().clone().requires_grad_(operand.requires_grad)
