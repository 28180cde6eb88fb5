"""Laws for functions of tensors: what a check at one point, of one layout and size, does not see.

Each compares a kernel with itself, asked in another way, or with the oracle where an example would
not do: so each says what exactly makes the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.testing.call import Call
from autolm.testing.kernels.kernel import apart, pulled
from autolm.testing.kernels.subject import KernelSubject
from autolm.testing.laws import extremes as of_extremes
from autolm.testing.laws import kinks as of_kinks
from autolm.testing.laws import linear as of_linear
from autolm.testing.laws.law import LackingError, Law, LawBroken, Tally
from autolm.testing.laws.values import broadcasting as shapes
from autolm.testing.laws.values import rule
from autolm.testing.runs import OperationError
from autolm.testing.subject import Subject
from autolm.testing.verdict import Arrays, Row, gradient_scale, largest

Array = NDArray[Any]

SAME = 1e-9  # of the size of a gradient: by so much two ways to ask may differ
MANY = 4  # operands from which on only one is frozen, or all but one
REPEATS = 4  # of equal calls


def kernel_of(subject: Subject) -> KernelSubject:
    """Return the subject as what it is here."""
    assert isinstance(subject, KernelSubject)
    return subject


def attempt(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Run what must not fail; say where it did."""
    try:
        return function(*arguments)
    except Exception as error:
        said = str(error).partition("\n")[0]
        raise OperationError(f"{what} raised {type(error).__name__}: {said}") from error


def base_gradient(subject: KernelSubject, call: Call) -> tuple[list[Array], float]:
    """Return the gradient of all operands for a plain call, and the size of it."""
    run = attempt("the forward", subject.kernel.run, call.inputs, call.attributes)
    upstreams = apart(call.given_upstream.copy(), run.results)
    sent = attempt("the backward rule", run.pull, upstreams)
    whole = [
        np.zeros(x.shape) if a is None else np.array(a)
        for a, x in zip(sent, call.inputs, strict=True)
    ]
    result = np.concatenate([np.ravel(each) for each in run.results])
    scale = gradient_scale(whole, call.inputs, result, np.ravel(call.given_upstream))
    return whole, scale


def differing(
    subject: KernelSubject, call: Call, found: Arrays, expected: Arrays, scale: float
) -> list[Row]:
    """List the elements of gradients that should be the same, and are not."""
    rows = []
    for name, a, b in zip(subject.names_of(call), found, expected, strict=True):
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


def broken(
    subject: KernelSubject, call: Call, message: str, diagnosis: str, rows: Sequence[Row] = ()
) -> LawBroken:
    """Make the failure of a law for a call."""
    program = subject.program(call)
    return LawBroken(message, call, program=program, rows=tuple(rows), diagnosis=diagnosis)


# ------------------------------------------------------------------ frozen inputs, several results


def _check_frozen(subject: Subject, call: Call, tally: Tally) -> None:
    """Ask for the gradients of some operands only, then of some results only."""
    subject = kernel_of(subject)
    expected, scale = base_gradient(subject, call)
    names = subject.names_of(call)
    for asked in _subsets(len(names)):
        those = ", ".join(name for name, yes in zip(names, asked, strict=True) if yes)
        where = f"where only {those} requires a gradient"
        found = attempt(f"the backward rule, {where},", pulled, subject.kernel, call, asked)
        wanted = [b if yes else None for b, yes in zip(expected, asked, strict=True)]
        rows = differing(subject, call, found, wanted, scale)
        if rows:
            nothing = all(
                a is None or not np.any(a)
                for name, a in zip(names, found, strict=True)
                if name in {row.operand for row in rows}
            )
            told = "gets none" if nothing else "gets another one than where all do"
            message = f"{rows[0].operand} {told}, {where}"
            diagnosis = f"frozen inputs: wrong {where}"
            raise broken(subject, call, message, diagnosis, rows)
        tally.exercised["frozen input"] += 1


def _subsets(count: int) -> list[tuple[bool, ...]]:
    """List which operands are asked for: some, and not all."""
    every = [each for each in product((True, False), repeat=count) if any(each) and not all(each)]
    if count <= MANY:
        return every
    return [each for each in every if sum(each) in (1, count - 1)]


def _check_results(subject: Subject, call: Call, tally: Tally) -> None:
    """Use one result alone, where a function has several."""
    subject = kernel_of(subject)
    kernel = subject.kernel
    run = attempt("the forward", kernel.run, call.inputs, call.attributes)
    if len(run.results) < 2:
        raise LackingError("it has one result")
    parts = apart(call.given_upstream.copy(), run.results)
    for k in range(len(parts)):
        alone = [part if i == k else None for i, part in enumerate(parts)]
        zeros = [part if i == k else np.zeros_like(part) for i, part in enumerate(parts)]
        where = f"where only result {k} is used"
        expected = attempt("the backward rule", run.pull, zeros)
        found = attempt(f"the backward rule, {where},", run.pull, alone)
        whole = [
            np.zeros(x.shape) if a is None else a
            for a, x in zip(expected, call.inputs, strict=True)
        ]
        rows = differing(subject, call, found, whole, max(map(largest, whole)))
        if rows:
            message = f"{rows[0].operand} gets another gradient {where}"
            raise broken(subject, call, message, f"several results: wrong {where}", rows)
        tally.exercised["a result alone"] += 1


# --------------------------------------------------------------------------------- sizes


def _check_sizes(subject: Subject, call: Call, tally: Tally) -> None:
    """Hold a call of another size against the oracle."""
    own = ", ".join("×".join(map(str, x.shape)) or "a number" for x in call.inputs)
    try:
        rule.check(subject, call, tally)
    except LawBroken as error:
        error.diagnosis = f"sizes: wrong at {own}, and right at the sizes of the examples"
        raise
    except OperationError as error:
        raise OperationError(f"at {own}, {error}") from error


# ------------------------------------------------------------------------ of a user's reference


def _check_reference(subject: Subject, call: Call, tally: Tally) -> None:
    """Hold results and gradients against those of another function."""
    subject = kernel_of(subject)
    reference = subject.reference
    assert reference is not None
    ours, theirs = (
        attempt(f"the forward of the {name}", k.run, call.inputs, call.attributes)
        for name, k in (("function", subject.kernel), ("reference", reference))
    )
    shapes = [[x.shape for x in run.results] for run in (ours, theirs)]
    if shapes[0] != shapes[1]:
        told = f"results of shapes {shapes[0]}, and the reference {shapes[1]}"
        raise broken(subject, call, f"the function gives {told}", "another result")
    for a, b in zip(ours.results, theirs.results, strict=True):
        size = max(largest(b), 1e-3)
        if not np.allclose(a, b, rtol=0, atol=SAME * subject.slack * size, equal_nan=True):
            off = float(np.max(np.abs(a - b)))
            message = f"the result differs from the reference's by up to {off:.3g}"
            raise broken(subject, call, message, "the forward is not that of the reference")
    expected, scale = base_gradient(subject, call)
    parts = apart(call.given_upstream.copy(), theirs.results)
    wanted = attempt("the backward of the reference", theirs.pull, parts)
    filled = [
        np.zeros(x.shape) if a is None else a for a, x in zip(wanted, call.inputs, strict=True)
    ]
    rows = differing(subject, call, expected, filled, scale)
    if rows:
        message = "the gradient differs from the reference's"
        raise broken(subject, call, message, "", rows)


# --------------------------------------------------------------------------------- conduct


def _check_hygiene(subject: Subject, call: Call, tally: Tally) -> None:
    """See whether inputs, upstreams and results stay as they are."""
    subject = kernel_of(subject)
    kernel = subject.kernel
    lent = call.copy()
    run = attempt("the forward", kernel.run, lent.inputs, lent.attributes)
    kept = [np.array(x) for x in run.results]

    def inputs_changed(by: str) -> None:
        for name, x, before in zip(subject.names_of(call), lent.inputs, call.inputs, strict=True):
            if not _equal(x, before):
                message = f"input {name} was changed in place by the {by}"
                raise broken(subject, call, message, f"input mutated: {name}")

    inputs_changed("forward")
    upstream = call.given_upstream.copy()
    parts = _copies(apart(upstream, run.results))
    before = [part.copy() for part in parts]
    attempt("the backward rule", run.pull, parts)
    if not all(map(_equal, parts, before)):
        raise broken(
            *(subject, call, "the backward rule changed the upstream gradient in place"),
            "upstream mutated: other paths of the graph still need that array",
        )
    if not all(map(_equal, run.results, kept)):
        raise broken(
            *(subject, call, "the backward rule changed the result in place"),
            "result mutated: other operations still need that array",
        )
    inputs_changed("backward rule")
    _note_dtype(subject, call, tally)


def _note_dtype(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Note a result that is wider than its operands, which may be meant."""
    if subject.kernel.is_single_by_default:
        return
    single = [x.astype(np.float32) for x in call.inputs]
    try:
        run = subject.kernel.run(single, call.attributes)
    except Exception:  # it does not take numbers of single precision
        return
    if any(x.dtype == np.float64 for x in run.results):
        tally.noted["float32 operands give a float64 result"] += 1


def _check_state(subject: Subject, call: Call, tally: Tally) -> None:
    """Pull twice, and after another call; the gradient must be the same."""
    subject = kernel_of(subject)
    kernel = subject.kernel
    expected, scale = base_gradient(subject, call)
    run = attempt("the forward", kernel.run, call.copy().inputs, call.attributes)
    other = [np.roll(x, 1) * (1 + 2.0**-4) for x in call.inputs]
    try:
        later: Any = kernel.run(other, call.attributes)
    except Exception:  # numbers that it refuses
        later = kernel.run(call.copy().inputs, call.attributes)
    parts = apart(call.given_upstream.copy(), run.results)
    first = attempt("the backward rule, after another call,", run.pull, _copies(parts))
    rows = differing(subject, call, first, expected, scale)
    if rows:
        message = "after the forward of another call the gradient of the first is another"
        raise broken(subject, call, message, "state is kept between calls", rows)
    again = attempt("a second backward", run.pull, _copies(parts))
    rows = differing(subject, call, again, expected, scale)
    if rows:
        message = "a second backward through the same graph gives another gradient"
        told = "the backward rule changes what the forward has saved"
        raise broken(subject, call, message, told, rows)
    attempt("the backward rule, of another call,", later.pull, _copies(parts))
    third = attempt("a third backward", run.pull, _copies(parts))
    rows = differing(subject, call, third, expected, scale)
    if rows:
        message = "after the backward of another call the gradient of the first is another"
        raise broken(subject, call, message, "state is kept between calls", rows)
    tally.exercised["second backward"] += 1


def _copies(arrays: Sequence[Array]) -> list[Array]:
    return [np.array(x) for x in arrays]


def _check_repeats(subject: Subject, call: Call, tally: Tally) -> None:
    """Make equal calls, and measure by how much they differ."""
    subject = kernel_of(subject)
    expected, scale = base_gradient(subject, call)
    for _ in range(REPEATS):
        found, _ = base_gradient(subject, call)
        rows = differing(subject, call, found, expected, scale)
        if rows:
            off = max(abs(row.error) for row in rows) / max(scale, 1e-300)
            message = f"equal calls give gradients that differ by up to {off:.2g} of their size"
            raise broken(subject, call, message, "not deterministic", rows)
    tally.exercised["equal calls"] += 1


def _equal(a: Array, b: Array) -> bool:
    return bool(np.array_equal(a, b, equal_nan=True))


def of_examples(subject: Subject) -> Any:
    """Draw calls like the examples."""
    return subject.calls(stretched=False)


def _of_several(subject: Subject) -> Any:
    return subject.calls(stretched=False) if len(subject.operands) > 1 else None


def _each_size(subject: Subject) -> list[Subject]:
    other_sizes = kernel_of(subject).other_sizes
    return replace(subject, cases=other_sizes).by_case() if other_sizes else []


def _with_reference(subject: Subject) -> Any:
    return subject.calls() if kernel_of(subject).reference is not None else None


def _that_broadcast(subject: Subject) -> Any:
    return shapes.examples(subject) if subject.elementwise else None


def _in_doubles(subject: Subject) -> Any:
    return None if subject.slack > 1 else of_kinks.examples(subject)


SOME = 5  # examples for laws that look at many elements of each
kinks = replace(of_kinks, examples=_in_doubles, most=SOME)  # which steps in single would hide
extremes = replace(of_extremes, most=SOME)
linear = replace(of_linear, most=SOME)
broadcasting = replace(shapes, examples=_that_broadcast)
frozen = Law(
    "frozen",
    "each operand gets the same gradient, whichever others are asked for theirs",
    _of_several,
    _check_frozen,
    most=2,
)
results = Law(
    "results",
    "of several results each may be used alone",
    lambda subject: subject.calls(stretched=False),
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
    of_conduct=True,
    most=2,
)
state = Law(
    "state",
    "the gradient is the same a second time, and after other calls",
    of_examples,
    _check_state,
    of_conduct=True,
    most=3,
)
repeats = Law(
    "repeats",
    "equal calls give equal gradients",
    of_examples,
    _check_repeats,
    of_conduct=True,
    most=1,
)
