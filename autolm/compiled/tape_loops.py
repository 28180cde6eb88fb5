"""The two loops of a Tape: every operation of a Value once more, on flat arrays of numbers.

Here are no objects and no closures, so numba can compile the file as it stands; without numba it
runs as plain Python. Both do the arithmetic of `value.py` in the order of `backward()`, so all
three agree to the last bit. Why a rule is as it is stands there.

The numbers of the leaves come first in `data`, then a result for each operation, operands before
results. Operation k has code `codes[k]`, and its operands are `operands[starts[k]:starts[k + 1]]`,
each the place of a number in `data`; as most have one or two, `firsts[k]` and `lasts[k]` are at
hand. Sums and products are most of a graph, so they come first, and on the way forward are told
apart from all else by one comparison that a processor foresees; one leap for every code it does
not, and waits.
"""

from __future__ import annotations

import math
from functools import cache
from math import copysign, inf, nan
from typing import Any, NamedTuple

from autolm.compiled.disk_cache import compiled

# An operation's code is the place of its name.
NAMES = (
    *("mul", "add", "dot", "sum", "relu", "exp", "log", "div", "sub", "pow", "neg", "sqrt", "tanh"),
    *("sigmoid", "maximum", "minimum", "abs", "sin", "cos", "softplus", "erf", "erfc"),
)
CODES = {name: code for code, name in enumerate(NAMES)}
MUL, ADD, DOT, SUM, RELU, EXP, LOG, DIV, SUB, POW, NEG, SQRT, TANH = range(13)
SIGMOID, MAXIMUM, MINIMUM, ABS, SIN, COS, SOFTPLUS, ERF, ERFC = range(13, 22)

TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


def replay_forward(
    codes: Any, firsts: Any, lasts: Any, starts: Any, operands: Any, data: Any
) -> float:
    """Compute every result; return 0, or nan where one is not finite."""
    doubt = 0.0
    results = data[len(data) - len(codes) :]
    for k in range(len(codes)):
        code, a, b = codes[k], data[firsts[k]], data[lasts[k]]
        y = 0.0
        if code <= ADD:
            y = a * b if code == MUL else a + b
        elif code == DOT:
            start, stop = starts[k], starts[k + 1]
            half = (stop - start) // 2
            for i in range(start, start + half):
                y += data[operands[i]] * data[operands[i + half]]
        elif code == SUM:
            for i in range(starts[k], starts[k + 1]):
                y += data[operands[i]]
        elif code == RELU:
            y = 0.0 if a < 0.0 else a
        elif code == EXP:
            y = _exp(a)
        elif code == LOG:
            y = _log(a)
        elif code == DIV:
            y = _div(a, b)
        elif code == SUB:
            y = a - b
        elif code == POW:
            y = _pow(a, b)
        elif code == NEG:
            y = -a
        elif code == SQRT:
            y = math.sqrt(a) if a >= 0 else nan
        elif code == TANH:
            y = math.tanh(a)
        elif code == SIGMOID:
            y = 1.0 / (1.0 + _exp(-a))
        elif code == MAXIMUM:
            y = a if a > b or a != a else b
        elif code == MINIMUM:
            y = a if a < b or a != a else b
        elif code == ABS:
            y = abs(a)
        elif code == SIN:
            y = _sin(a)
        elif code == COS:
            y = _cos(a)
        elif code == SOFTPLUS:
            y = max(a, 0.0) + math.log1p(math.exp(-abs(a)))
        elif code == ERF:
            y = math.erf(a)
        elif code == ERFC:
            y = math.erfc(a)
        results[k] = y
        doubt += y - y  # inf − inf and nan − nan are nan; to stop here would cost much more
    return doubt


def replay_backward(
    codes: Any,
    firsts: Any,
    lasts: Any,
    starts: Any,
    operands: Any,
    data: Any,
    gradients: Any,
) -> float:
    """Send every gradient on, the last operation first; return as `replay_forward` does.

    `gradients` starts as −0.0 everywhere but at the root: only −0.0 + x is x for x = −0.0 as well.
    """
    leaves = len(data) - len(codes)
    results, upstream, doubt = data[leaves:], gradients[leaves:], 0.0
    for k in range(len(codes) - 1, -1, -1):
        grad = upstream[k]
        doubt += grad - grad
        code, first, last = codes[k], firsts[k], lasts[k]
        if code == MUL:
            gradients[first] += grad * data[last]
            gradients[last] += grad * data[first]
            continue
        if code == ADD:  # nothing is loaded that is not needed: backward has more to store
            gradients[first] += grad
            gradients[last] += grad
            continue
        a, b, y = data[first], data[last], results[k]
        if code == DOT:
            start, stop = starts[k], starts[k + 1]
            half = (stop - start) // 2
            for i in range(start, start + half):
                gradients[operands[i]] += grad * data[operands[i + half]]
            for i in range(start, start + half):
                gradients[operands[i + half]] += grad * data[operands[i]]
        elif code == SUM:
            for i in range(starts[k], starts[k + 1]):
                gradients[operands[i]] += grad
        elif code == SUB:
            gradients[first] += grad
            gradients[last] += -grad
        elif code == DIV:
            gradients[first] += _div(grad, b) if grad != 0.0 else 0.0
            gradients[last] += -_div(grad * y, b) if grad != 0.0 else 0.0
        elif code == POW:
            base, power = 0.0, 0.0
            if grad != 0.0 and b != 0.0:
                base = grad * b * _pow(a, b - 1.0)
            if grad != 0.0 and a != 0.0:  # 0 to a power below 0 is inf, where forward stops
                power = grad * y * _log(a)
            gradients[first] += base
            gradients[last] += power
        elif code in (MAXIMUM, MINIMUM):
            shared = grad / 2.0 if a == b else grad
            first_loses = a < b if code == MAXIMUM else a > b
            last_loses = a > b if code == MAXIMUM else a < b
            gradients[first] += 0.0 if first_loses else shared
            gradients[last] += 0.0 if last_loses else shared
        elif grad != 0.0:
            gradients[first] += grad * _slope(code, a, y)
        else:
            gradients[first] += 0.0
    return doubt


def _slope(code: int, a: float, y: float) -> float:
    """Return dy/da of an operation of one number."""
    if code == RELU:
        return 0.0 if a <= 0.0 else 1.0
    if code == EXP:
        return y
    if code == LOG:
        return _div(1.0, a)
    if code == NEG:
        return -1.0
    if code == SQRT:
        return _div(0.5, y)
    if code == TANH:
        return 1.0 - y * y
    if code == SIGMOID:
        return y * (1.0 - y)
    if code == ABS:
        return copysign(1.0, a) if abs(a) > 0.0 else 0.0
    if code == SIN:
        return _cos(a)
    if code == COS:
        return -_sin(a)
    if code == SOFTPLUS:
        return 1.0 / (1.0 + _exp(-a))
    slope = TWO_OVER_ROOT_PI * math.exp(-a * a)
    return slope if code == ERF else -slope


def _div(a: float, b: float) -> float:
    if b != 0.0:
        return a / b
    return nan if a == 0.0 or a != a else copysign(inf, a) * copysign(1.0, b)


def _pow(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except (ValueError, OverflowError):  # where C, and so the compiled loop, has a value
        return nan if a < 0 and b % 1 else copysign(inf, a) if b % 2 == 1 else inf


def _exp(a: float) -> float:
    return inf if a > 709.782712893384 else math.exp(a)


def _log(a: float) -> float:
    return math.log(a) if a > 0.0 else -inf if a == 0.0 else nan


def _sin(a: float) -> float:
    return math.sin(a) if abs(a) < inf else nan


def _cos(a: float) -> float:
    return math.cos(a) if abs(a) < inf else nan


class Loops(NamedTuple):
    """The two loops, and whether they are compiled."""

    forward: Any
    backward: Any
    native: bool


PLAIN = Loops(replay_forward, replay_backward, native=False)


@cache
def native_loops() -> Loops:
    """Compile the loops, or load them from the cache that numba keeps on disk.

    No `fastmath`: it would let sums be taken in another order.
    """
    from numba.extending import overload, register_jitable

    for function in (_slope, _div, _exp, _log, _sin, _cos):
        register_jitable(function)
    overload(_pow)(lambda a, b: lambda a, b: math.pow(a, b))
    forward, backward = (
        compiled(loop, error_model="numpy") for loop in (replay_forward, replay_backward)
    )
    return Loops(forward, backward, native=True)
