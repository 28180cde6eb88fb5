"""Name the mistake: hypotheses of what went wrong, each fitted to the gradients that are wrong.

A hypothesis predicts what the rule would say if it made one particular mistake. One that predicts
what the rule does say, for every call in which an operand's gradient is wrong, is the diagnosis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.testing.call import Call
from autolm.testing.calls_from_patterns import repeats_an_index
from autolm.testing.samples import Evidence, gather
from autolm.testing.under_test import Subject
from autolm.testing.verdict import largest

Array = NDArray[Any]
USED_TWICE = "wrong only where an operand occurs twice: each of its uses must count"

LEAST = 3  # elements of wrong gradients, all calls together, that a cause is sought for
CONSTANTS = (("−1", -1.0), ("2", 2.0), ("½", 0.5), ("−2", -2.0), ("−½", -0.5))
POWERS = (
    *(("{}", 1.0), ("1 / {}", -1.0), ("{}²", 2.0), ("1 / {}²", -2.0)),
    *(("the root of {}", 0.5), ("1 / the root of {}", -0.5)),
)

Hypothesis = Callable[[Evidence], Iterator[tuple[str, Any]]]  # yields (diagnosis, prediction)


def diagnose(subject: Subject, example: Call | None) -> str:
    """Say what is wrong with the gradients of an operation; empty if no hypothesis fits."""
    by_operand = _by_operand(gather(subject, example))
    named: dict[str, list[str]] = {}
    for name, evidences in by_operand.items():
        diagnosis = _common_diagnosis(evidences)
        if diagnosis:
            named.setdefault(diagnosis, []).append(name)
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in named.items())


def what_is_known(subject: Subject, example: Call | None) -> str:
    """Say which gradients are wrong, and where, if no cause explains them all."""
    told = []
    for name, evidences in _by_operand(gather(subject, example)).items():
        wrong = [e for e in evidences if e.wrong]
        if not wrong:
            told.append(f"{name} is right")
            continue
        places = {text for text in _places(wrong[0]) if all(text in _places(e) for e in wrong)}
        calls = "" if len(wrong) == len(evidences) else " in some calls"
        told.append(f"{name} is wrong{calls}" + "".join(f", {text}" for text in sorted(places)))
    return "; ".join(told)


def _places(e: Evidence) -> list[str]:
    """Describe the elements that are wrong, where they are not all."""
    off = np.abs(e.analytic - e.numeric) > 1e-7 * (largest(e.numeric) + largest(e.analytic))
    if off.all():
        return ["in all positions"]
    found = []
    for axis in range(off.ndim):
        others = tuple(i for i in range(off.ndim) if i != axis)
        where = np.flatnonzero(off.any(axis=others))
        if 0 < where.size < off.shape[axis]:
            found.append(f"only at {', '.join(map(str, where))} along axis {axis}")
    return found or ["in some positions"]


def _by_operand(evidences: list[Evidence]) -> dict[str, list[Evidence]]:
    found: dict[str, list[Evidence]] = {}
    for e in evidences:
        found.setdefault(e.subject.names_of(e.call)[e.operand], []).append(e)
    return found


def _common_diagnosis(evidences: list[Evidence]) -> str:
    """Return the first diagnosis that fits every call in which the gradient is wrong.

    What would make it wrong in every call must explain those too in which it is right.
    """
    wrong = [e for e in evidences if e.wrong]
    if not wrong:
        return ""
    few = sum(e.x.size for e in wrong) < LEAST  # any constant fits a single number
    fitting = [_diagnoses(evidence, (_repeated_index,) if few else None) for evidence in wrong]
    common = [text for text in fitting[0] if all(text in each for each in fitting[1:])]
    everywhere = {text for e in wrong[:1] for text in _diagnoses(e, EVERYWHERE)}
    right = [_diagnoses(e, EVERYWHERE) for e in evidences if not e.wrong]
    for text in common:
        if text not in everywhere or all(text in each for each in right):
            return text
    return ""


def _diagnoses(evidence: Evidence, hypotheses: tuple[Hypothesis, ...] | None = None) -> list[str]:
    found = []
    for hypothesis in HYPOTHESES if hypotheses is None else hypotheses:
        with np.errstate(all="ignore"):
            found += [text for text, predicted in hypothesis(evidence) if evidence.fits(predicted)]
    return found


def _nothing_sent(e: Evidence) -> Iterator[tuple[str, Any]]:
    yield "a path is missing: nothing is sent", np.zeros_like(e.numeric)


def _constant_factor(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Try one number for all calls."""
    for text, number in CONSTANTS:
        yield f"off by a factor of {text}", number * e.numeric
    squared = float(np.sum(e.numeric * e.numeric))
    if squared:
        fitted = float(np.sum(e.analytic * e.numeric)) / squared
        yield f"off by a factor of {fitted:.12g}", fitted * e.numeric


def _factor_of_sizes(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Try a number that each call has from its shapes."""
    reduced = e.x.size / max(e.result.size, 1)
    sizes = [
        ("the number of elements reduced", reduced),
        ("the number of elements", float(e.x.size)),
        ("the length of the last axis", float(e.x.shape[-1] if e.x.ndim else 1)),
        ("the length of the first axis", float(e.x.shape[0] if e.x.ndim else 1)),
        ("the number of repeats", 1 / reduced),
    ]
    for text, factor in _with_inverses_and_roots(sizes):
        yield f"off by a factor of {text}", factor * e.numeric


def _factor_of_axes(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Try the length of any axis there is, and a mean over one less."""
    names = e.subject.names_of(e.call)
    sizes = [
        (f"the length of axis {axis} of {name}", float(n))
        for name, x in zip(names, e.call.inputs, strict=True)
        for axis, n in enumerate(x.shape)
    ]
    sizes += [(f"n / (n − 1), n being {text}", n / (n - 1)) for text, n in sizes if n > 1]
    for text, factor in _with_inverses_and_roots(sizes):
        yield f"off by a factor of {text}", factor * e.numeric


def _with_inverses_and_roots(sizes: list[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    for text, size in sizes:
        if size > 1:
            yield text, size
            yield f"1 / {text}", 1 / size
            yield f"the root of {text}", math.sqrt(size)
            yield f"1 / the root of {text}", 1 / math.sqrt(size)


def _factor_of_elements(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Try a factor that each element has from an operand or the result."""
    names = e.subject.names_of(e.call)
    arrays = [("y", e.result)]
    arrays += [
        (name, x) for name, x in zip(names, e.call.inputs, strict=True) if x.dtype.kind == "f"
    ]
    for (name, array), (power, exponent) in product(arrays, POWERS):
        factor = np.power(array, exponent)
        text = f"off by a factor that is {power.format(name)}"
        if _stretches(array.shape, e.result.shape):
            yield text, np.tensordot(e.upstream * factor, e.jacobian, e.upstream.ndim)
        if _stretches(array.shape, e.x.shape):
            yield text, e.numeric * factor


def _stretches(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    pairs = zip(shape[::-1], whole[::-1], strict=False)
    return len(shape) <= len(whole) and all(n in (1, m) for n, m in pairs)


def _operand_as_one(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Try to leave another operand out of the rule."""
    names = e.subject.names_of(e.call)
    for other, x in enumerate(e.call.inputs):
        if other != e.operand and x.dtype.kind == "f":
            inputs = [np.ones_like(a) if i == other else a for i, a in enumerate(e.call.inputs)]
            yield (
                f"{names[other]} is taken as 1: it is left out of the rule",
                e.gradient_at(inputs, e.upstream),
            )


def _of_another_upstream(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Try functions of the upstream gradient that are not linear."""
    for text, upstream in (
        ("its square", e.upstream**2),
        ("its positive part", np.maximum(e.upstream, 0)),
        ("its magnitude", np.abs(e.upstream)),
        ("its sign", np.sign(e.upstream)),
    ):
        predicted = np.tensordot(upstream, e.jacobian, upstream.ndim)
        yield f"not linear in the upstream gradient: {text} is used", predicted


def _left_out(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Try to leave out the first or the last slice along an axis, of operand or result."""
    for whole, text in ((e.x, "gets nothing"), (e.result, "of the result sends nothing")):
        for axis, (end, which) in product(range(whole.ndim), ((0, "first"), (-1, "last"))):
            if whole.shape[axis] < 2:
                continue
            kept = np.ones(whole.shape)
            kept[(slice(None),) * axis + (end,)] = 0
            told = f"left out: the {which} along axis {axis} {text}"
            if whole is e.x:
                yield told, e.numeric * kept
            else:
                yield told, np.tensordot(e.upstream * kept, e.jacobian, e.upstream.ndim)


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
        told = ""
        if len(rules) > max(other, e.operand):
            told = f": it receives {rules[other]}, expected {rules[e.operand]}"
        yield f"operands swapped{told}", np.tensordot(e.upstream, jacobian, e.upstream.ndim)
        yield f"operands swapped{told}", _summed_to(e.sent_by_result(jacobian), e.x.shape)
        yield f"operands swapped{told}", _exchanged(e, other)


def _exchanged(e: Evidence, other: int) -> Array | None:
    """Ask for the gradient where two operands have changed places."""
    inputs = list(e.call.inputs)
    if e.subject.elementwise:
        inputs = [np.broadcast_to(x, e.result.shape).copy() for x in inputs]
    inputs[e.operand], inputs[other] = inputs[other], inputs[e.operand]
    gradient = e.gradient_at(inputs, e.upstream)
    return None if gradient is None else _summed_to(gradient, e.x.shape)


def _summed_to(sent: Array, shape: tuple[int, ...]) -> Array | None:
    """Sum over the axes along which an operand of this shape would have been stretched."""
    extra = sent.ndim - len(shape)
    if extra < 0 or any(n not in (1, m) for n, m in zip(shape, sent.shape[extra:], strict=True)):
        return None
    axes = (*range(extra), *(i for i, n in enumerate(shape, extra) if n == 1))
    return np.asarray(sent.sum(axis=axes).reshape(shape))


def _transposed(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Try the gradient with its own axes, the upstream's and the other operands' exchanged."""
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
    for own, above, beside in product((False, True), repeat=3):
        if not above and not beside:
            continue
        inputs = [
            x.swapaxes(-1, -2) if beside and i != e.operand and x.ndim > 1 else x
            for i, x in enumerate(e.call.inputs)
        ]
        upstream = e.upstream.swapaxes(-1, -2) if above and e.upstream.ndim > 1 else e.upstream
        predicted = e.gradient_at(inputs, upstream)
        if predicted is not None:
            yield (
                "transposed: a transpose is missing, or one too many",
                predicted.swapaxes(-1, -2) if own else predicted,
            )


def _sums(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Try sums over axes that are missing, wrong or too many."""
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
    for axis in range(e.x.ndim):
        whole = np.broadcast_to(e.numeric.sum(axis=axis, keepdims=True), e.x.shape)
        yield "summed over an axis that should be kept", whole
        mean = np.broadcast_to(e.numeric.mean(axis=axis, keepdims=True), e.x.shape)
        yield "averaged over an axis that should be kept", mean


def _repeated_index(e: Evidence) -> Iterator[tuple[str, Any]]:
    if repeats_an_index(e.call.attributes):
        for kept in _one_of_several(e):
            yield "overwritten: a repeated index keeps one contribution, loses the others", kept


def _overwritten(e: Evidence) -> Iterator[tuple[str, Any]]:
    for kept in _one_of_several(e):
        yield "overwritten: of several contributions only one is kept", kept


def _one_of_several(e: Evidence) -> Iterator[Array]:
    """Keep the last contribution, or the first, where several come together."""
    paths = e.paths(e.jacobian).reshape(e.result.size, e.x.size)
    for order in (paths, paths[::-1]):
        kept = np.zeros(e.x.size)
        for row in order:
            kept = np.where(row != 0, row, kept)
        yield kept.reshape(e.x.shape)


def _cross_terms(e: Evidence) -> Iterator[tuple[str, Any]]:
    if e.result.shape == e.x.shape and e.x.size > 1:
        paths = e.paths(e.jacobian).reshape(e.x.size, e.x.size)
        own = np.diagonal(paths).reshape(e.x.shape)
        text = "a path is missing: that from each element to "
        yield text + "the others", own
        yield text + "itself", e.numeric - own


def _terms(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Try what is left if one term of the sum is dropped, or taken twice, or has its sign wrong."""
    for text, term in _elementary_terms(e):
        squared = float(np.sum(term * term))
        if not squared:
            continue
        rest = e.numeric - e.analytic
        for sign in (1.0, -1.0, 2.0, -2.0, 0.5, -0.5):
            if largest(rest - sign * term) <= 1e-7 * (largest(rest) + 1e-300):
                yield f"a term is missing: {_times(sign)}{text}", e.numeric - sign * term
        fitted = float(np.sum(rest * term)) / squared
        yield f"a term is missing: a multiple of {text}", e.numeric - fitted * term
    if e.result.shape == e.x.shape:
        name = e.subject.names_of(e.call)[e.operand]
        text = f"a term is missing: half of the product rule; the rule computes y/{name} · ḡ"
        yield text, e.upstream * e.result / e.x
    rest = e.numeric - e.analytic
    along = [("", np.ones(e.x.shape))]
    if e.result.shape == e.x.shape:
        along += [("y · ", e.result), ("the operand · ", e.x)]
    for (text, factor), axis in product(along, range(e.x.ndim)):
        common = (rest * factor).sum(axis=axis, keepdims=True) / (factor * factor).sum(
            axis=axis, keepdims=True
        )
        if e.x.shape[axis] > 2 and largest(rest - factor * common) <= 1e-7 * largest(rest):
            yield f"a term is missing: {text}a sum or mean, the same along an axis", e.analytic


def _sums_along_another_axis(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Try a sum inside the rule that runs along another axis than it should."""
    if e.result.shape != e.x.shape or e.x.ndim < 2:
        return
    for _, weighted in _weighted(e):
        sums = [weighted.sum(axis=axis, keepdims=True) for axis in range(e.x.ndim)]
        for right, wrong in permutations(sums, 2):
            for factor in (np.ones(e.x.shape), e.result, e.x):
                yield "summed over the wrong axis", e.numeric + factor * (right - wrong)


def _weighted(e: Evidence) -> list[tuple[str, Array]]:
    """List what rules sum along an axis."""
    own = e.subject.names_of(e.call)[e.operand]
    return [("ḡ", e.upstream), ("ḡ · y", e.upstream * e.result), (f"ḡ · {own}", e.upstream * e.x)]


def _elementary_terms(e: Evidence) -> list[tuple[str, Array]]:
    """List products of an upstream gradient, plain or summed, with something at hand."""
    if e.result.shape != e.x.shape:
        return []
    names = e.subject.names_of(e.call)
    own, y, upstream = names[e.operand], e.result, e.upstream
    senders = [("ḡ", upstream)]
    for text, weighted in _weighted(e):
        senders += [
            (f"Σ({text})", np.broadcast_to(weighted.sum(axis=axis, keepdims=True), e.x.shape))
            for axis in range(e.x.ndim)
        ]
    factors = [("1", np.ones(e.x.shape)), ("y", y), ("y²", y * y), (f"{own}²", e.x * e.x)]
    factors += [
        (name, x)
        for name, x in zip(names, e.call.inputs, strict=True)
        if x.shape == e.x.shape and x.dtype.kind == "f"
    ]
    factors += [(f"1/{own}", 1 / e.x), (f"y/{own}", y / e.x), (f"{own} · y", e.x * y)]
    for name, z in ((own, e.x), ("y", y)):
        factors += [(f"{name} · (1 − {name})", z * (1 - z)), (f"(1 − {name}²)", 1 - z * z)]
    return [
        (sender if factor == "1" else f"{factor} · {sender}", s * f)
        for sender, s in senders
        for factor, f in factors
    ]


def _times(sign: float) -> str:
    return {1.0: "", -1.0: "−", 2.0: "2 · ", -2.0: "−2 · ", 0.5: "½ · ", -0.5: "−½ · "}[sign]


def _elsewhere(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Try the slope at the result, where that at the operand is meant."""
    if e.result.shape == e.x.shape:
        inputs = [e.result if i == e.operand else x for i, x in enumerate(e.call.inputs)]
        yield (
            "the slope is taken at the result, not at the operand",
            e.gradient_at(inputs, e.upstream),
        )


def _only_where(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Try mistakes that are made for some elements only."""
    close = np.abs(e.analytic - e.numeric) <= 1e-7 * (largest(e.numeric) + largest(e.analytic))
    if close.all() or not close.any():
        return
    name = e.subject.names_of(e.call)[e.operand]
    most = np.max(np.abs(e.x), where=close, initial=0.0)
    places = ((f"{name} < 0", e.x < 0), (f"{name} > 0", e.x > 0))
    for text, where in (*places, (f"|{name}| is large", np.abs(e.x) > most)):
        if not where.all() and np.all(close | where):
            nothing = np.where(where, 0, e.numeric)
            yield f"a path is missing where {text}: nothing is sent", nothing
            yield f"wrong only where {text}", e.analytic


def _rounded(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Try numbers that went through single precision on their way."""
    yield "dtype not kept: it is rounded to single precision", e.numeric.astype(np.float32)


def _misplaced(e: Evidence) -> Iterator[tuple[str, Any]]:
    order = np.argsort(e.analytic, axis=None)
    sorted_numeric = np.sort(e.numeric, axis=None)
    placed = np.empty(e.numeric.size)
    placed[order] = sorted_numeric
    text = "elements in the wrong places: the gradient is right but for their order"
    yield text, placed.reshape(e.numeric.shape)


def _slope_found(e: Evidence) -> Iterator[tuple[str, Any]]:
    """Say what the rule computes, if that is simple."""
    for text, term in _elementary_terms(e):
        for sign in (1.0, -1.0, 2.0, -2.0, 0.5, -0.5):
            yield f"another slope: the rule computes {_times(sign)}{text}", sign * term


# The more particular before the more general, which would fit as well.
HYPOTHESES: tuple[Hypothesis, ...] = (
    _rounded,
    _nothing_sent,
    _repeated_index,
    _constant_factor,
    _factor_of_sizes,
    _upstream_ignored,
    _of_another_upstream,
    _operand_as_one,
    _operands_swapped,
    _transposed,
    _sums,
    _factor_of_axes,
    _overwritten,
    _left_out,
    _cross_terms,
    _sums_along_another_axis,
    _terms,
    _slope_found,
    _elsewhere,
    _factor_of_elements,
    _misplaced,
    _only_where,
)
# Mistakes that would be made in every call.
EVERYWHERE: tuple[Hypothesis, ...] = (
    _nothing_sent,
    _constant_factor,
    _of_another_upstream,
    _operand_as_one,
    _slope_found,
    _elsewhere,
    _factor_of_elements,
)
