"""Hypotheses about mistakes in a backward rule: each predicts the gradient that one would give.

A hypothesis gets one call with the actual gradient, the true one, and the Jacobian. It yields pairs
of a diagnosis and the gradient that a rule with that mistake would compute; `diagnosis.py` compares
these predictions with the actual gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import accumulate, permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.testing.calls_from_patterns import repeats_an_index
from autolm.testing.evidence import WRONG, Evidence
from autolm.testing.verdict import largest

Array = NDArray[Any]
Hypothesis = Callable[[Evidence], Iterator[tuple[str, Any]]]  # yields (diagnosis, prediction)

CONSTANTS = (("−1", -1.0), ("2", 2.0), ("½", 0.5), ("−2", -2.0), ("−½", -0.5))
FAR = 2.0**40  # at this scale no constant that is added counts
NEARER = 32.0, 128.0  # at these it still does, if little
ABOUT = 0.05  # a power of the scale that was measured may be off by
BLOCKS = 2, 3, 4  # no call for a diagnosis has axes that tell longer ones apart
POWERS = (
    *(("{}", 1.0), ("1 / {}", -1.0), ("{}²", 2.0), ("1 / {}²", -2.0)),
    *(("the root of {}", 0.5), ("1 / the root of {}", -0.5)),
)


def _no_contribution(e: Evidence) -> Iterator[tuple[str, Any]]:
    yield "a path is missing: nothing is sent", np.zeros_like(e.numeric)


def _constant_factor(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict a factor that is the same for all calls."""
    for text, number in CONSTANTS:
        yield f"off by a factor of {text}", number * e.numeric
    fitted = _multiple(e.analytic, e.numeric)
    yield f"off by a factor of {fitted:.12g}", fitted * e.numeric


def _factor_of_sizes(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict a factor that depends on the shapes of the call."""
    reduced = e.x.size / max(e.result.size, 1)
    sizes = [
        ("the number of elements reduced", reduced),
        ("the number of elements", float(e.x.size)),
        ("the number of elements of the result", float(e.result.size)),
        ("the length of the last axis", float(e.x.shape[-1] if e.x.ndim else 1)),
        ("the length of the first axis", float(e.x.shape[0] if e.x.ndim else 1)),
        ("the number of repeats", 1 / reduced),
    ]
    for text, factor in _with_inverses_and_roots(sizes):
        yield f"off by a factor of {text}", factor * e.numeric


def _factor_of_axes(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict the length of an axis as a factor, a ratio of two, and a mean over n − 1 elements."""
    names = e.subject.names_of(e.call)
    sizes = [
        (f"the length of axis {axis - rank} of {name}", float(n))
        for name, x in zip(names, e.call.inputs, strict=True)
        for rank in (0, x.ndim)  # an axis is the same in all calls from one end or the other
        for axis, n in enumerate(x.shape)
    ]
    for text, factor in _with_inverses_and_roots(sizes):
        yield f"off by a factor of {text}", factor * e.numeric
    # A mask may exclude any number of rows, so n − 1 may be a coincidence.
    counted = {n for x in e.call.attributes.values() for n in np.shape(x)}
    for text, n in sizes:
        if n > 1 and n not in counted:
            yield f"off by a factor of n / (n − 1), n being {text}", n / (n - 1) * e.numeric
            yield f"off by a factor of (n − 1) / n, n being {text}", (n - 1) / n * e.numeric
    for (above, n), (below, m) in permutations(sizes, 2):
        yield f"off by a factor of {above} / {below}: the wrong count", n / m * e.numeric


def _with_inverses_and_roots(sizes: list[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    for text, size in sizes:
        if size > 1:
            yield text, size
            yield f"1 / {text}", 1 / size
            yield f"the root of {text}", math.sqrt(size)
            yield f"1 / the root of {text}", 1 / math.sqrt(size)


def _factor_of_elements(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict a factor that is a power of the elements of an operand or the result."""
    names = e.subject.names_of(e.call)
    arrays = [("y", e.result)]
    arrays += [
        (name, x) for name, x in zip(names, e.call.inputs, strict=True) if x.dtype.kind == "f"
    ]
    for (name, array), (power, exponent) in product(arrays, POWERS):
        factor = np.power(array, exponent)
        predicted = []
        if _stretches(array.shape, e.result.shape):
            predicted.append(np.tensordot(e.upstream * factor, e.jacobian, e.upstream.ndim))
        if _stretches(array.shape, e.x.shape):
            predicted.append(e.numeric * factor)
        for gradient in predicted:
            yield f"off by a factor that is {power.format(name)}", gradient


def _multiple(of: Array, term: Array) -> float:
    """Return how many times a term is nearest to an array."""
    squared = float(np.sum(term * term))
    return float(np.sum(of * term)) / squared if squared else 0.0


def _stretches(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    pairs = zip(shape[::-1], whole[::-1], strict=False)
    return len(shape) <= len(whole) and all(n in (1, m) for n, m in pairs)


def _operand_left_out(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict a rule without one of the other operands."""
    names = e.subject.names_of(e.call)
    for other, x in enumerate(e.call.inputs):
        if other == e.operand:
            continue
        text = f"{names[other]} is taken as {{}}: it is left out of the rule"
        if x.dtype.kind == "b":
            text = f"the mask {names[other]} is left out of the rule"
        for number in (1, 0):
            inputs = [
                np.full_like(a, number) if i == other else a for i, a in enumerate(e.call.inputs)
            ]
            yield text.format(number), e.gradient_at(inputs, e.upstream)


def _attribute_ignored(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict the rule for another value of an attribute."""
    usual = e.subject.defaults()
    for name, value in {**usual, **e.call.attributes}.items():
        instead = [
            (f"{name} is ignored: the rule is that of {name}={usual.get(name)!r}", usual.get(name))
        ]
        if isinstance(value, float):
            assumed = f"{name} is taken as {{}}: it is left out of the rule"
            instead += [(assumed.format(number), float(number)) for number in (0, 1)]
        for text, other in instead + [(t.format(name), o) for t, o in _other_values(e, value)]:
            if isinstance(other, int | float | str | np.ndarray) and other is not value:
                attributes = {**e.call.attributes, name: other}
                yield text, e.gradient_at(e.call.inputs, e.upstream, attributes)


def _other_values(e: Evidence, value: Any) -> Iterator[tuple[str, Any]]:
    """List other values of an attribute, each with the diagnosis of a rule that assumes it."""
    if isinstance(value, bool):
        yield f"the rule is that of {{}}={not value}", not value
    elif isinstance(value, int):
        for axis in range(-e.x.ndim, e.x.ndim):
            if axis not in (value, value - e.x.ndim, value + e.x.ndim):
                yield "the wrong axis: the rule is that of another {}=", axis
    elif isinstance(value, np.ndarray) and value.dtype == bool:
        yield "the mask {} is left out of the rule", np.ones_like(value)


def _constant_left_out(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict a rule without an added constant, such as an eps.

    For large operands the constant is negligible: the gradient is then a power of the scale, and
    the difference from that limit decays as a power of the scale too.
    """
    text = "a constant that is added, such as eps, is left out of the rule"
    for scaled, x in enumerate(e.call.inputs):
        if x.dtype.kind != "f":
            continue
        far, *nearer = (_at_a_scale(e, scaled, scale) for scale in (FAR, *NEARER))
        if (
            not largest(far)
            or not largest(e.analytic)
            or any(gradient is None for gradient in nearer)
        ):
            continue
        degree = round(2 * math.log(largest(e.analytic) / largest(far), FAR)) / 2
        limit = far * FAR**degree
        gaps = [largest(n * k**degree - limit) for n, k in zip(nearer, NEARER, strict=True)]
        decay = math.log(gaps[0] / gaps[1], NEARER[1] / NEARER[0]) if all(gaps) else 0
        if any(abs(decay - power) < ABOUT for power in (1, 2)):
            yield text, limit


def _at_a_scale(e: Evidence, operand: int, scale: float) -> Any:
    inputs = [x * scale if i == operand else x for i, x in enumerate(e.call.inputs)]
    return e.gradient_at(inputs, e.upstream)


def _of_another_upstream(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict functions of the upstream gradient that are not linear."""
    for text, upstream in (
        ("its square", e.upstream**2),
        ("its positive part", np.maximum(e.upstream, 0)),
        ("its magnitude", np.abs(e.upstream)),
        ("its sign", np.sign(e.upstream)),
    ):
        predicted = np.tensordot(upstream, e.jacobian, upstream.ndim)
        yield f"not linear in the upstream gradient: {text} is used", predicted


def _result_left_out(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict a rule that ignores the upstream gradient of one of several results."""
    lengths = e.subject.lengths_of_results(e.call)
    for number, (start, length) in enumerate(
        zip(accumulate(lengths, initial=0), lengths, strict=False)
    ):
        mask = np.ones(e.result.shape)
        mask[start : start + length] = 0
        text = f"several results: the upstream gradient of result {number} is left out"
        yield text, _masked_gradient(e, e.result, mask)


def _left_out(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict a rule without the first or last slice along an axis, of operand or result."""
    for whole, text in ((e.x, "gets nothing"), (e.result, "of the result sends nothing")):
        for axis, (end, which) in product(range(whole.ndim), ((0, "first"), (-1, "last"))):
            mask = np.ones(whole.shape)
            mask[(slice(None),) * axis + (slice(end, end + 1 or None),)] = 0
            yield (
                f"left out: the {which} along axis {axis} {text}",
                _masked_gradient(e, whole, mask),
            )


def _tail_left_out(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict a rule without the remainder after the last whole block along an axis."""
    for whole, text in ((e.x, "gets nothing"), (e.result, "of the result sends nothing")):
        for axis, block in product(range(-whole.ndim, 0), BLOCKS):
            full = whole.shape[axis] // block * block
            mask = np.ones(whole.shape)
            np.moveaxis(mask, axis, 0)[full:] = 0
            sentence = f"left out: what is beyond a multiple of {block} along axis {axis} {text}"
            yield sentence, _masked_gradient(e, whole, mask)


def _masked_gradient(e: Evidence, whole: Array, mask: Array) -> Any:
    """Return the gradient of the masked elements of the operand, or from those of the result."""
    if whole is e.x:
        return e.numeric * mask
    return np.tensordot(e.upstream * mask, e.jacobian, e.upstream.ndim)


def _parts_left_out(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict a rule without several slices along an axis: a block, or every second one."""
    actual, expected = e.matrices
    right = np.abs(actual - expected) <= WRONG * largest(expected)
    for shape, over, text in (
        (e.x.shape, 0, "get nothing"),
        (e.result.shape, 1, "of the result send nothing"),
    ):
        needed = expected.any(axis=over)
        missing = needed & ~actual.any(axis=over)
        if not np.all(missing | right.all(axis=over)):
            continue
        missing, free = np.reshape(missing, shape), ~np.reshape(needed, shape)
        for axis, length in enumerate(shape):
            some = _slices(missing, axis).any(axis=1)
            if np.array_equal(some, _slices(missing | free, axis).all(axis=1)):
                which = _describe_positions(np.flatnonzero(some), length)
                if which:
                    yield f"left out: {which} along axis {axis} {text}", e.analytic


def _slices(array: Array, axis: int) -> Array:
    """Return a matrix with one row for each slice along an axis."""
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)


def _describe_positions(places: Array, length: int) -> str:
    """Say where along an axis places are, if they follow one another or alternate."""
    if not 2 <= places.size < length:
        return ""
    if places.size == places[-1] - places[0] + 1:
        first, last = places[0] == 0, places[-1] == length - 1
        return "a block" if first == last else "the first ones" if first else "the last ones"
    alternate = len(set(np.diff(places))) == 1 and places[0] < places[1] - places[0]
    return "some at regular places" if alternate else ""


def _upstream_ignored(e: Evidence) -> Iterator[tuple[str, Any]]:
    axes = tuple(range(e.result.ndim))
    yield "upstream ignored: the slope is sent as it is", e.jacobian.sum(axis=axes)
    mean = float(np.mean(e.upstream)) if e.upstream.size else 0.0
    yield (
        "upstream ignored: only its mean counts",
        mean * e.jacobian.sum(axis=axes),
    )


def _operands_swapped(e: Evidence) -> Iterator[tuple[str, Any]]:
    rules = e.subject.op.rule
    for other, jacobian in enumerate(e.jacobians):
        if other == e.operand or jacobian is None:
            continue
        text = ""
        if len(rules) > max(other, e.operand):
            text = f": it receives {rules[other]}, expected {rules[e.operand]}"
        yield f"operands swapped{text}", np.tensordot(e.upstream, jacobian, e.upstream.ndim)
        yield f"operands swapped{text}", _summed_to(e.sent_by_result(jacobian), e.x.shape)
        yield f"operands swapped{text}", _exchanged(e, other)


def _exchanged(e: Evidence, other: int) -> Array | None:
    """Return the gradient of a call with two operands exchanged."""
    inputs = list(e.call.inputs)
    if e.subject.elementwise:
        inputs = [np.broadcast_to(x, e.result.shape).copy() for x in inputs]
    inputs[e.operand], inputs[other] = inputs[other], inputs[e.operand]
    gradient = e.gradient_at(inputs, e.upstream)
    return None if gradient is None else _summed_to(gradient, e.x.shape)


def _summed_to(contribution: Array, shape: tuple[int, ...]) -> Array | None:
    """Sum over the axes along which an operand of this shape would broadcast."""
    extra = contribution.ndim - len(shape)
    if extra < 0 or any(
        n not in (1, m) for n, m in zip(shape, contribution.shape[extra:], strict=True)
    ):
        return None
    axes = (*range(extra), *(i for i, n in enumerate(shape, extra) if n == 1))
    return np.asarray(contribution.sum(axis=axes).reshape(shape))


def _transposed(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict transposes of the gradient, of the upstream gradient and of the other operands."""
    for axes in permutations(range(e.analytic.ndim)):
        if axes != tuple(range(e.analytic.ndim)):
            yield "transposed", e.numeric.transpose(axes)
            if e.numeric.transpose(axes).shape != e.numeric.shape:
                yield "transposed", e.numeric.transpose(axes).reshape(e.numeric.shape)
    if e.x.shape == e.result.shape:
        text = "transposed: the rule is the slope of the forward itself, and not its transpose"
        yield text, np.tensordot(e.jacobian, e.upstream, e.x.ndim)
    if e.x.ndim < 2:
        return
    for transpose_result, transpose_upstream, transpose_others in product((False, True), repeat=3):
        if not transpose_upstream and not transpose_others:
            continue
        inputs = [
            x.swapaxes(-1, -2) if transpose_others and i != e.operand and x.ndim > 1 else x
            for i, x in enumerate(e.call.inputs)
        ]
        upstream = (
            e.upstream.swapaxes(-1, -2)
            if transpose_upstream and e.upstream.ndim > 1
            else e.upstream
        )
        predicted = e.gradient_at(inputs, upstream)
        if predicted is not None:
            yield (
                "transposed: a transpose is missing, or one too many",
                predicted.swapaxes(-1, -2) if transpose_result else predicted,
            )


def _reversed(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict another operand, or the contribution, in reverse order along an axis."""
    for axis in range(e.x.ndim):
        yield (
            f"reversed along axis {axis}: it is sent in the opposite order",
            np.flip(e.numeric, axis),
        )
    for other, x in enumerate(e.call.inputs):
        for axis in range(x.ndim) if other != e.operand else ():
            inputs = [np.flip(a, axis) if i == other else a for i, a in enumerate(e.call.inputs)]
            text = f"reversed: {e.subject.names_of(e.call)[other]} is read in the opposite order"
            yield f"{text} along axis {axis}", e.gradient_at(inputs, e.upstream)


def _sums(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict missing, wrong and superfluous sums over axes."""
    paths = e.paths(e.jacobian)
    for axis in range(e.result.ndim):
        for end in (0, -1):
            one = np.zeros_like(paths)
            one[(slice(None),) * axis + (end,)] = paths[(slice(None),) * axis + (end,)]
            yield (
                "not summed: of a broadcast axis only one slice counts",
                one.sum(axis=tuple(range(e.result.ndim))),
            )
    if e.result.ndim > e.x.ndim:
        repeats = math.prod(e.result.shape[: e.result.ndim - e.x.ndim])
        yield "averaged over a broadcast axis, not summed", e.numeric / repeats
    by_result = e.sent_by_result(e.jacobian)
    for axis in range(by_result.ndim):
        summed = by_result.sum(axis=axis)
        if summed.size == e.x.size:
            yield "summed over the wrong axis", summed.reshape(e.x.shape)
        averaged = by_result.mean(axis=axis)
        if averaged.size == e.x.size:
            yield "averaged over a broadcast axis, not summed", averaged.reshape(e.x.shape)


def _summed_though_kept(e: Evidence) -> Iterator[tuple[str, Any]]:
    for axis in range(e.x.ndim):
        whole = np.broadcast_to(e.numeric.sum(axis=axis, keepdims=True), e.x.shape)
        yield "summed over an axis that should be kept", whole
        mean = np.broadcast_to(e.numeric.mean(axis=axis, keepdims=True), e.x.shape)
        yield "averaged over an axis that should be kept", mean


def repeated_index(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict a rule that keeps one contribution of a repeated index."""
    if repeats_an_index(e.call.attributes):
        for gradient in _one_of_several(e):
            yield "overwritten: a repeated index keeps one contribution, loses the others", gradient


def _overwritten(e: Evidence) -> Iterator[tuple[str, Any]]:
    for gradient in _one_of_several(e):
        yield "overwritten: of several contributions only one is kept", gradient


def _one_of_several(e: Evidence) -> Iterator[Array]:
    """Keep the last of the contributions to an element, or the first."""
    paths = e.paths(e.jacobian).reshape(e.result.size, e.x.size)
    for order in (paths, paths[::-1]):
        gradient = np.zeros(e.x.size)
        for row in order:
            gradient = np.where(row != 0, row, gradient)
        yield gradient.reshape(e.x.shape)


def _cross_terms(e: Evidence) -> Iterator[tuple[str, Any]]:
    if e.result.shape == e.x.shape and e.x.size > 1:
        paths = e.paths(e.jacobian).reshape(e.x.size, e.x.size)
        diagonal = np.diagonal(paths).reshape(e.x.shape)
        text = "a path is missing: that from each element to "
        yield text + "the others", diagonal
        yield text + "itself", e.numeric - diagonal


def _terms(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict a rule with one term dropped, doubled, or with the wrong sign."""
    name, rest = e.subject.names_of(e.call)[e.operand], e.numeric - e.analytic
    for text, term in _elementary_terms(e):
        for sign in (1.0, -1.0, 2.0, -2.0, 0.5, -0.5):
            if largest(rest - sign * term) <= 1e-7 * (largest(rest) + 1e-300):
                yield f"a term is missing: {_times(sign)}{text}", e.numeric - sign * term
        fitted = _multiple(rest, term)
        yield f"a term is missing: {fitted:.6g} · {text}", e.numeric - fitted * term
    if e.result.shape == e.x.shape:
        text = f"a term is missing: half of the product rule; the rule computes y/{name} · ḡ"
        yield text, e.upstream * e.result / e.x
    rest = e.numeric - e.analytic
    for axis in (*range(e.x.ndim), None):
        along = [("", np.ones(e.x.shape)), (f"{name} · ", e.x)]
        along += [("y · ", e.result)] if e.result.shape == e.x.shape else []
        along.append((f"({name} − its mean) · ", e.x - e.x.mean(axis=axis, keepdims=True)))
        length = e.x.size if axis is None else e.x.shape[axis]
        where = "the same for all" if axis is None else "the same along an axis"
        for text, factor in along if length > 2 or e.x.size <= 2 else ():
            common = (rest * factor).sum(axis=axis, keepdims=True) / (factor * factor).sum(
                axis=axis, keepdims=True
            )
            if largest(rest - factor * common) <= 1e-7 * largest(rest):
                yield f"a term is missing: {text}a sum or mean, {where}", e.analytic


def _sums_along_another_axis(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict a rule with a sum along the wrong axis."""
    if e.result.shape != e.x.shape or e.x.ndim < 2:
        return
    for _, weighted in _weighted(e):
        sums = [weighted.sum(axis=axis, keepdims=True) for axis in range(e.x.ndim)]
        for right, wrong in permutations(sums, 2):
            for factor in (np.ones(e.x.shape), e.result, e.x):
                yield "summed over the wrong axis", e.numeric + factor * (right - wrong)


def _weighted(e: Evidence) -> list[tuple[str, Array]]:
    """List the products that rules often sum along an axis."""
    name = e.subject.names_of(e.call)[e.operand]
    return [("ḡ", e.upstream), ("ḡ · y", e.upstream * e.result), (f"ḡ · {name}", e.upstream * e.x)]


def _elementary_terms(e: Evidence) -> list[tuple[str, Array]]:
    """List products of the upstream gradient, plain or summed, with operands and result."""
    if e.result.shape != e.x.shape:
        return []
    names = e.subject.names_of(e.call)
    operand, y, upstream = names[e.operand], e.result, e.upstream
    senders = [("ḡ", upstream)]
    for text, weighted in _weighted(e):
        senders += [
            (f"Σ({text})", np.broadcast_to(weighted.sum(axis=axis, keepdims=True), e.x.shape))
            for axis in range(e.x.ndim)
        ]
    factors = [("1", np.ones(e.x.shape)), ("y", y), ("y²", y * y), (f"{operand}²", e.x * e.x)]
    factors += [
        (name, x)
        for name, x in zip(names, e.call.inputs, strict=True)
        if x.shape == e.x.shape and x.dtype.kind == "f"
    ]
    factors += [(f"1/{operand}", 1 / e.x), (f"y/{operand}", y / e.x), (f"{operand} · y", e.x * y)]
    for name, z in ((operand, e.x), ("y", y)):
        factors += [(f"{name} · (1 − {name})", z * (1 - z)), (f"(1 − {name}²)", 1 - z * z)]
    return [
        (sender if factor == "1" else f"{factor} · {sender}", s * f)
        for sender, s in senders
        for factor, f in factors
    ]


def _times(sign: float) -> str:
    return {1.0: "", -1.0: "−", 2.0: "2 · ", -2.0: "−2 · ", 0.5: "½ · ", -0.5: "−½ · "}[sign]


def _elsewhere(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict the slope at the result instead of the operand."""
    if e.result.shape == e.x.shape:
        inputs = [e.result if i == e.operand else x for i, x in enumerate(e.call.inputs)]
        yield (
            "the slope is taken at the result, not at the operand",
            e.gradient_at(inputs, e.upstream),
        )


def _only_where(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Predict mistakes in elements of one sign, or in large ones, only."""
    close = np.abs(e.analytic - e.numeric) <= 1e-7 * (largest(e.numeric) + largest(e.analytic))
    if close.all() or not close.any():
        return
    name = e.subject.names_of(e.call)[e.operand]
    most = np.max(np.abs(e.x), where=close, initial=0.0)
    places = ((f"{name} < 0", e.x < 0), (f"{name} > 0", e.x > 0))
    for text, where in (*places, (f"|{name}| is large", np.abs(e.x) > most)):
        if not where.all() and np.array_equal(~close, where):
            nothing = np.where(where, 0, e.numeric)
            yield f"a path is missing where {text}: nothing is sent", nothing
            yield f"wrong only where {text}", e.analytic


def _rounded(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Detect a gradient whose numbers all fit a shorter dtype: it was rounded to it."""
    for text, bits, rough in (("single", 23, 1e-4), ("half", 10, 0.05), ("bfloat16", 7, 0.3)):
        mantissa, exponent = np.frexp(e.analytic)
        rounded = np.ldexp(np.round(np.ldexp(mantissa, bits + 1)), exponent - bits - 1)
        if np.array_equal(rounded, e.analytic) and np.allclose(e.analytic, e.numeric, rtol=rough):
            yield f"dtype not kept: it is rounded to {text} precision", e.analytic


def _misplaced(e: Evidence) -> Iterator[tuple[str, Any]]:
    order = np.argsort(e.analytic, axis=None)
    sorted_numeric = np.sort(e.numeric, axis=None)
    permuted = np.empty(e.numeric.size)
    permuted[order] = sorted_numeric
    text = "elements in the wrong places: the gradient is right but for their order"
    yield text, permuted.reshape(e.numeric.shape)


def _slope_found(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Describe the function that the rule computes, if it is simple."""
    for text, term in _elementary_terms(e):
        for sign in (1.0, -1.0, 2.0, -2.0, 0.5, -0.5):
            yield f"another slope: the rule computes {_times(sign)}{text}", sign * term


def _leaks(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Detect contributions to elements that the result does not depend on.

    They are the diagnosis if every wrong row of the Jacobian has such a contribution.
    """
    actual, expected = e.matrices
    leaks = (actual != 0) & ~expected.any(axis=0)
    wrong = (np.abs(actual - expected) > WRONG * largest(expected)).any(axis=1)
    if leaks.any() and np.array_equal(wrong, wrong & leaks.any(axis=1)):
        yield "a mask leaks: something is sent where the result does not depend on it", e.analytic


def _mixes_along_another_axis(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Detect contributions between elements along an axis that the forward does not mix."""
    if not e.x.ndim or e.result.shape != e.x.shape:
        return
    places = np.indices(e.x.shape).reshape(e.x.ndim, -1)
    apart = places[:, :, None] != places[:, None, :]
    actual, expected = (
        {axis for axis in range(e.x.ndim) if (matrix.astype(bool) & apart[axis]).any()}
        for matrix in e.matrices
    )
    extra = sorted(actual - expected)
    for from_the_end in (0, e.x.ndim) if extra and expected else ():
        axes_text = ", ".join(str(axis - from_the_end) for axis in extra)
        yield f"summed over the wrong axis: the forward does not mix along {axes_text}", e.analytic


# Specific ones before general ones, which would fit too.
HYPOTHESES: tuple[Hypothesis, ...] = (
    _rounded,
    _no_contribution,
    repeated_index,
    _constant_factor,
    _factor_of_sizes,
    _upstream_ignored,
    _of_another_upstream,
    _result_left_out,
    _operand_left_out,
    _operands_swapped,
    _transposed,
    _reversed,
    _sums,
    _factor_of_axes,
    _summed_though_kept,
    _overwritten,
    _left_out,
    _cross_terms,
    _sums_along_another_axis,
    _attribute_ignored,
    _misplaced,
    _leaks,
    _constant_left_out,
    _factor_of_elements,
    _terms,
    _slope_found,
    _elsewhere,
    _only_where,
    _tail_left_out,
    _parts_left_out,
    _mixes_along_another_axis,
)
# The only candidates for a rule that is not linear in the upstream gradient.
NOT_LINEAR: tuple[Hypothesis, ...] = (_rounded, _upstream_ignored, _of_another_upstream)
# Mistakes that would show in every call.
EVERYWHERE: tuple[Hypothesis, ...] = (
    _no_contribution,
    _constant_factor,
    _of_another_upstream,
    _operand_left_out,
    _slope_found,
    _elsewhere,
    _factor_of_elements,
    _tail_left_out,
)
