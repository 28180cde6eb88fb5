"""Marks an exercise where there is no NumPy: in a page, by the standard library and the engine.

An exercise is a `primitive` of single numbers: it returns its result and its backward rule. Its
forward is run on Values too; then `backward()` of the engine knows the gradient, and the rule must
agree at every point. What is wrong is shown in numbers; the cause is left to the learner. The same
file can be given to `autolm check`, which knows more laws.
"""

import builtins
import inspect
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import autolm
from autolm import Value

TOLERANCE = 1e-9
# Points in general position: none is special, no two coordinates are equal.
POINTS = [
    (0.7, 1.3, 0.4, 1.9),
    (1.6, 0.5, 2.2, 0.8),
    (0.3, 2.1, 1.1, 0.6),
    (2.4, 0.9, 0.2, 1.5),
]
SIGNS = [(1, 1, 1, 1), (-1, 1, 1, -1), (1, -1, -1, 1), (-1, -1, 1, 1)]
UPSTREAM = (1.0, -0.75, 2.5, 1.25)
WORDS = {
    "right": (
        "the rule agrees with the engine at {points} points",
        "{points}개의 점에서 엔진과 일치합니다",
    ),
    "wrong": (
        "at {where} and ḡ = {upstream:g} the rule sends {sent} to {name}; the engine says {true}",
        "{where}, ḡ = {upstream:g}일 때 규칙은 {name}에 {sent}을(를) 보냅니다. 엔진의 답: {true}",
    ),
    "changed": (
        "at {where} the function itself is another than the exercise's: change its rule alone",
        "{where}에서 함수의 값이 문제와 다릅니다. 역전파 규칙만 고치세요",
    ),
    "count": (
        "the rule returns {got} numbers, but there are {need} operands",
        "규칙이 숫자 {got}개를 돌려줍니다. 피연산자는 {need}개입니다",
    ),
    "absent": ("the exercise defines no function {name}", "함수 {name}이(가) 없습니다"),
    "error": ("{error}", "{error}"),
}


def mark(source: str, exercise: str, language: str = "en") -> tuple[bool, str]:
    """Mark an answer to an exercise.

    Parameters
    ----------
    source
        The answer: the exercise's program, with its rule changed.
    exercise
        The program as it was given: the answer must compute the same function.
    language
        Of what is said.

    Returns
    -------
    tuple
        Whether it is right, and one line that says why.
    """

    def say(message: str, **parts: object) -> tuple[bool, str]:
        return message == "right", WORDS[message][language == "ko"].format(**parts)

    given = _primitives(exercise)
    try:
        answered = _primitives(source)
        for name, function in given.items():
            if name not in answered:
                return say("absent", name=name)
            fault = _first_fault(answered[name], function)
            if fault:
                return say(fault.pop("message"), **fault)
    except (
        Exception,
        SystemExit,
    ) as error:  # whatever a learner's program raises is what he is told
        return say("error", error=f"{type(error).__name__}: {error}")
    return say("right", points=len(POINTS))


def _first_fault(answer: Callable[..., Any], given: Callable[..., Any]) -> dict[str, Any] | None:
    names = list(inspect.signature(given).parameters)
    low = given.domain[0][0] if given.domain else None
    positive = low is not None and low >= 0
    for point, signs, upstream in zip(POINTS, SIGNS, UPSTREAM, strict=True):
        numbers = [x if positive else x * sign for x, sign in zip(point, signs, strict=True)]
        numbers = numbers[: len(names)]
        where = ", ".join(f"{name} = {x:g}" for name, x in zip(names, numbers, strict=True))
        result, rule = answer(*numbers)
        operands = [Value(x) for x in numbers]
        truth = given(*operands)[0]
        if not _same(result, truth.data):
            return {"message": "changed", "where": where}
        truth.backward(upstream)
        sent = rule(upstream)
        if not isinstance(sent, tuple) or len(sent) != len(names):
            count = len(sent) if isinstance(sent, tuple) else 1
            return {"message": "count", "got": count, "need": len(names)}
        for name, number, operand in zip(names, sent, operands, strict=True):
            if not _same(number, operand.grad):
                shown = {"sent": f"{float(number):.6g}", "true": f"{operand.grad:.6g}"}
                return {
                    "message": "wrong",
                    "where": where,
                    "upstream": upstream,
                    "name": name,
                    **shown,
                }
    return None


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _primitives(source: str) -> dict[str, Callable[..., Any]]:
    """Run a program in which `numpy` and `primitive` are those of single numbers."""
    found: dict[str, Callable[..., Any]] = {}

    def primitive(function: Any = None, **record: Any) -> Any:
        if function is None:
            return lambda function: primitive(function, **record)
        function.domain = record.get("domain")
        found[function.__name__] = function
        return function

    def bring(name: str, *rest: Any) -> Any:
        if name == "numpy":
            return NUMPY
        if name == "autolm":
            return SimpleNamespace(primitive=primitive, Value=Value, no_grad=autolm.no_grad)
        return builtins.__import__(name, *rest)

    exec(source, {"__builtins__": {**vars(builtins), "__import__": bring}, "__name__": "exercise"})
    return found


def _either(of_value: Callable[[Any], Any], of_float: Callable[[float], float]) -> Any:
    return lambda x: of_value(x) if isinstance(x, Value) else of_float(x)


NUMPY = SimpleNamespace(
    pi=math.pi,
    exp=_either(Value.exp, math.exp),
    log=_either(Value.log, math.log),
    sqrt=_either(Value.sqrt, math.sqrt),
    sin=_either(Value.sin, math.sin),
    cos=_either(Value.cos, math.cos),
    tanh=_either(Value.tanh, math.tanh),
    abs=abs,
    maximum=lambda a, b: a if a > b else b,
    minimum=lambda a, b: a if a < b else b,
    where=lambda condition, a, b: a if condition else b,
)
