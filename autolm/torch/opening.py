"""Open a fused function of PyTorch: run autolm's definition of it again, on the same tensors.

Attention is one kernel, which keeps no weights to look at. Its definition is two matrix products, a
mask and a softmax, and agrees with the kernel except for rounding. Dropout is drawn again from the
recorded random state; if a kernel draws its mask in another way, an error says so.

`autolm.ops.definitions` has the mathematics. `Operand` lends PyTorch's tensors the spelling that
definitions are written in, and one function below for each of PyTorch's translates its arguments.
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
from autolm.torch.asking import seen
from autolm.torch.call import Call
from autolm.torch.memory import node_of
from autolm.torch.recorder import record
from autolm.torch.torch_node import TorchNode
from autolm.walking.wording import label


def _binary(function: Callable[[Any, Any], Any]) -> Callable[[Operand, Any], Operand]:
    """Make an operator of Operands from one of tensors."""

    def call(self: Operand, other: Any) -> Operand:
        return Operand(function(self.tensor, self._as_tensor(other)))

    return call


class Operand:
    """A tensor of PyTorch in the spelling of `autolm.Tensor`, for `autolm.ops.definitions`.

    Every call goes to PyTorch, on the tensor, so it is recorded as in any other program. Arrays of
    NumPy among the arguments become constant tensors.
    """

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    @property
    def data(self) -> NDArray[Any]:
        """The numbers as an array; bfloat16, which NumPy lacks, as float32."""
        data = self.tensor.detach().cpu()
        array: NDArray[Any] = (data.float() if data.dtype is torch.bfloat16 else data).numpy()
        return array

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of `data`."""
        return self.data.dtype

    @property
    def parents(self) -> tuple[TorchNode, ...]:
        """The operands of the node that was recorded for the tensor."""
        return node_of(self.tensor).parents

    @property
    def note(self) -> Note | None:
        """The note of that node, which holds its name."""
        return node_of(self.tensor).note

    @note.setter
    def note(self, note: Note) -> None:
        node_of(self.tensor).note = note

    def __len__(self) -> int:
        return len(self.tensor)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the tensor, or a method, which takes NumPy's words for axes."""
        attribute = getattr(self.tensor, name)
        if not callable(attribute):
            return attribute

        def call(*arguments: Any, **attributes: Any) -> Operand:
            words = {TORCH_WORDS.get(word, word): value for word, value in attributes.items()}
            return Operand(attribute(*map(self._as_tensor, arguments), **words))

        return call

    def _as_tensor(self, argument: Any) -> Any:
        """Return an argument as PyTorch takes it, floats in the dtype of this tensor."""
        if isinstance(argument, Operand):
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
        arrays = (each if isinstance(each, Operand) else np.asarray(each) for each in arguments)
        return Operand(torch.where(*map(self._as_tensor, arrays)))

    __add__, __sub__, __mul__, __truediv__, __matmul__ = map(
        _binary, (operator.add, operator.sub, operator.mul, operator.truediv, operator.matmul)
    )

    def __neg__(self) -> Operand:
        return Operand(-self.tensor)

    def __getitem__(self, index: Any) -> Operand:
        return Operand(self.tensor[self._as_tensor(index)])


TORCH_WORDS = {"axis": "dim", "keepdims": "keepdim"}


def _operand(tensor: torch.Tensor | None) -> Any:
    return None if tensor is None else Operand(tensor)


def _array(tensor: torch.Tensor | None) -> NDArray[Any] | None:
    return None if tensor is None else Operand(tensor).data


# Each function has the signature of PyTorch's, and calls the definition of autolm's operation.


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
        (..., length, width); with `enable_gqa`, those of fewer heads are used several times.
    attn_mask, dropout_p, is_causal, scale, enable_gqa
        As of `scaled_dot_product_attention`.
    """
    if enable_gqa:
        times = query.shape[-3] // key.shape[-3]
        key, value = (each.repeat_interleave(times, -3) for each in (key, value))
    mask = bias = None
    if is_causal:  # aligned at the first key, not at the last as autolm's
        mask = np.tri(query.shape[-2], key.shape[-2], dtype=bool)
    elif attn_mask is not None and attn_mask.dtype is torch.bool:
        mask = _array(attn_mask)
    elif attn_mask is not None:
        bias = _operand(attn_mask)

    def dropout(weights: Operand) -> Operand:  # as PyTorch's definition draws, if not every kernel
        return Operand(torch.dropout(weights.tensor, dropout_p, True))

    return definitions.attention(
        *map(_operand, (query, key, value)),
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
    """Compute (x − mean x) / √(var x + ε) · weight + bias, over the last axes, of this shape."""
    axes = tuple(range(-len(normalized_shape), 0))
    return definitions.layer_norm(
        _operand(input), _operand(weight), _operand(bias), eps=eps, axis=axes
    )


def rms_norm(
    input: torch.Tensor,
    normalized_shape: tuple[int, ...],
    weight: torch.Tensor | None = None,
    eps: float | None = None,
) -> Any:
    """Compute x / √(mean x² + ε) · weight, over the last axes, of this shape."""
    axes = tuple(range(-len(normalized_shape), 0))
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    return definitions.rms_norm(_operand(input), _operand(weight), eps=eps, axis=axes)


def softmax(input: torch.Tensor, dim: int, *_: Any, **__: Any) -> Any:
    """Compute yᵢ = exp xᵢ / Σⱼ exp xⱼ."""
    return definitions.softmax(_operand(input), axis=dim)


def log_softmax(input: torch.Tensor, dim: int, *_: Any, **__: Any) -> Any:
    """Compute yᵢ = xᵢ − ln Σⱼ exp xⱼ."""
    return definitions.log_softmax(_operand(input), axis=dim)


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
    """Compute the mean over rows of −ln softmax(logits) at the target, (rows, classes)."""
    is_sent_a_gradient = any(each is not None and each.requires_grad for each in (target, weight))
    if input.ndim != 2 or is_sent_a_gradient or deprecated:
        raise ValueError(
            "it opens for (rows, classes), targets and weights without a gradient, and `reduction`"
        )
    return definitions.cross_entropy(
        _operand(input),
        targets=_array(target),
        weight=_array(weight),
        ignore_index=None if target.is_floating_point() else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


def gelu(input: torch.Tensor, approximate: str = "none") -> Any:
    """Compute x times the share of a normal distribution below x, or close to it by a tanh."""
    return definitions.gelu(_operand(input), approximate=approximate)


def silu(input: torch.Tensor, *_: Any, **__: Any) -> Any:
    """Compute x / (1 + e⁻ˣ)."""
    return ops.silu.forward(_operand(input))


def linear(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Any:
    """Compute x · weightᵀ + bias."""
    product = _operand(input) @ named(_operand(weight.T), "weightᵀ")
    return product if bias is None else named(product, "product") + _operand(bias)


def addmm(
    input: torch.Tensor,
    mat1: torch.Tensor,
    mat2: torch.Tensor,
    *,
    beta: float = 1,
    alpha: float = 1,
) -> Any:
    """Compute β · input + α · mat1 · mat2."""
    product, added = named(_operand(mat1) @ _operand(mat2), "product"), _operand(input)
    return (added if beta == 1 else added * beta) + (product if alpha == 1 else product * alpha)


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


def opened(node: TorchNode) -> tuple[TorchNode, dict[TorchNode, TorchNode]]:
    """Run the definition of a fused function: the result, and the leaf for each operand.

    Raises
    ------
    ValueError
        For a leaf, a function without a definition here, or one that cannot be had again.
    """
    if node.op is None:
        raise ValueError(f"open: {label(node)} is a leaf: no operation made it")
    call: Call | None = node.call
    definition = DEFINITIONS.get(node.op.name)
    if call is None or definition is None:
        raise ValueError(f"open: {node.op.name} is not known here to be composed of others")
    copies = {each: _leaf(each) for each in call.operands}

    def decomposed(*arguments: Any, **attributes: Any) -> torch.Tensor:
        tensor: torch.Tensor = definition(*arguments, **attributes).tensor
        return tensor

    try:
        with seen(), record():
            result: torch.Tensor = call.again([copies[each] for each in call.operands], decomposed)
    except ValueError as error:
        raise ValueError(f"open: {node.op.name}: {error}") from None
    close = math.sqrt(torch.finfo(result.dtype).eps)
    scale = float(node.data.abs().nan_to_num(0, 0, 0).max()) if node.data.numel() else 0.0
    if not torch.allclose(
        result.detach(), node.data, rtol=close, atol=close * scale, equal_nan=True
    ):
        cause = "its kernel has drawn the mask of its dropout in a way of its own"
        if not call.attributes.get("dropout_p"):
            cause = "they were changed since it was computed"
        raise ValueError(
            f"open: {label(node)} holds other numbers than {node.op.name} makes of its operands: "
            f"{cause}"
        )
    root, leaves = node_of(result), {each: node_of(copy) for each, copy in copies.items()}
    for each, name in zip(call.operands, call.names(definition), strict=True):
        leaves[each].note = each.note
        leaves[each].name = each.name or name
    nodes: Any = topological_order(root)
    for each in nodes:
        if each.parents:
            each.site, each.scope = node.site, node.scope
    root.name = node.name or node.op.name
    return root, leaves


def _leaf(operand: TorchNode) -> torch.Tensor:
    return operand.data.detach().clone().requires_grad_(operand.requires_grad)
