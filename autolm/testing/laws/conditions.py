"""Laws of conditions: the gradient depends on nothing but the numbers of a call.

Each law compares a call with the same numbers under another condition: memory layout, sign of an
axis, dtype, thread, arrays that held other numbers before. No oracle is needed, so an error of the
oracle cannot make a correct rule look wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.testing.call import Call
from autolm.testing.keyword_variants import AXES
from autolm.testing.laws.backward_rule import rule
from autolm.testing.laws.law import About, Law, LawBroken, Tally, broken
from autolm.testing.laws.purity import another_call, equal, impure
from autolm.testing.operation_runner import OperationError
from autolm.testing.subject import Subject
from autolm.testing.verdict import digits_of, gradient_scale, largest

Array = NDArray[Any]
Numbers = tuple[Array, list[Array]]  # the result of a call, and its raw contributions
Layout = Callable[[Array], Array]  # makes an equal array in another memory layout

SAME_DIGITS = 10.0  # another layout may change the order of a sum
OTHER_ORDER = "elements in the wrong places: the order in memory is taken for that of the axes"
OTHER_LAYOUT = "wrong only for arrays that are not contiguous in memory"
WRONG_HALF = "dtype: wrong in half precision by more than rounding explains"
SINGLE = 1e-3  # the error allowed in single precision, relative to the largest gradient
HALF = 0.1  # in half precision
MOVES = 8.0  # changes of the gradient by rounding the inputs, allowed in half precision
ALMOST_NOTHING = 2.0**-30  # a relative change of operands
HALF_RANGE = 1e3  # results beyond it overflow in half precision on the way to a gradient


def _numbers(subject: Subject, call: Call) -> Numbers:
    """Run forward and rule on the arrays of a call themselves."""
    result, rule = subject.run(call)
    return result.copy(), subject.raw_contributions(rule, call.given_upstream, call)


def _require_same(
    subject: Subject,
    call: Call,
    condition: str,
    diagnosis: str,
    expected: Numbers,
    actual: Numbers,
    about: About = "gradient",
) -> None:
    """Raise if a condition changes the result or the gradient by more than rounding."""
    if _digits(expected[:1], actual[:1]) < SAME_DIGITS:
        message = f"the result is another {condition}"
        raise broken(subject, call, message, diagnosis, about="forward")
    names = subject.names_of(call)
    scale = gradient_scale(expected[1], call.inputs, expected[0], call.given_upstream)
    for name, a, b in zip(names, expected[1], actual[1], strict=False):
        if _digits([a], [b], scale) < SAME_DIGITS - (subject.slack > 1) * 6:
            reordered = a.shape == b.shape and np.allclose(np.sort(a, None), np.sort(b, None))
            message = f"the gradient of {name} is another {condition}"
            cause = OTHER_ORDER if diagnosis == OTHER_LAYOUT and reordered else diagnosis
            raise broken(subject, call, message, cause, about=about)


def _digits(expected: Any, actual: Any, scale: float = 0.0) -> float:
    """Return to how many digits of a scale arrays agree; what is not finite must be the same."""
    a, b = np.broadcast_arrays(expected[0], actual[0])
    finite = np.isfinite(a) & np.isfinite(b)
    if not equal(np.where(finite, 0, a).astype(float), np.where(finite, 0, b).astype(float)):
        return 0.0
    return digits_of(largest((a - b)[finite]), max(scale, largest(a[finite])))


def _fortran(array: Array) -> Array:
    return np.array(array, order="F")


def _reversed(array: Array) -> Array:
    backwards = (slice(None, None, -1),) * array.ndim
    return np.array(np.array(array[backwards], order="C")[backwards], copy=None)


def _with_gaps(array: Array) -> Array:
    if not array.ndim:
        return array.copy()
    wide = np.full(tuple(2 * n for n in array.shape), 7, array.dtype)
    view = wide[(slice(None, None, 2),) * array.ndim]
    view[...] = array
    return view


def _read_only(array: Array) -> Array:
    view = array.copy()
    view.flags.writeable = False
    return view


def _misaligned(array: Array) -> Array:
    memory = np.zeros(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


LAYOUTS: dict[str, Layout] = {
    "in Fortran order": _fortran,
    "with negative strides": _reversed,
    "with gaps in memory": _with_gaps,
    "read-only": _read_only,
    "misaligned": _misaligned,
}


def _check_layouts(subject: Subject, call: Call, tally: Tally) -> None:
    """Pass operands and upstream gradient in every layout, and an axis in its other form."""
    expected = _numbers(subject, call.copy())
    for name, layout in LAYOUTS.items():
        operands = Call(*map(layout, call.inputs), **call.attributes)
        operands.upstream = call.given_upstream.copy()
        upstream = call.copy()
        upstream.upstream = layout(call.given_upstream)
        _try_layout(subject, call, f"where the operands are {name}", expected, operands)
        _try_layout(subject, call, f"where the upstream is {name}", expected, upstream)
        tally.exercised[name] += 1
    for condition, repeated, expanded in _expanded(call):
        try:
            constant = _numbers(subject, repeated.copy())
        except OperationError:  # it refuses these numbers
            continue
        _try_layout(subject, repeated, condition, constant, expanded)
    for key, value in call.attributes.items():
        axes = call.inputs[0].ndim
        if key in subject.attributes:
            continue  # fixed by the caller
        if key in AXES and isinstance(value, int) and not isinstance(value, bool) and axes:
            other = value - axes if value >= 0 else value + axes
            same = Call(*call.copy().inputs, **{**call.attributes, key: other})
            same.upstream = call.given_upstream.copy()
            _try_axis(subject, call, f"where {key} is {other} in place of {value}", expected, same)


def _try_layout(
    subject: Subject, call: Call, condition: str, expected: Numbers, laid_out: Call
) -> None:
    try:
        actual = _numbers(subject, laid_out)
    except OperationError:  # it refuses this layout
        return
    _require_same(subject, call, condition, OTHER_LAYOUT, expected, actual)


def _try_axis(subject: Subject, call: Call, condition: str, expected: Numbers, same: Call) -> None:
    """Compare the other form of an axis, where the forward takes it for the same axis."""
    try:
        actual = _numbers(subject, same)
    except OperationError:
        return
    if equal(expected[0], actual[0]):
        cause = "axes: wrong where an axis is counted from the other end"
        _require_same(subject, same, condition, cause, expected, actual)


def _expanded(call: Call) -> Iterator[tuple[str, Call, Call]]:
    """Repeat the first row of an operand, or one number of the upstream: in memory, and by view."""
    for i, x in enumerate(call.inputs):
        if x.ndim and x.size:
            view = np.broadcast_to(x[:1], x.shape)
            inputs = [view if j == i else other for j, other in enumerate(call.inputs)]
            expanded = Call(*inputs, **call.attributes)
            expanded.upstream = call.given_upstream.copy()
            yield "where an operand is expanded", expanded.copy(), expanded
    if call.given_upstream.size:
        expanded = Call(*call.copy().inputs, **call.attributes)
        expanded.upstream = np.broadcast_to(call.given_upstream.flat[0], call.given_upstream.shape)
        yield "where the upstream is expanded", expanded.copy(), expanded


def _check_state(subject: Subject, call: Call, tally: Tally) -> None:
    node = subject.node(call)
    first = [np.array(c) for c in subject.node_contributions(node, call.given_upstream)]
    other = another_call(subject, call)
    later = subject.node(other)
    if not all(map(equal, subject.node_contributions(node, call.given_upstream), first)):
        raise impure(
            *(subject, call, "using the rule again, after another call, gives another gradient"),
            "stale or overwritten state: what the rule needs is kept outside its closure",
        )
    subject.node_contributions(later, other.upstream)
    if not all(map(equal, subject.node_contributions(node, call.given_upstream), first)):
        raise impure(
            *(subject, call, "using the rule twice gives two gradients"),
            "stale or overwritten state: the rule of one node changes what another needs",
        )
    _check_reused_arrays(subject, call)
    _check_similar_arrays(subject, call)
    _check_threads(subject, call)


def _check_reused_arrays(subject: Subject, call: Call) -> None:
    """Write other numbers into arrays that were used before, as an optimizer does."""
    other, arrays = another_call(subject, call), call.copy()
    _numbers(subject, arrays)
    for x, numbers in zip(arrays.inputs, other.inputs, strict=True):
        x[...] = numbers
    arrays.given_upstream[...] = other.given_upstream
    expected = _numbers(subject, other.copy())
    condition = "for arrays that held other numbers in an earlier call"
    cause = "state: numbers are cached by the identity of an array, which may hold others later"
    actual = _numbers(subject, arrays)
    _require_same(subject, other, condition, cause, expected, actual, about="purity")


def _check_similar_arrays(subject: Subject, call: Call) -> None:
    """Run a call after one that differs in the middle of its arrays only.

    A cache by a part of the operands then answers with the numbers of the first. It is the cause if
    the same call is right with its first element changed by almost nothing.
    """
    similar = Call(*map(_with_middle_reversed, call.inputs), **call.attributes)
    changed = Call(*(x * (1 + ALMOST_NOTHING) for x in similar.inputs), **call.attributes)
    similar.upstream = changed.upstream = call.given_upstream
    if _is_wrong(subject, call) or not _is_wrong(subject, similar) or _is_wrong(subject, changed):
        return
    message = "the gradient is another after a call that differs only in the middle of its operands"
    cause = "state: numbers are cached by a part of the operands, such as the first element"
    raise impure(subject, similar, message, cause)


def _is_wrong(subject: Subject, call: Call) -> bool:
    try:
        rule.check(subject, call, Tally())
    except LawBroken:
        return True
    except OperationError:  # it refuses these numbers
        return False
    return False


def _with_middle_reversed(array: Array) -> Array:
    flat = array.reshape(-1).copy()
    flat[1:-1] = flat[1:-1][::-1].copy()
    return flat.reshape(array.shape)


def _check_threads(subject: Subject, call: Call) -> None:
    """Run forward and rule in another thread, and the rule alone."""
    expected = _numbers(subject, call.copy())
    cause = "state: something is kept by thread, such as a threading.local"

    def rule_elsewhere() -> Numbers:
        copy = call.copy()
        result, rule = subject.run(copy)
        return result, _elsewhere(
            lambda: subject.raw_contributions(rule, copy.given_upstream, copy)
        )

    ways = {
        "in another thread": lambda: _elsewhere(lambda: _numbers(subject, call.copy())),
        "where the backward runs in another thread": rule_elsewhere,
    }
    for condition, run in ways.items():
        _require_same(subject, call, condition, cause, expected, run(), about="purity")


def _elsewhere(function: Callable[[], Any]) -> Any:
    """Call a function in a new thread; return its result, or raise its error."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            with np.errstate(all="ignore"):
                outcome.append(function())
        except Exception as error:
            outcome.append(error)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _check_dtypes(subject: Subject, call: Call, tally: Tally) -> None:
    """Compare with single and half precision, and with integers as other operands."""
    if not any(x.dtype.kind == "f" for x in call.inputs):
        return
    _check_single_precision(subject, call, tally)
    _check_half_precision(subject, call, tally)
    _check_integers(subject, call, tally)


def _check_single_precision(subject: Subject, call: Call, tally: Tally) -> None:
    """Compare with single precision; only operations of this package must keep the dtype."""
    single = _cast(call, np.float32)
    node = subject.node(single)
    if node.dtype != np.float32 and "dtype" not in call.attributes:
        message = f"float32 operands give a {node.dtype} result"
        if subject.op.written_by_a_user is None:
            raise impure(subject, call, message, "dtype not kept")
        tally.noted[message] += 1
    coarse, fine = subject.node_contributions(node, single.upstream), subject.contributions(call)
    size = max(map(largest, fine), default=0.0)
    for name, a, b in zip(subject.names_of(call), coarse, fine, strict=True):
        if a is not None and b is not None and largest(a - b) > SINGLE * max(size, 1.0):
            message = f"the gradient of {name} is another in single precision"
            raise LawBroken(message, call, subject.program(single))
    tally.exercised["float32"] += 1


def _check_half_precision(subject: Subject, call: Call, tally: Tally) -> None:
    """Compare with half precision: an error must be larger than rounding can explain."""
    half = _cast(call, np.float16)
    exact = _cast(half, np.float64)
    rounded = Call(*(x * (1 + np.finfo(np.float16).eps) for x in exact.inputs), **call.attributes)
    rounded.upstream = exact.upstream
    try:
        result, fine = subject.run(exact.copy())[0], subject.contributions(exact)
        coarse, nearby = subject.contributions(half), subject.contributions(rounded)
    except OperationError:  # it does not take half precision
        return
    if not largest(result) < HALF_RANGE:
        return
    scale = gradient_scale(fine, exact.inputs, result, exact.given_upstream)
    scale = max(scale, largest(exact.given_upstream))  # a slope of 1 may be what was cancelled
    for name, a, b, c in zip(subject.names_of(call), coarse, fine, nearby, strict=True):
        if a is None or b is None or c is None or not largest(b) < HALF_RANGE:
            continue
        off = a.astype(float) - b
        if np.isfinite(a).all() and largest(off) > HALF * scale + MOVES * largest(c - b):
            message = f"the gradient of {name} is another in half precision"
            raise LawBroken(message, call, subject.program(half), diagnosis=WRONG_HALF)
    tally.exercised["float16"] += 1


def _check_integers(subject: Subject, call: Call, tally: Tally) -> None:
    """Give one operand integers, as such and as floats of the same value."""
    for i, x in enumerate(call.inputs):
        if len(call.inputs) < 2 or x.dtype.kind != "f":
            continue
        whole = np.where(x < 0, np.floor(x), np.ceil(x))
        floats, integers = call.copy(), call.copy()
        floats.inputs = tuple(whole if j == i else each for j, each in enumerate(floats.inputs))
        integers.inputs = tuple(
            whole.astype(int) if j == i else each for j, each in enumerate(integers.inputs)
        )
        try:
            of_floats, of_integers = (subject.run(each.copy())[0] for each in (floats, integers))
            gradients = [subject.contributions(each) for each in (floats, integers)]
        except OperationError:  # it does not take integers, or refuses these numbers
            continue
        if not np.isfinite(of_floats).all() or not np.allclose(of_floats, of_integers):
            continue
        scale = gradient_scale(gradients[0], floats.inputs, of_floats, call.given_upstream)
        for j, (a, b) in enumerate(zip(*gradients, strict=True)):
            if j == i or a is None or b is None:
                continue
            if _digits([a], [b], scale) < SAME_DIGITS:
                names = subject.names_of(call)
                message = f"the gradient of {names[j]} is another where {names[i]} is integers"
                cause = f"dtype: wrong where {names[i]} is integers"
                raise LawBroken(message, integers, subject.program(integers), diagnosis=cause)
        tally.exercised["integers"] += 1


def _cast(call: Call, dtype: Any) -> Call:
    """Return the call with its floating point arrays in another dtype."""
    cast = [x.astype(dtype) if x.dtype.kind == "f" else x for x in call.inputs]
    other = Call(*cast, **call.attributes)
    other.upstream = call.given_upstream.astype(dtype)
    return other


layouts = Law(
    "layouts",
    "the gradient depends neither on memory layout nor on the sign of an axis",
    lambda subject: subject.calls(),
    _check_layouts,
    parts=Subject.by_variant,
)
state = Law(
    "state",
    "the gradient is the same again, after other calls, for reused arrays and in other threads",
    lambda subject: subject.calls(),
    _check_state,
)
dtypes = Law(
    "dtypes",
    "in single and half precision the gradient is the same but for rounding; integers change none",
    lambda subject: subject.calls(),
    _check_dtypes,
    parts=Subject.by_variant,
)
