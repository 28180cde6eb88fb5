"""Laws of kernels: mistakes that a check at one point, in one layout and size, misses.

Each compares a kernel with itself under one changed condition, or with the oracle at another size,
so that a broken law names the condition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.testing.call import Call
from autolm.testing.kernels.kernel import KernelRun, split_like
from autolm.testing.kernels.kernel_subject import KernelSubject
from autolm.testing.laws import backward_rule, edges, scales
from autolm.testing.laws.backward_rule import rule, shapes
from autolm.testing.laws.law import About, Law, LawBroken, Tally, broken
from autolm.testing.laws.purity import equal, impure
from autolm.testing.operation_runner import OperationError
from autolm.testing.subject import Subject
from autolm.testing.verdict import Arrays, Row, gradient_scale, largest

Array = NDArray[Any]

SAME = 1e-9  # tolerance between two gradients, relative to their size
MANY = 4  # up to so many operands every subset is frozen


def attempt(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function that must not fail; name it in the error if it does."""
    try:
        return function(*arguments)
    except Exception as error:
        message = str(error).partition("\n")[0]
        raise OperationError(f"{what} raised {type(error).__name__}: {message}") from error


def pull(run: KernelRun, upstreams: Sequence[Any], where: str = "") -> list[Array | None]:
    """Pull gradients back through a run; `where` is the condition for the error message."""
    what = f"the backward rule, {where}," if where else "the backward rule"
    gradients: list[Array | None] = attempt(what, run.pull, upstreams)
    return gradients


def filled(gradients: Arrays, call: Call) -> list[Array]:
    """Replace missing gradients by zeros."""
    pairs = zip(gradients, call.inputs, strict=True)
    return [np.zeros(x.shape) if a is None else np.array(a, dtype=float) for a, x in pairs]


def base_gradient(subject: KernelSubject, call: Call) -> tuple[list[Array], float]:
    """Return the gradient of all operands for a plain call, and the size of it."""
    run = attempt("the forward", subject.kernel.run, call.inputs, call.attributes)
    whole = filled(pull(run, split_like(call.given_upstream.copy(), run.results)), call)
    result = np.concatenate([np.ravel(part) for part in run.results])
    scale = gradient_scale(whole, call.inputs, result, np.ravel(call.given_upstream))
    return whole, scale


def differing(
    subject: KernelSubject, call: Call, actual: Arrays, expected: Arrays, scale: float
) -> list[Row]:
    """List the elements of gradients that should be the same, and are not."""
    rows = []
    for name, a, b in zip(subject.names_of(call), actual, expected, strict=True):
        if b is None:
            continue
        a = np.zeros(b.shape) if a is None else np.asarray(a, dtype=float)
        if a.shape != b.shape:
            raise LawBroken(f"the gradient of {name} has shape {a.shape}, not {b.shape}", call)
        near = np.abs(a - b) <= SAME * subject.slack * (scale + np.abs(b))
        for place in np.argwhere(~(near | (np.isnan(a) & np.isnan(b)) | (a == b))):
            index = tuple(map(int, place))
            rows.append(Row(name, index, float(a[index]), float(b[index])))
    return rows


def require_same(
    subject: KernelSubject,
    call: Call,
    actual: Arrays,
    expected: Arrays,
    scale: float,
    message: str,
    diagnosis: str,
    about: About = "gradient",
) -> None:
    """Raise if gradients differ that should be the same; `{}` in the message is the operand."""
    rows = differing(subject, call, actual, expected, scale)
    if rows:
        raise broken(subject, call, message.format(rows[0].operand), diagnosis, rows, about)


def _check_frozen(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Compare the gradients of some operands with those of all."""
    expected, scale = base_gradient(subject, call)
    names = subject.names_of(call)
    for requires_grad in _subsets(len(names)):
        operands = ", ".join(name for name, yes in zip(names, requires_grad, strict=True) if yes)
        where = f"where only {operands} requires a gradient"
        run = attempt(
            "the forward", subject.kernel.run, call.inputs, call.attributes, requires_grad
        )
        actual = pull(run, split_like(call.given_upstream.copy(), run.results), where)
        wanted = [b if yes else None for b, yes in zip(expected, requires_grad, strict=True)]
        rows = differing(subject, call, actual, wanted, scale)
        if rows:
            nothing = all(
                a is None or not np.any(a)
                for name, a in zip(names, actual, strict=True)
                if name in {row.operand for row in rows}
            )
            verb = "gets none" if nothing else "gets another one than where all do"
            message = f"{rows[0].operand} {verb}, {where}"
            raise broken(subject, call, message, f"frozen inputs: wrong {where}", rows)
        tally.exercised["frozen input"] += 1


def _subsets(count: int) -> list[tuple[bool, ...]]:
    """List proper subsets of the operands."""
    every = [
        subset for subset in product((True, False), repeat=count) if any(subset) and not all(subset)
    ]
    if count <= MANY:
        return every
    return [subset for subset in every if sum(subset) in (1, count - 1)]


def _check_results(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Use one of several results alone."""
    kernel = subject.kernel
    run = attempt("the forward", kernel.run, call.inputs, call.attributes)
    parts = split_like(call.given_upstream.copy(), run.results)
    for k in range(len(parts)):
        alone = [part if i == k else None for i, part in enumerate(parts)]
        zeros = [part if i == k else np.zeros_like(part) for i, part in enumerate(parts)]
        where = f"where only result {k} is used"
        expected = filled(pull(run, zeros), call)
        message, cause = f"{{}} gets another gradient {where}", f"several results: wrong {where}"
        scale = max(map(largest, expected))
        require_same(subject, call, pull(run, alone, where), expected, scale, message, cause)
        tally.exercised["a result alone"] += 1


def _check_sizes(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Compare a call of another size with the oracle."""
    sizes = ", ".join("×".join(map(str, x.shape)) or "a number" for x in call.inputs)
    try:
        rule.check(subject, call, tally)
    except LawBroken as error:
        error.diagnosis = f"sizes: wrong at {sizes}, and right at the sizes of the examples"
        raise
    except OperationError as error:
        raise OperationError(f"at {sizes}, {error}") from error


def _check_reference(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Compare results and gradients with those of the reference."""
    reference = subject.reference
    assert reference is not None
    ours, theirs = (
        attempt(f"the forward of the {name}", k.run, call.inputs, call.attributes)
        for name, k in (("function", subject.kernel), ("reference", reference))
    )
    shapes = [[x.shape for x in run.results] for run in (ours, theirs)]
    if shapes[0] != shapes[1]:
        shapes_text = f"results of shapes {shapes[0]}, and the reference {shapes[1]}"
        raise broken(subject, call, f"the function gives {shapes_text}", "another result")
    for a, b in zip(ours.results, theirs.results, strict=True):
        size = max(largest(b), 1e-3)
        if not np.allclose(a, b, rtol=0, atol=SAME * subject.slack * size, equal_nan=True):
            off = float(np.max(np.abs(a - b)))
            message = f"the result differs from the reference's by up to {off:.3g}"
            raise broken(subject, call, message, "the forward is not that of the reference")
    ours_gradient, scale = base_gradient(subject, call)
    parts = split_like(call.given_upstream.copy(), theirs.results)
    wanted = filled(attempt("the backward of the reference", theirs.pull, parts), call)
    message = "the gradient differs from the reference's"
    require_same(subject, call, ours_gradient, wanted, scale, message, "")


def _check_hygiene(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Require that inputs, upstream gradients and results stay unchanged."""
    copy = call.copy()
    run = attempt("the forward", subject.kernel.run, copy.inputs, copy.attributes)
    results = copies(run.results)
    _require_inputs(subject, call, copy, "forward")
    parts = copies(split_like(call.given_upstream, run.results))
    before = copies(parts)
    pull(run, parts)
    if not all(map(equal, parts, before)):
        raise impure(
            *(subject, call, "the backward rule changed the upstream gradient in place"),
            "upstream mutated: other paths of the graph still need that array",
        )
    if not all(map(equal, run.results, results)):
        raise impure(
            *(subject, call, "the backward rule changed the result in place"),
            "result mutated: other operations still need that array",
        )
    _require_inputs(subject, call, copy, "backward rule")
    _note_dtype(subject, call, tally)


def _require_inputs(subject: KernelSubject, call: Call, copy: Call, by: str) -> None:
    for name, x, before in zip(subject.names_of(call), copy.inputs, call.inputs, strict=True):
        if not equal(x, before):
            message = f"input {name} was changed in place by the {by}"
            raise impure(subject, call, message, f"input mutated: {name}")


def _note_dtype(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Note a result in a wider dtype than its operands, which may be intended."""
    if subject.kernel.is_single_by_default:
        return
    single = [x.astype(np.float32) for x in call.inputs]
    try:
        run = subject.kernel.run(single, call.attributes)
    except Exception:  # it does not take single precision
        return
    if any(x.dtype == np.float64 for x in run.results):
        tally.noted["float32 operands give a float64 result"] += 1


def _check_state(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Require the same gradient when pulled twice, and after another call."""
    kernel = subject.kernel
    expected, scale = base_gradient(subject, call)
    run = attempt("the forward", kernel.run, call.copy().inputs, call.attributes)
    other = [np.roll(x, 1) * (1 + 2.0**-4) for x in call.inputs]
    try:
        later = kernel.run(other, call.attributes)
    except Exception:  # numbers that it refuses
        later = kernel.run(call.copy().inputs, call.attributes)
    parts = split_like(call.given_upstream.copy(), run.results)

    def require(when: str, how: str, cause: str) -> None:
        gradients = attempt(how, run.pull, copies(parts))
        require_same(subject, call, gradients, expected, scale, when, cause, "purity")

    cause_kept, cause_saved = (
        "state is kept between calls",
        "the backward rule changes what the forward has saved",
    )
    message = "after the {} of another call the gradient of the first is another"
    require(message.format("forward"), "the backward rule, after another call,", cause_kept)
    again = "a second backward through the same graph gives another gradient"
    require(again, "a second backward", cause_saved)
    attempt("the backward rule, of another call,", later.pull, copies(parts))
    require(message.format("backward"), "a third backward", cause_kept)
    tally.exercised["second backward"] += 1


def copies(arrays: Sequence[Array]) -> list[Array]:
    """Return arrays of their own memory."""
    return [np.array(x) for x in arrays]


def of_examples(subject: KernelSubject) -> Any:
    """Draw calls in the shapes of the examples."""
    return subject.calls(stretched=False)


def _of_several(subject: KernelSubject) -> Any:
    return of_examples(subject) if len(subject.operands) > 1 else None


def _of_several_results(subject: KernelSubject) -> Any:
    return of_examples(subject) if len(subject.kernel.differentiable or ()) > 1 else None


def _each_size(subject: KernelSubject) -> list[Subject]:
    other_sizes = subject.other_sizes
    return replace(subject, cases=other_sizes).by_case() if other_sizes else []


def _with_reference(subject: KernelSubject) -> Any:
    return subject.calls() if subject.reference is not None else None


def _that_broadcast(subject: KernelSubject) -> Any:
    return shapes.examples(subject) if subject.elementwise else None


SOME = 5  # examples for laws that look at many elements of each
kinks, extremes, linear, magnitudes = (
    replace(law, most=SOME)
    for law in (edges.kinks, edges.extremes, backward_rule.linear, scales.magnitudes)
)
broadcasting = replace(shapes, examples=_that_broadcast)
frozen = Law(
    "frozen",
    "the gradient of an operand does not depend on which other operands require one",
    _of_several,
    _check_frozen,
    most=2,
)
results = Law(
    "results",
    "of several results each may be used alone",
    _of_several_results,
    _check_results,
    most=2,
)
sizes = Law(
    "sizes",
    "it is so at other lengths: one more, 1, none, and more than a block",
    of_examples,
    _check_sizes,
    parts=_each_size,
    most=1,
)
reference = Law(
    "reference",
    "results and gradients are those of the reference",
    _with_reference,
    _check_reference,
)
hygiene = Law(
    "hygiene",
    "inputs, upstream and results stay unchanged",
    of_examples,
    _check_hygiene,
    most=2,
)
state = Law(
    "state",
    "the gradient is the same a second time, and after other calls",
    of_examples,
    _check_state,
    most=3,
)
