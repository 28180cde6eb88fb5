"""softmax, log_softmax and cross_entropy, each fused into one node.

`definitions.py` composes them of smaller operations. The
largest score is subtracted before the exponential, so that none overflows.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autolm.ops import definitions, on_values
from autolm.ops.array_arguments import read_axis, read_floats, read_integers
from autolm.ops.array_operation import Array, Case
from autolm.ops.call_patterns import Axis, Floats, Ids, OneOf, Pattern
from autolm.ops.neural import require_known
from autolm.ops.primitive import Backward, primitive
from autolm.ops.reduce import accumulating, dot_along, floating, rounded_as, sum_along
from autolm.outside.arguments import read_choice, read_int, read_number
from autolm.outside.message import message


def shifted_exponentials(
    a: Array, axis: int, out: Array | None = None
) -> tuple[Array, Array, Array]:
    """Return exp(a − shift), its sum and the shift, the largest along the axis; no overflow.

    A row of −inf alone has exponentials of 0, and the sum 0.
    """
    shift = a.real.max(axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(shift == -np.inf, 0, shift)
    exponentials = np.asarray(np.subtract(a, shift, out=out))
    np.exp(exponentials, out=exponentials)
    return exponentials, sum_along(exponentials, axis), shift


def _probabilities(a: Array, axis: int) -> Array:
    """Compute the softmax."""
    exponentials, total, _ = shifted_exponentials(a, axis)
    exponentials /= total
    return exponentials


def _softmax_gradient(grad: Array, y: Array, axis: int) -> Array:
    """Return y · (ḡ − Σ ḡ · y)."""
    gradient = grad - dot_along(grad, y, axis)
    gradient *= y
    return gradient


ROWS = (
    Case(((3,),)),
    Case(((2, 3),), {"axis": -1}),
    Case(((2, 3),), {"axis": 0}),
    Case(((2, 3, 4),), {"axis": 1}),
)
ANY_ROWS = (Pattern(("…",), {"axis": Axis()}),)


@primitive(
    symbol="softmax",
    formula="yᵢ = exp aᵢ / Σⱼ exp aⱼ",
    places=("axis",),
    rule=("y · (ḡ − Σⱼ ḡⱼ · yⱼ)",),
    scalar=on_values.softmax,
    definition=definitions.softmax,
    cases=ROWS,
    patterns=ANY_ROWS,
)
def softmax(a: Array, /, *, axis: int = -1) -> tuple[Array, Backward]:
    """Turn scores into probabilities along an axis; a row of −inf alone becomes nan."""
    a, axis = floating(a), read_axis("softmax", axis, a.shape)
    y = _probabilities(accumulating(a), axis)

    def backward(grad: Array) -> tuple[Array]:
        return (_softmax_gradient(accumulating(grad), y, axis),)

    return rounded_as(y, a), backward


@primitive(
    symbol="ln softmax",
    formula="yᵢ = aᵢ − ln Σⱼ exp aⱼ",
    places=("axis",),
    rule=("ḡ − softmax a · Σⱼ ḡⱼ",),
    scalar=on_values.log_softmax,
    definition=definitions.log_softmax,
    cases=ROWS,
    patterns=ANY_ROWS,
)
def log_softmax(a: Array, /, *, axis: int = -1) -> tuple[Array, Backward]:
    """Take the logarithm of the softmax along an axis, exact where the softmax rounds to 0."""
    a, axis = floating(a), read_axis("log_softmax", axis, a.shape)
    scores = accumulating(a)
    exponentials, total, shift = shifted_exponentials(scores, axis)
    probabilities = exponentials / total

    def backward(grad: Array) -> tuple[Array]:
        grad = accumulating(grad)
        return (grad - probabilities * sum_along(grad, axis),)

    return rounded_as((scores - shift) - np.log(total), a), backward


REDUCTIONS = ("mean", "sum", "none")
LABELS = {"targets": np.array([[0, -1], [2, 2]]), "ignore_index": -1}


@primitive(
    symbol="CE",
    formula="mean over rows of −Σ p · ln softmax(logits),  p one at the target t, else 0",
    places=("targets",),
    rule=("ḡ · (softmax logits · Σ p − p) / n",),
    scalar=on_values.cross_entropy,
    definition=definitions.cross_entropy,
    cases=(
        Case(((3,),), {"targets": np.array(1), "ignore_index": None}),
        Case(((2, 4),), {"targets": np.array([3, 0]), "ignore_index": None}),
        Case(((2, 2, 3),), LABELS),
        Case(((2, 2, 3),), {**LABELS, "weight": np.array([0.5, 2.0, 3.0])}),
        Case(((2, 2, 3),), {**LABELS, "reduction": "none", "label_smoothing": 0.25}),
        Case(((2, 3),), {"targets": np.array([[0.0, 0.75, 0.25], [0.5, 0.5, 0.5]])}),
    ),
    patterns=(
        Pattern(
            ("… n",),
            {
                "targets": Ids("n", "…"),
                "ignore_index": OneOf(None, -1, 9),
                "reduction": OneOf(*REDUCTIONS),
                "label_smoothing": OneOf(0.0, 0.25, 1.0),
            },
        ),
        Pattern(
            ("… n",),
            {
                "targets": Ids("n", "…"),
                "weight": Floats("n"),
                "ignore_index": OneOf(0, 1),
                "reduction": OneOf("sum", "none"),
                "label_smoothing": OneOf(0.0, 0.25),
            },
        ),
        Pattern(
            ("… n",),
            {
                "targets": Floats("… n"),
                "weight": Floats("n"),
                "reduction": OneOf(*REDUCTIONS),
                "label_smoothing": OneOf(0.0, 0.25),
            },
        ),
    ),
)
def cross_entropy(
    logits: Array,
    /,
    *,
    targets: Array,
    weight: Array | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> tuple[Array, Backward]:
    """Return the mean cross entropy, in nats: logits (…, vocabulary), targets (…).

    Parameters
    ----------
    targets
        Integers, (…), or probabilities: floats of the shape of the logits.
    weight
        The weight of each class, (vocabulary,). For integer targets the mean is then weighted,
        Σ weight[t] · loss / Σ weight[t]; for probabilities it is the mean over rows.
    ignore_index
        Targets with this integer are left out.
    reduction
        "mean", "sum", or "none" for the loss of each row, (…).
    label_smoothing
        The share of each target, from 0 to 1, that is spread evenly over all classes.

    The same as in PyTorch, except that classes are the last axis instead of axis 1, and that a mean
    over no target raises ValueError instead of returning nan.

    Sources: Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.2.2.3; Szegedy et
    al., Rethinking the Inception Architecture (2016), section 7.
    """
    how = read_scoring(
        logits,
        targets=targets,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )
    floats, shape = floating(logits), logits.shape
    logits = accumulating(floats)
    ids, counted = _counted(how, shape)
    rows, row = logits.reshape(ids.size, shape[-1]), np.arange(ids.size)
    weight = None if how.weight is None else how.weight.astype(logits.real.dtype)
    exponentials, total, shift = shifted_exponentials(rows, -1)
    shares = _shares(how, ids, weight, rows) if how.shares_out else None
    of_row = counted if weight is None or how.is_soft else counted * weight[ids]
    if shares is not None:
        loss = -(shares * ((rows - shift) - np.log(total))).sum(axis=-1)
    else:
        loss = np.log(total[:, 0]) - (rows[row, ids] - shift[:, 0])
        loss = loss if weight is None else loss * of_row
    loss = np.where(counted, loss, 0)
    divisor: Any = 1
    if how.reduction == "mean":
        divisor = int(counted.sum()) if of_row is counted else of_row.sum()

    def backward(grad: Array) -> tuple[Array]:
        slope = exponentials / total
        scale = (accumulating(grad) / divisor).reshape(-1, 1)  # one for all rows, or one for each
        if shares is not None:
            slope *= shares.sum(axis=-1, keepdims=True)
            slope -= shares
            scale = scale * counted[:, None]
        else:
            slope[row, ids] -= 1
            scale = scale * of_row[:, None]
        slope *= scale
        slope[~counted] = 0  # even if the logits are not finite
        return (slope.reshape(shape),)

    if how.reduction == "none":
        return rounded_as(loss.reshape(shape[:-1]), floats), backward
    return rounded_as(loss.sum() / divisor, floats), backward


class Scoring(NamedTuple):
    """The attributes of a cross entropy, checked."""

    targets: Array
    weight: Array | None
    ignore_index: int | None
    reduction: str
    label_smoothing: float

    @property
    def is_soft(self) -> bool:
        """Whether the targets are probabilities."""
        return self.targets.dtype.kind == "f"

    @property
    def shares_out(self) -> bool:
        """Whether more than one class has a share in a row."""
        return self.is_soft or self.label_smoothing > 0


def read_scoring(
    logits: Array,
    *,
    targets: Any,
    weight: Any = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Scoring:
    """Check the attributes; refuse targets that are not one for each row."""
    name = "cross_entropy"
    if logits.ndim == 0:
        raise ValueError(message("{name}: logits is (); it must be (…, vocabulary)", name=name))
    read = _read_targets(logits, targets)
    if ignore_index is not None:
        ignore_index = read_int(name, "ignore_index", ignore_index)
        if read.dtype.kind == "f":
            raise ValueError(
                message(
                    "{name}: targets are probabilities, and ignore_index is an integer", name=name
                )
            )
    if weight is not None:
        weight = read_floats(name, "weight", weight)
        if weight.shape != logits.shape[-1:]:
            raise ValueError(
                message(
                    "{name}: logits are {shape}, so weight must be {shape2}, not {shape3}",
                    name=name,
                    shape=logits.shape,
                    shape2=logits.shape[-1:],
                    shape3=weight.shape,
                )
            )
    read_choice(name, "reduction", reduction, REDUCTIONS)
    smoothing = read_number(name, "label_smoothing", label_smoothing)
    if not 0 <= smoothing <= 1:
        raise ValueError(
            message(
                "{name}: label_smoothing must be from 0 to 1, not {smoothing}",
                name=name,
                smoothing=smoothing,
            )
        )
    return Scoring(read, weight, ignore_index, reduction, float(smoothing))


def _read_targets(logits: Array, targets: Any) -> Array:
    """Return an integer for each row, or probabilities of the shape of the logits."""
    try:
        read = np.asarray(targets)
    except (OverflowError, TypeError, ValueError):  # which `read_integers` puts into words
        read = np.asarray(None)
    wanted = logits.shape
    if read.dtype.kind != "f" or read.ndim != logits.ndim:
        read, wanted = read_integers("cross_entropy", "targets", targets), logits.shape[:-1]
    if read.shape != wanted:
        hint = "; probabilities must be floats" if read.shape == logits.shape else ""
        raise ValueError(
            message(
                "cross_entropy: logits are {shape}, so targets must be {wanted}, not "
                "{shape2}{hint}",
                shape=logits.shape,
                wanted=wanted,
                shape2=read.shape,
                hint=hint,
            )
        )
    return read


def _counted(how: Scoring, shape: tuple[int, ...]) -> tuple[NDArray[np.integer], NDArray[np.bool_]]:
    """Return a target for each row, (n,), with 0 for ignored ones, and which rows count."""
    targets = np.zeros(math.prod(shape[:-1]), np.intp) if how.is_soft else how.targets.reshape(-1)
    ignored = how.ignore_index
    counted = np.ones(targets.size, bool) if ignored is None else targets != ignored
    if not counted.any() and how.reduction == "mean":
        raise ValueError(message("cross_entropy: targets: there is no target to predict"))
    ids = np.where(counted, targets, 0)
    if how.is_soft:
        return ids, counted
    return require_known("cross_entropy", "targets", ids, shape[-1]), counted


def _shares(how: Scoring, ids: Array, weight: Array | None, rows: Array) -> Array:
    """Return the share of each class in each row, (n, vocabulary)."""
    dtype = rows.real.dtype
    if how.is_soft:
        shares = how.targets.reshape(rows.shape).astype(dtype)
    else:
        shares = np.zeros(rows.shape, dtype)
        shares[np.arange(ids.size), ids] = 1
    if how.label_smoothing:
        shares *= 1 - how.label_smoothing
        shares += how.label_smoothing / rows.shape[-1]
    return shares if weight is None else shares * weight
