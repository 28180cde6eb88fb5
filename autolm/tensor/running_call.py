"""Which call a program is just doing, read from its bytecode: what was written, and so asked for.

NumPy's functions in C take the numbers out of a Tensor without a word on who asked: to us,
`array.dot(x)` and `np.asarray(x)` look the same. But the frame of the program knows which call it
is doing. The instructions that fetch its function begin where the call begins, in the columns that
Python keeps of each; nothing is run again, and no source file is needed. Where the function cannot
be told so, the answer is that it is unknown.
"""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from types import CodeType, FrameType, MemberDescriptorType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from autolm.engine.graph import Node

UNKNOWN = object()  # it could be anything
OF_NUMPY = object()  # whatever it is, it came from an array or from one of NumPy's functions
A_LIST = object()  # a list or tuple, made on the spot

_SILENT = frozenset({"PRECALL", "CACHE", "KW_NAMES", "PUSH_NULL", "EXTENDED_ARG", "NOP", "COPY"})
_LISTS = frozenset({"BUILD_LIST", "BUILD_TUPLE", "LIST_EXTEND", "LIST_APPEND", "LIST_TO_TUPLE"})
_OF_COMPREHENSIONS = frozenset({"MAKE_FUNCTION", "GET_ITER", "CALL"})
_FETCHES = ("LOAD_ATTR", "LOAD_METHOD")


class RunningCall(NamedTuple):
    """A call that a frame is doing: what has its method, the method's name, and the function."""

    owner: Any
    name: str
    function: Any
    argument: Callable[[], Any]  # looks up the first of its arguments
    words: frozenset[str]  # names that any call of this code may give arguments by


class _Written(NamedTuple):
    """How a call is written: the instructions that fetch its function, and its first argument."""

    kind: str
    function: tuple[dis.Instruction, ...]
    argument: tuple[dis.Instruction, ...]
    words: frozenset[str]


def running_call(frame: FrameType) -> RunningCall | str | None:
    """Return the call, or the name of the kind of instruction if it is none; None if unknown."""
    written = _written(frame.f_code, frame.f_lasti)
    if written is None or not written.function:
        return written and written.kind
    *owner, last = written.function
    holder = _value(owner, frame) if last.opname in _FETCHES else None
    function = _attribute(holder, last.argval) if owner else _name(last, frame)
    argument = partial(_value, written.argument, frame)
    return RunningCall(holder, last.argval, function, argument, written.words)


@lru_cache(maxsize=4096)
def _written(code: CodeType, offset: int) -> _Written | None:
    instructions = [each for each in dis.get_instructions(code) if each.offset <= offset]
    *before, running = instructions
    if not running.opname.startswith(("CALL", "PRECALL")):
        return _Written(running.opname, (), (), frozenset())
    if running.positions is None or running.positions.col_offset is None:
        return None
    # what gathers `*args` and `**options` for it has the columns of the whole call
    chain = _chain([each for each in before if each.positions != running.positions], running)
    if not chain or not isinstance(chain[-1].argval, str):
        return _Written("CALL", (), (), frozenset())
    given = [each for each in before if each.offset > chain[-1].offset]
    constants = [each for each in code.co_consts if isinstance(each, tuple)]
    words = frozenset(word for each in constants for word in each if isinstance(word, str))
    return _Written("CALL", chain, _first_argument(given), words)


def _start(instruction: dis.Instruction) -> tuple[int | None, int | None]:
    at = instruction.positions
    return (at.lineno, at.col_offset) if at else (None, None)


def _chain(before: Sequence[dis.Instruction], of: dis.Instruction) -> tuple[dis.Instruction, ...]:
    """Collect, of one expression, the instructions that begin where it does, in their order."""
    chain: list[dis.Instruction] = []
    for each in reversed(before):
        if each.opname in _SILENT or _start(each) != _start(of):
            continue
        chain.insert(0, each)
        if each.opname.startswith("LOAD_") and each.opname not in _FETCHES:
            break  # a name: it begins with it
    return tuple(chain)


def _first_argument(given: Sequence[dis.Instruction]) -> tuple[dis.Instruction, ...]:
    """Find what puts the first of several arguments on the stack: the last that leaves just one."""
    depth, last = 0, None
    if given and given[0].opname == "PUSH_NULL":
        given = given[1:]
    for place, each in enumerate(given):
        if each.opcode in dis.hasjrel or each.opcode in dis.hasjabs:
            return ()
        depth += dis.stack_effect(
            each.opcode, each.arg if each.opcode >= dis.HAVE_ARGUMENT else None
        )
        if depth == 1:
            last = place
    if last is None:
        return ()
    return (*_chain(given[:last], given[last]), given[last])


def _value(instructions: Sequence[dis.Instruction], frame: FrameType) -> Any:
    """Follow names, attributes, items and calls of NumPy's as far as they show what comes out."""
    value: Any = UNKNOWN
    for each in instructions:
        if each.opname in _LISTS or _is_comprehension(each):
            value = A_LIST
        elif each.opname in _FETCHES:
            value = _attribute(value, each.argval)
        elif each.opname.startswith("LOAD_") and isinstance(each.argval, str):
            value = _name(each, frame)
        elif each.opname.startswith("CALL") and any(
            value is kind for kind in (list, tuple, sorted)
        ):
            value = A_LIST
        elif value is not A_LIST or each.opname not in _OF_COMPREHENSIONS:
            value = OF_NUMPY if is_numpys(value) else UNKNOWN
    return value


def _is_comprehension(instruction: dis.Instruction) -> bool:
    return getattr(instruction.argval, "co_name", None) == "<listcomp>"


def is_numpys(value: Any) -> bool:
    """Whether a value is NumPy's: an array, one of its modules or functions, or what they gave."""
    if isinstance(value, np.ndarray | np.generic | np.ufunc) or value is OF_NUMPY:
        return True
    name = value.__name__ if isinstance(value, ModuleType) else type(value).__module__
    module = getattr(value, "__module__", None) or ""
    return any(str(each).partition(".")[0] == "numpy" for each in (name, module))


def _name(instruction: dis.Instruction, frame: FrameType) -> Any:
    name = instruction.argval
    if instruction.opname != "LOAD_GLOBAL":
        variable = _variable(name, frame)
        if variable is not UNKNOWN:
            return variable
    return frame.f_globals.get(name, frame.f_builtins.get(name, UNKNOWN))


def _variable(name: str, frame: FrameType) -> Any:
    """Look up a local variable, and leave behind no dictionary that keeps all of them alive."""
    variables = frame.f_locals
    value = variables.get(name, UNKNOWN)
    if frame.f_code.co_flags & inspect.CO_OPTIMIZED and type(variables) is dict:  # to Python 3.12
        frames, ours, asking = 1, 1, 1
        if sys.getrefcount(variables) == frames + ours + asking:  # nobody else has it
            variables.clear()
    return value


def _attribute(owner: Any, name: str) -> Any:
    """Look an attribute up without running code of a class: properties stay unknown."""
    if owner is UNKNOWN or owner is A_LIST:
        return UNKNOWN
    if owner is OF_NUMPY or isinstance(owner, np.ndarray):
        return OF_NUMPY
    if isinstance(owner, Node):
        return OF_NUMPY if name in ("data", "grad") else UNKNOWN
    if isinstance(owner, ModuleType) or is_numpys(owner):
        return getattr(owner, name, UNKNOWN)
    found = inspect.getattr_static(owner, name, UNKNOWN)
    if isinstance(found, MemberDescriptorType):
        return getattr(owner, name, UNKNOWN)
    return UNKNOWN if hasattr(type(found), "__get__") else found
