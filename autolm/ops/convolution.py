"""Convolution over time: the products of a weight with windows of the input.

It is composed of slices, which are the windows, and of einsum. A picture of its graph shows that it
is a matrix product that uses one weight at every position.
"""

from __future__ import annotations

from typing import Any

from autolm.engine.graph import named
from autolm.ops.along_axes import LARGEST, pad
from autolm.ops.array_operation import Case
from autolm.ops.call_patterns import OneOf, Pattern
from autolm.ops.composed import composed
from autolm.ops.einsum import einsum
from autolm.ops.shape import getitem, reshape, stack
from autolm.outside.arguments import read_int
from autolm.outside.message import message


@composed(
    symbol="conv",
    formula="yₙₒₜ = Σ_cₖ weightₒ_cₖ · xₙ_c,ₛₜ₊dₖ + biasₒ,  s = stride, d = dilation",
    rule=(
        "ḡ, spread over each window with the weight",
        "windows of x times ḡ, summed over positions",
        "ḡ summed over positions",
    ),
    cases=(
        Case(((2, 5), (3, 2, 2))),
        Case(((2, 5), (3, 2, 2), (3,))),
        Case(((2, 2, 5), (2, 1, 3), (2,)), {"groups": 2, "padding": 1}),
        Case(((1, 2, 6), (2, 2, 2), (2,)), {"stride": 2, "dilation": 2, "padding": 1}),
        Case(((2, 4), (2, 2, 2), (2,)), {"padding": "same"}),
    ),
    patterns=(
        Pattern(("b c n·m", "o c m", "o"), {"stride": OneOf(1, 2), "padding": OneOf(0, 1)}),
        Pattern(("b c n", "o c m", "o"), {"stride": OneOf(1, 2), "padding": 2, "dilation": 2}),
        Pattern(("c n", "o c m"), {"padding": OneOf(2, 3)}),
        Pattern(("b 2·c n·m", "2·o c m", "2·o"), {"groups": 2, "padding": OneOf(0, 1)}),
    ),
    places=("stride", "padding", "dilation", "groups"),
)
def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    /,
    *,
    stride: int = 1,
    padding: int | str = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Any:
    """Multiply each window of x along time by a weight, as in PyTorch.

    Shapes: x ``(…, channels, time)``, weight ``(outputs, channels / groups, width)`` and an
    optional bias ``(outputs,)`` give ``(…, outputs, windows)``. `stride` is the step between
    windows, and `dilation` the step within a window. `padding` is the number of zeros at both ends,
    or "same" to keep the length, with a stride of 1. Each of the `groups` of channels has its own
    outputs.
    """
    stride, dilation, groups = (
        read_int("conv1d", argument, number, low=1)
        for argument, number in (("stride", stride), ("dilation", dilation), ("groups", groups))
    )
    _require_together(x, weight, bias, groups)
    *batch, channels, _ = x.shape
    outputs, _, width = weight.shape
    reach = dilation * (width - 1)  # from the first to the last of a window
    ends = _read_padding(padding, reach, stride)
    padded = pad(x, pad_width=(*[(0, 0)] * (x.ndim - 1), ends)) if any(ends) else x
    stop = padded.shape[-1] - reach
    if stop < 1:
        raise ValueError(
            message(
                "conv1d: x is {shape} and weight is {shape2}: no window of that width "
                "and dilation fits",
                shape=x.shape,
                shape2=weight.shape,
            )
        )
    starts = range(0, reach + 1, dilation)
    taps = [getitem(padded, index=(..., slice(i, i + stop, stride))) for i in starts]
    windows = named(stack(taps, axis=-1), "windows")
    count = windows.shape[-2]
    inputs = reshape(windows, shape=(*batch, groups, channels // groups, count, width))
    weights = reshape(weight, shape=(groups, outputs // groups, channels // groups, width))
    y = reshape(einsum("...gctk,gock->...got", inputs, weights), shape=(*batch, outputs, count))
    return y if bias is None else y + reshape(bias, shape=(outputs, 1))


def _require_together(x: Any, weight: Any, bias: Any, groups: int) -> None:
    if x.ndim < 2 or weight.ndim != 3 or not weight.shape[-1]:
        raise ValueError(
            message(
                "conv1d: x is {shape} and weight is {shape2}; they must be (…, "
                "channels, time) and (outputs, channels / groups, width)",
                shape=x.shape,
                shape2=weight.shape,
            )
        )
    outputs, channels, _ = weight.shape
    if x.shape[-2] != channels * groups or outputs % groups:
        raise ValueError(
            message(
                "conv1d: x is {shape} and weight is {shape2}: with groups={groups!r} "
                "the weight must have {x:g} channels, and outputs that are a multiple "
                "of groups",
                shape=x.shape,
                shape2=weight.shape,
                groups=groups,
                x=x.shape[-2] / groups,
            )
        )
    if bias is not None and bias.shape != (outputs,):
        raise ValueError(
            message(
                "conv1d: bias is {shape}; it must be ({outputs},), as the outputs",
                shape=bias.shape,
                outputs=outputs,
            )
        )


def _read_padding(padding: Any, reach: int, stride: int) -> tuple[int, int]:
    """Return how many zeros come before and after."""
    if not isinstance(padding, str):
        zeros = read_int("conv1d", "padding", padding, low=0)
        if zeros > LARGEST:
            raise ValueError(message("conv1d: padding makes an array that is too large"))
        return zeros, zeros
    if padding not in ("same", "valid") or (padding == "same" and stride > 1):
        raise ValueError(
            message(
                "conv1d: padding must be a number, 'valid', or with a stride of 1 "
                "'same', not {padding!r}",
                padding=padding,
            )
        )
    return (0, 0) if padding == "valid" else (reach // 2, reach - reach // 2)
