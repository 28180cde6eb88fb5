"""What is behind a fused function of PyTorch: its definition, on the same tensors, run again.

Attention is one kernel, which keeps no weights to look at. Opened, it is two products of matrices,
a mask and a softmax, whose result is the kernel's but for rounding. Dropout is drawn again from the
random state of then; where a kernel has drawn its mask in another way, one line says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from autolm.engine.graph import topological_order
from autolm.torch.asking import seen
from autolm.torch.call import Call
from autolm.torch.memory import node_of, tensors
from autolm.torch.recorder import record
from autolm.torch.torch_node import TorchNode
from autolm.walking.wording import label


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
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
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = _named(_named(query @ _named(key.mT, "keyᵀ"), "products") * scale, "scores")
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None and attn_mask.dtype is torch.bool:
        scores = _named(scores.masked_fill(~attn_mask, -math.inf), "masked")
    elif attn_mask is not None:
        scores = _named(scores + attn_mask, "masked")
    weights = _named(scores.softmax(-1), "weights")
    if dropout_p > 0:  # which the definition of PyTorch draws in this way, though no fused kernel
        weights = _named(torch.dropout(weights, dropout_p, True), "kept")
    return weights @ value


def layer_norm(
    input: torch.Tensor,
    normalized_shape: tuple[int, ...],
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> torch.Tensor:
    """Compute (x − mean x) / √(var x + ε) · weight + bias, over the last axes, of this shape."""
    axes = tuple(range(-len(normalized_shape), 0))
    centred = _named(input - _named(input.mean(axes, keepdim=True), "mean"), "centred")
    spread = _named((centred * centred).mean(axes, keepdim=True), "variance")
    y = centred / (spread + eps).sqrt()
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def rms_norm(
    input: torch.Tensor,
    normalized_shape: tuple[int, ...],
    weight: torch.Tensor | None = None,
    eps: float | None = None,
) -> torch.Tensor:
    """Compute x / √(mean x² + ε) · weight, over the last axes, of this shape."""
    axes = tuple(range(-len(normalized_shape), 0))
    square = _named((input * input).mean(axes, keepdim=True), "mean square")
    y = input / (square + (torch.finfo(input.dtype).eps if eps is None else eps)).sqrt()
    return y if weight is None else y * weight


def softmax(input: torch.Tensor, dim: int, *_: Any, **__: Any) -> torch.Tensor:
    """Compute yᵢ = exp xᵢ / Σⱼ exp xⱼ."""
    exponentials = _named(_shifted(input, dim).exp(), "exponentials")
    return exponentials / _named(exponentials.sum(dim, keepdim=True), "total")


def _shifted(input: torch.Tensor, dim: int) -> torch.Tensor:
    """Subtract the largest, so that no exponential overflows."""
    largest = _named(input.amax(dim, keepdim=True).detach(), "largest")
    return _named(input - largest, "shifted")


def log_softmax(input: torch.Tensor, dim: int, *_: Any, **__: Any) -> torch.Tensor:
    """Compute yᵢ = xᵢ − ln Σⱼ exp xⱼ."""
    shifted = _shifted(input, dim)
    return shifted - _named(shifted.exp().sum(dim, keepdim=True), "total").log()


def cross_entropy(input: torch.Tensor, target: torch.Tensor, *_: Any, **told: Any) -> torch.Tensor:
    """Compute the mean over rows of −ln softmax(logits) at the target, (rows, classes)."""
    usual = {"reduction": "mean", "ignore_index": -100}
    is_usual = all(usual.get(key) == value for key, value in told.items())
    if input.ndim != 2 or target.is_floating_point() or not is_usual or (target < 0).any():
        raise ValueError("it opens for (rows, classes), whole targets, and the mean over all rows")
    surprise = -torch.log_softmax(input, -1).gather(1, target[:, None]).squeeze(1)
    return _named(surprise, "surprise").mean()


def gelu(input: torch.Tensor, approximate: str = "none") -> torch.Tensor:
    """Compute x times the share of a normal distribution below x, or close to it by a tanh."""
    if approximate == "none":
        return input * _named(0.5 * (input / -math.sqrt(2)).erfc(), "share")
    inner = math.sqrt(2 / math.pi) * (input + 0.044715 * input * input * input)
    return input * _named(0.5 * (1 + inner.tanh()), "share")


def silu(input: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    """Compute x / (1 + e⁻ˣ)."""
    return input * _named(input.sigmoid(), "share")


def linear(
    input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Compute x · weightᵀ + bias."""
    product = input @ _named(weight.T, "weightᵀ")
    return product if bias is None else _named(product, "product") + bias


def addmm(
    input: torch.Tensor,
    mat1: torch.Tensor,
    mat2: torch.Tensor,
    *,
    beta: float = 1,
    alpha: float = 1,
) -> torch.Tensor:
    """Compute β · input + α · mat1 · mat2."""
    product = _named(mat1 @ mat2, "product")
    return (input if beta == 1 else beta * input) + (product if alpha == 1 else alpha * product)


DEFINITIONS: dict[str, Callable[..., torch.Tensor]] = {
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


def _named(tensor: torch.Tensor, name: str) -> torch.Tensor:
    node_of(tensor).name = name
    return tensor


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
    try:
        with seen(), record():
            (result,) = tensors(call.again([copies[each] for each in call.operands], definition))
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
    root.name = node.name or root.name or node.op.name
    return root, leaves


def _leaf(operand: TorchNode) -> torch.Tensor:
    return operand.data.detach().clone().requires_grad_(operand.requires_grad)
