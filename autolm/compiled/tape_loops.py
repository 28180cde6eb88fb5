"""The two loops of a Tape: the operations of Value on flat arrays of numbers.

The loops use no objects and no closures, so that numba can compile them; without numba they run as
plain Python. Their arithmetic is that of `value.py` in the order of `backward()`, so all three give
the same numbers bit for bit. `value.py` explains the rules.

`data` has the numbers of the leaves, then the result of each operation, operands before results.
Operation k has code `codes[k]`; its operands are `operands[starts[k]:starts[k + 1]]`, each an index
into `data`. Most operations have one or two, so `firsts[k]` and `lasts[k]` have the first and the
last. Sums and products are the most frequent operations: forward, one comparison separates them
from the others, which branch prediction handles better than a jump per code.
"""

from __future__ import annotations

import math
from functools import cache
from math import copysign, inf, nan
from typing import Any, NamedTuple

from autolm.compiled.disk_cache import compiled

# The code of an operation is the index of its name.
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
    """Compute every result; return 0, or nan if one is not finite."""
    check = 0.0
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
        check += y - y  # inf − inf and nan − nan are nan; leaving the loop here would be slower
    return check


def replay_backward(
    codes: Any,
    firsts: Any,
    lasts: Any,
    starts: Any,
    operands: Any,
    data: Any,
    gradients: Any,
) -> float:
    """Compute every gradient, the last operation first; return 0, or nan if one is not finite.

    `gradients` starts as −0.0 except at the root, because −0.0 + x is x, even if x is −0.0.
    """
    leaves = len(data) - len(codes)
    results, upstream, check = data[leaves:], gradients[leaves:], 0.0
    for k in range(len(codes) - 1, -1, -1):
        grad = upstream[k]
        check += grad - grad
        code, first, last = codes[k], firsts[k], lasts[k]
        if code == MUL:
            gradients[first] += grad * data[last]
            gradients[last] += grad * data[first]
            continue
        if code == ADD:  # before data is loaded, which it does not need
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
    return check


def _slope(code: int, a: float, y: float) -> float:
    """Return dy/da of an operation with one operand."""
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
    except (ValueError, OverflowError):  # C, and so the compiled loop, returns a value
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

    `fastmath` is off, because it would change the order of sums.
    """
    from numba.extending import overload, register_jitable

    for function in (_slope, _div, _exp, _log, _sin, _cos):
        register_jitable(function)
    overload(_pow)(lambda a, b: lambda a, b: math.pow(a, b))
    forward, backward = (
        compiled(loop, error_model="numpy") for loop in (replay_forward, replay_backward)
    )
    return Loops(forward, backward, native=True)
