"""Mark exercises in a page, with the standard library and the engine, without NumPy.

An exercise is a `primitive` of single numbers that returns its result and its backward rule. Its
forward function also runs on Values, so `backward()` of the engine gives the true gradient, which
the rule must match at every point. A mistake is shown in numbers, without its cause. `autolm check`
marks the same file with more laws. A part to build is plain Python, marked by test calls.
"""

import builtins
import inspect
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import autolm
from autolm import Value
from autolm.outside.language import usual_language

TOLERANCE = 1e-12  # finite differences have errors of about 1e-10 and fail
# Points without special values or equal coordinates.
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
        "at {where} and ḡ = {upstream:g} the rule sends {sent} to {name}; the engine: {true}",
        "{where}, ḡ = {upstream:g}일 때 규칙은 {name}에 {sent}을(를) 보냅니다. 엔진의 답: {true}",
    ),
    "changed": (
        "at {where} the function differs from the exercise: change only its backward rule",
        "{where}에서 함수의 값이 문제와 다릅니다. 역전파 규칙만 고치세요",
    ),
    "count": (
        "the rule must return a tuple of {need} numbers, one for each operand: {names}; got {got}",
        "규칙은 피연산자마다 하나씩, 숫자 {need}개의 튜플 ({names})을(를) 돌려주어야 합니다. "
        "지금 돌려준 것: {got}",
    ),
    "shortcut": (
        "the rule calls the engine or the function itself: write the derivative yourself",
        "규칙이 엔진이나 함수 자신을 호출합니다. 도함수를 직접 쓰세요",
    ),
    "absent": ("the exercise defines no {name}", "{name}의 정의가 없습니다"),
    "built": ("right in all {tests} tests", "시험 {tests}개를 모두 통과했습니다"),
    "built wrong": (
        "{call} gives {got}; it should be {true}",
        "{call}의 결과가 {got}입니다. 옳은 값: {true}",
    ),
    "borrowed": (
        "build it without {name}: plain Python and its math are enough",
        "{name} 없이 만드세요. 파이썬과 math만으로 됩니다",
    ),
    "error": ("{error}", "{error}"),
}


def mark(source: str, exercise: str, language: str = "en") -> tuple[bool, str]:
    """Mark an answer to an exercise.

    Parameters
    ----------
    source
        The answer: the exercise's program, with its rule changed.
    exercise
        The original program; the answer must compute the same function.
    language
        Language of the verdict.

    Returns
    -------
    tuple
        Whether the answer is right, and a line with the reason.
    """

    def say(message: str, **parts: object) -> tuple[bool, str]:
        return message == "right", WORDS[message][language == "ko"].format(**parts)

    original = _primitives(exercise)
    try:
        answered = _primitives(source)
        for name, function in original.items():
            if name not in answered:
                return say("absent", name=name)
            fault = _first_fault(answered[name], function)
            if fault:
                return say(fault.pop("message"), **fault)
    except _ShortcutError:
        return say("shortcut")
    except (Exception, SystemExit) as error:  # the learner sees the error of the program
        return say("error", error=f"{type(error).__name__}: {error}")
    return say("right", points=len(POINTS))


def mark_building(source: str, tests: str, language: str = "en") -> tuple[bool, str]:
    """Mark a part that the learner has built by comparing results of test calls.

    `tests` defines `cases(answer)`, which yields triples (call, result, true result).
    """

    def say(message: str, **parts: object) -> tuple[bool, str]:
        return message == "built", WORDS[message][language == "ko"].format(**parts)

    def bring(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] in ("autolm", "numpy"):
            raise _BorrowedError(name)
        return builtins.__import__(name, *rest)

    tested: dict[str, Any] = {}
    built: dict[str, Any] = {"__name__": "answer"}
    built["__builtins__"] = {**vars(builtins), "__import__": bring}
    try:
        exec(source, built)
        exec(tests, tested)
        count = 0
        for call, result, true in tested["cases"](_Answer(built)):
            count += 1
            if not _alike(result, true):
                return say("built wrong", call=call, got=_shown(result), true=_shown(true))
    except _AbsentError as absent:
        return say("absent", name=absent)
    except _BorrowedError as borrowed:
        return say("borrowed", name=borrowed)
    except (Exception, SystemExit) as error:
        return say("error", error=f"{type(error).__name__}: {error}")
    return say("built", tests=count)


class _AbsentError(Exception):
    """An answer lacks a name."""


class _BorrowedError(Exception):
    """An answer imports the part that it should build."""


class _Answer(dict[str, Any]):
    """The names of an answer."""

    def __missing__(self, name: str) -> Any:
        raise _AbsentError(name)


def _alike(a: Any, b: Any) -> bool:
    if isinstance(b, list | tuple):
        same = isinstance(a, list | tuple) and len(a) == len(b)
        return same and all(map(_alike, a, b))
    if isinstance(b, float):
        return isinstance(a, int | float) and math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    return type(a) is type(b) and a == b


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def _first_fault(answer: Any, exercise: Any) -> dict[str, Any] | None:
    names = list(inspect.signature(exercise.primitive).parameters)
    for point, signs, upstream in zip(POINTS, SIGNS, UPSTREAM, strict=True):
        numbers = [
            _inside(x * sign, domain)
            for x, sign, domain in zip(point, signs, _domains(exercise, len(names)), strict=False)
        ]
        where = ", ".join(f"{name} = {x:g}" for name, x in zip(names, numbers, strict=True))
        with _refusing((Value, "backward"), (Value, "steps")):
            result, rule = answer.primitive(*numbers)
        operands = [Value(x) for x in numbers]
        truth = exercise(*operands)[0]
        if not _same(result, truth.data):
            return {"message": "changed", "where": where}
        truth.backward(upstream)
        with _refusing((Value, "backward"), (Value, "steps"), (answer, "primitive")):
            gradients = _numbers(rule(upstream), len(names))
        if isinstance(gradients, str):
            about = {"need": len(names), "names": ", ".join(f"∂/∂{name}" for name in names)}
            return {"message": "count", "got": gradients, **about}
        for name, number, operand in zip(names, gradients, operands, strict=True):
            if not _same(number, operand.grad):
                digits = 6 if f"{float(number):.6g}" != f"{operand.grad:.6g}" else 15
                numbers_shown = {
                    "sent": f"{float(number):.{digits}g}",
                    "true": f"{operand.grad:.{digits}g}",
                }
                return {
                    "message": "wrong",
                    "where": where,
                    "upstream": upstream,
                    "name": name,
                    **numbers_shown,
                }
    return None


def _domains(exercise: Any, count: int) -> list[tuple[float, float]]:
    """Return the domain of each operand; the last one listed applies to all further operands."""
    stated = list(exercise.domain or [(-math.inf, math.inf)])
    return (stated + stated[-1:] * count)[:count]


def _inside(x: float, domain: tuple[float, float]) -> float:
    """Return a number in the domain: x, or −x if only −x is inside."""
    low, high = domain
    return next((y for y in (x, -x) if low <= y <= high), min(max(x, low), high))


def _numbers(returned: Any, count: int) -> Any:
    """Return a rule's result if it is `count` numbers, else its repr."""
    if count == 1 and isinstance(returned, int | float):
        return (returned,)  # as `primitive` allows
    whole = isinstance(returned, tuple) and all(isinstance(x, int | float) for x in returned)
    return returned if whole and len(returned) == count else repr(returned)


class _ShortcutError(Exception):
    """An answer calls the engine, or the function itself, for the derivative."""


@contextmanager
def _refusing(*calls: tuple[Any, str]) -> Iterator[None]:
    """Make some attributes of objects raise _ShortcutError when called."""

    def refuse(*_: Any, **__: Any) -> None:
        raise _ShortcutError

    before = [(thing, name, getattr(thing, name)) for thing, name in calls]
    for thing, name in calls:
        setattr(thing, name, refuse)
    try:
        yield
    finally:
        for thing, name, value in before:
            setattr(thing, name, value)


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _primitives(source: str) -> dict[str, Any]:
    """Run a program with `numpy` and `primitive` replaced by versions for single numbers."""
    primitives: dict[str, Any] = {}

    def primitive(function: Any = None, **record: Any) -> Any:
        if function is None:
            return lambda function: primitive(function, **record)

        def call(*numbers: Any) -> Any:
            return call.primitive(*numbers)  # type: ignore[attr-defined]

        call.primitive = function  # type: ignore[attr-defined]
        call.domain = record.get("domain")  # type: ignore[attr-defined]
        primitives[function.__name__] = call
        return call

    def bring(name: str, *rest: Any) -> Any:
        if name == "numpy":
            return NUMPY
        if name == "autolm":
            return SimpleNamespace(primitive=primitive, Value=Value, no_grad=autolm.no_grad)
        return builtins.__import__(name, *rest)

    exec(source, {"__builtins__": {**vars(builtins), "__import__": bring}, "__name__": "exercise"})
    return primitives


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


def main() -> int:
    """Mark a built part offline: `python marking.py NAME.py`, next to NAME_tests.py."""
    path = Path(sys.argv[1])
    tests = path.with_name(f"{path.stem}_tests.py").read_text("utf-8")
    right, why = mark_building(path.read_text("utf-8"), tests, usual_language())
    print("✓" if right else "✗", why)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
