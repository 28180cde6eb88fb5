"""What each operation does in a recorded step: instructions for its forward, and for its rule.

The mathematics is that of `ops/`; an operation, or a way of calling it, that has none here is
refused with a reason, and the step goes on as it did without a record.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from autolm.compiled import fused_loops as loops
from autolm.compiled.plan import FRESH, Buffer, Plan
from autolm.engine.graph import Node
from autolm.ops import neural, probability
from autolm.ops.attention import read_attention
from autolm.ops.primitive import Primitive


class NotRecorded(Exception):
    """A program has no recorded step; the message says why."""


class Value(NamedTuple):
    """Where the numbers of a node are, with its axes, or those of a matrix turned round."""

    buffer: Buffer
    shape: tuple[int, ...]
    is_turned: bool = False


class Emission:
    """What the emitters of one operation see: its node, and where the numbers of others are.

    Attributes
    ----------
    plan
        Where instructions go.
    node
        The result of the operation.
    operands
        Those of its parents.
    kept
        What the forward leaves for the rule.
    """

    def __init__(self, plan: Plan, node: Any, values: Mapping[Node, Value]) -> None:
        self.plan, self.node = plan, node
        self.operands = [values[parent] for parent in node.parents]
        self.kept: list[Any] = []
        self.places: Mapping[str, Buffer] = {}  # of the attributes that are inputs
        self.caches: Iterator[Any] | None = None  # for each attention what it keeps, if it does
        self.result: Value

    def buffers(self) -> list[Buffer]:
        """Return where the operands are, as they lie in memory."""
        for operand in self.operands:
            if operand.is_turned:
                raise NotRecorded(f"{self.node.op.name} of a transposed matrix")
        return [operand.buffer for operand in self.operands]

    def give(self, buffer: Buffer, is_turned: bool = False) -> None:
        """Say where the result is."""
        self.result = Value(buffer, self.node.shape, is_turned)

    def refuse_unless(self, condition: bool, why: str) -> None:
        """Say of what kind this call is, if there is no instruction for it."""
        if not condition:
            raise NotRecorded(f"{self.node.op.name} {why}")


Forward = Callable[[Emission], None]
Backward = Callable[[Emission, Buffer], None]
EMITTERS: dict[str, tuple[Forward, Backward]] = {}


def emitter(*names: str) -> Callable[[type], type]:
    """Let the two functions of a class be the emitters of operations."""

    def decorate(kind: Any) -> type:
        EMITTERS.update(dict.fromkeys(names, (kind.forward, kind.backward)))
        return kind

    return decorate


def emit_forward(emission: Emission) -> None:
    """Emit what an operation does; it must be one of `ops`, and not one of the same name."""
    op = emission.node.op
    known = EMITTERS.get(op.name)
    if known is None or not isinstance(op, Primitive) or op.written_by_a_user is not None:
        raise NotRecorded(f"{op.name} has no instruction")
    known[0](emission)


def emit_backward(emission: Emission, upstream: Buffer) -> None:
    """Emit what its rule does."""
    EMITTERS[emission.node.op.name][1](emission, upstream)


def _send_sum(emission: Emission, place: int, sent: Buffer) -> None:
    """Send a contribution of the result's size to an operand that was repeated to have it."""
    parent, size = emission.node.parents[place], emission.operands[place].buffer.size
    plan = emission.plan
    if size == sent.size:
        plan.send(parent, sent)
    elif size == 1:
        one = Buffer(1)
        plan.emit(loops.SUM, sent, one, sent.size, factor=1.0)
        plan.send(parent, one)
    else:
        into, keep = plan.into(parent, size)
        plan.emit(loops.SUM_OF_PARTS, sent, into, sent.size // size, size, keep)


def _with_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Drop the axes of length 1 in front, which do not move what comes after."""
    first = next((i for i, n in enumerate(shape) if n != 1), len(shape))
    return shape[first:]


@emitter("add", "sub", "mul", "div")
class _Binary:
    """Of two operands, of which one may be repeated whole, as often as the other takes."""

    @staticmethod
    def forward(e: Emission) -> None:
        a, b = e.buffers()
        for operand in e.operands:
            tail = _with_ones(operand.shape)
            repeats = operand.buffer.size == 1 or e.node.shape[e.node.ndim - len(tail) :] == tail
            e.refuse_unless(repeats, "repeats an operand along an axis that is not the first")
        onto = (
            b if a.size > 1 else None
        )  # a number first is spread over the result before b is read
        y = Buffer(e.node.size, onto=a if a.size == e.node.size else onto)
        _binary(e.plan, getattr(loops, e.node.op.name.upper()), a, b, y)
        e.give(y)

    @staticmethod
    def backward(e: Emission, up: Buffer) -> None:
        a, b = e.buffers()
        name, (of_a, of_b) = e.node.op.name, e.node.parents
        if of_a.requires_grad:
            if name in ("add", "sub"):
                _send_sum(e, 0, up)
            else:
                sent = Buffer(up.size)
                _binary(e.plan, loops.MUL if name == "mul" else loops.DIV, up, b, sent)
                _send_sum(e, 0, sent)
        if of_b.requires_grad:
            if name == "add":
                _send_sum(e, 1, up)
                return
            sent = Buffer(up.size)
            if name == "mul":
                _binary(e.plan, loops.MUL, up, a, sent)
            elif name == "sub":
                e.plan.emit(loops.UNARY, loops.NEG, up, sent, up.size)
            else:  # −ḡ · y / b
                _binary(e.plan, loops.MUL, up, e.result.buffer, sent)
                _binary(e.plan, loops.DIV, sent, b, sent)
                e.plan.emit(loops.UNARY, loops.NEG, sent, sent, up.size)
            _send_sum(e, 1, sent)


def _binary(plan: Plan, which: int, a: Buffer, b: Buffer, to: Buffer) -> None:
    plan.emit(loops.BINARY, which, a, b, to, to.size, a.size, b.size)


@emitter("relu", "neg", "exp", "log", "tanh", "sigmoid", "gelu")
class _Unary:
    """Of one operand."""

    # whose rule needs the result alone, so that the memory of the operand is free
    BY_RESULT = ("relu", "neg", "exp", "tanh", "sigmoid")

    @staticmethod
    def forward(e: Emission) -> None:
        (a,) = e.buffers()
        name = e.node.op.name
        if e.node.attributes.get("approximate") == "tanh":
            name = "gelu_tanh"
        e.kept = [getattr(loops, name.upper())]
        y = Buffer(a.size, onto=a)
        e.plan.emit(loops.UNARY, *e.kept, a, y, a.size)
        e.give(y)

    @staticmethod
    def backward(e: Emission, up: Buffer) -> None:
        read = e.result.buffer if e.node.op.name in _Unary.BY_RESULT else e.operands[0].buffer
        into, keep = e.plan.into(e.node.parents[0], up.size)
        if keep == FRESH:
            into.onto = up
        e.plan.emit(loops.UNARY_BACKWARD, *e.kept, up, read, into, up.size, keep)


@emitter("reshape")
class _Reshape:
    """The same numbers."""

    @staticmethod
    def forward(e: Emission) -> None:
        e.give(e.buffers()[0])

    @staticmethod
    def backward(e: Emission, up: Buffer) -> None:
        e.plan.send(e.node.parents[0], up)


@emitter("transpose")
class _Transpose:
    """A matrix turned round, for a product, which reads it so; nothing is moved."""

    @staticmethod
    def forward(e: Emission) -> None:
        e.refuse_unless(e.node.ndim == 2, "of more axes than a matrix has")
        axes = e.node.attributes.get("axes")
        e.refuse_unless(axes is None or tuple(axes) in ((1, 0), (-1, -2), (-1, 0)), "of that order")
        e.give(e.buffers()[0], is_turned=True)

    @staticmethod
    def backward(e: Emission, up: Buffer) -> None:
        e.plan.send(e.node.parents[0], up)  # which a product has turned round already


@emitter("matmul")
class _Matmul:
    """Rows times one matrix."""

    @staticmethod
    def forward(e: Emission) -> None:
        a, b = e.operands
        e.refuse_unless(len(b.shape) == 2 and len(a.shape) > 1, "of other than rows and a matrix")
        e.refuse_unless(not a.is_turned, "of a transposed first operand")
        k, m = b.shape
        n = a.buffer.size // k
        y = Buffer(e.node.size)
        e.plan.emit(loops.MATMUL, a.buffer, b.buffer, y, n, m, k, 0, b.is_turned, FRESH)
        e.give(y)

    @staticmethod
    def backward(e: Emission, up: Buffer) -> None:
        a, b = e.operands
        of_a, of_b = e.node.parents
        k, m = b.shape
        n = a.buffer.size // k
        if of_b.requires_grad:
            into, keep = e.plan.into(of_b, b.buffer.size)
            if b.is_turned:
                e.plan.emit(loops.MATMUL, up, a.buffer, into, m, k, n, 1, 0, keep)
            else:
                e.plan.emit(loops.MATMUL, a.buffer, up, into, k, m, n, 1, 0, keep)
        if of_a.requires_grad:
            into, keep = e.plan.into(of_a, a.buffer.size)
            e.plan.emit(loops.MATMUL, up, b.buffer, into, n, k, m, 0, not b.is_turned, keep)


@emitter("embedding")
class _Embedding:
    """Rows of a table by ids, which are an input."""

    @staticmethod
    def forward(e: Emission) -> None:
        (table,) = e.buffers()
        e.refuse_unless(len(e.operands[0].shape) == 2, "of other than a matrix")
        rows, d = e.operands[0].shape
        y = Buffer(e.node.size)
        e.kept = [e.places["token_ids"], e.node.size // d, d, rows]
        ids, n, d, rows = e.kept
        e.plan.emit(loops.EMBEDDING, table, ids, y, n, d, rows)
        e.give(y)

    @staticmethod
    def backward(e: Emission, up: Buffer) -> None:
        ids, n, d, rows = e.kept
        into, keep = e.plan.into(e.node.parents[0], rows * d)
        e.plan.emit(loops.EMBEDDING_BACKWARD, up, ids, into, n, d, rows, keep)


@emitter("layer_norm", "rms_norm")
class _Norm:
    """Of rows; both kinds, of which one has no bias and no mean."""

    @staticmethod
    def forward(e: Emission) -> None:
        x, *vectors = e.buffers()
        d = e.node.shape[-1]
        n, eps = x.size // d, float(e.node.attributes.get("eps", 1e-5))
        y = Buffer(x.size)
        e.kept = [Buffer(n) for _ in vectors]  # means and scales, or scales
        code = loops.LAYER_NORM if e.node.op is neural.layer_norm else loops.RMS_NORM
        e.plan.emit(code, x, *vectors, y, *e.kept, n, d, factor=eps)
        e.give(y)

    @staticmethod
    def backward(e: Emission, up: Buffer) -> None:
        x, gain, *_ = e.buffers()
        d = gain.size
        targets = [
            e.plan.into(parent, operand.buffer.size)
            if parent.requires_grad
            else (Buffer(operand.buffer.size), FRESH)
            for parent, operand in zip(e.node.parents, e.operands, strict=True)
        ]
        into, keeps = zip(*targets, strict=True)
        is_layer = e.node.op is neural.layer_norm
        code = loops.LAYER_NORM_BACKWARD if is_layer else loops.RMS_NORM_BACKWARD
        e.plan.emit(code, up, x, gain, *e.kept, *into, x.size // d, d, *keeps)


@emitter("attention")
class _Attention:
    """In heads, causal or not, with a window and shared keys; masks are left to the plain one."""

    @staticmethod
    def forward(e: Emission) -> None:
        q, k, v = e.buffers()
        shapes = [operand.shape for operand in e.operands]
        how = read_attention(*(np.empty(s) for s in shapes), **e.node.attributes)
        e.refuse_unless(how.mask is None, "with a mask")
        e.refuse_unless(shapes[0][:-2] == shapes[1][:-2] == shapes[2][:-2], "of different batches")
        batch, (queries, _), keys = math.prod(shapes[0][:-2]), shapes[0][-2:], shapes[1][-2]
        d_k, d_v = shapes[1][-1] // how.kv_heads, shapes[2][-1] // how.kv_heads
        sizes = batch, queries, keys, how.heads, how.kv_heads, d_k, d_v
        if e.caches is not None:
            e.refuse_unless(how.causal and queries == keys == 1, "that is not causal")
            kept = [Buffer(each.size, each) for each in next(e.caches)]
            length = kept[0].size // shapes[1][-1] // batch
            y, weights = Buffer(e.node.size), Buffer(batch * how.heads * length)
            # one position alone has a window of 1 at most: the longer one is in the attributes
            window = e.node.attributes.get("window") or length
            operands = q, k, v, y, weights, *kept
            lengths = batch, length, *sizes[3:], window
            e.plan.emit(loops.CACHED, *operands, *lengths, factor=how.factor)
            e.give(y)
            return
        weights = Buffer(batch * how.heads * queries * keys)
        e.kept = [weights, sizes, how.factor]
        y = Buffer(e.node.size)
        window = keys if how.window is None else how.window
        e.plan.emit(
            loops.ATTENTION, q, k, v, y, weights, *sizes, how.causal, window, factor=how.factor
        )
        e.give(y)

    @staticmethod
    def backward(e: Emission, up: Buffer) -> None:
        weights, sizes, factor = e.kept
        operands = e.buffers()
        # An operand that is given twice gets its sums one after another.
        parents = e.node.parents
        e.refuse_unless(len({*map(id, parents)}) == 3, "of one operand in two places")
        targets = [
            e.plan.into(parent, operand.size) if parent.requires_grad else (Buffer(operand.size), 0)
            for parent, operand in zip(parents, operands, strict=True)
        ]
        into, keeps = zip(*targets, strict=True)
        slopes = Buffer(sizes[1] * sizes[2])
        e.plan.emit(
            *(loops.ATTENTION_BACKWARD, up, *operands, weights, slopes, *into, *keeps, *sizes),
            factor=factor,
        )


@emitter("cross_entropy")
class _CrossEntropy:
    """The mean surprise at targets, which are an input; the slope is computed with the loss."""

    @staticmethod
    def forward(e: Emission) -> None:
        (logits,) = e.buffers()
        how = probability.read_scoring(np.empty(e.operands[0].shape), **e.node.attributes)
        plain = how.weight is None and how.reduction == "mean" and not how.shares_out
        e.refuse_unless(plain, "with weights, smoothing, or another reduction than the mean")
        d = e.operands[0].shape[-1]
        n = logits.size // d
        slope, loss = Buffer(logits.size, onto=logits), Buffer(1)
        e.kept = [slope]
        e.plan.emit(
            *(loops.CROSS_ENTROPY, logits, e.places["targets"], slope, Buffer(n), loss, n, d),
            *(how.ignore_index is not None, how.ignore_index or 0),
        )
        e.give(loss)

    @staticmethod
    def backward(e: Emission, up: Buffer) -> None:
        (slope,) = e.kept
        sent = Buffer(slope.size, onto=slope)
        _binary(e.plan, loops.MUL, slope, up, sent)
        e.plan.send(e.node.parents[0], sent)


@emitter("sum", "mean")
class _Sum:
    """Of all numbers."""

    @staticmethod
    def forward(e: Emission) -> None:
        (a,) = e.buffers()
        e.refuse_unless(e.node.size == 1, "along some axes")
        e.kept = [1.0 if e.node.op.name == "sum" else 1 / a.size]
        y = Buffer(1)
        e.plan.emit(loops.SUM, a, y, a.size, factor=e.kept[0])
        e.give(y)

    @staticmethod
    def backward(e: Emission, up: Buffer) -> None:
        one = Buffer(1)
        _binary(e.plan, loops.MUL, up, e.plan.constant(np.array([e.kept[0]])), one)
        into, keep = e.plan.into(e.node.parents[0], e.operands[0].buffer.size)
        e.plan.copy(one, into, keep)
