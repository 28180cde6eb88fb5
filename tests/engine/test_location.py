"""Locations: the calls that created a node, with lines and columns, and their scopes."""

import inspect
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from inspect import currentframe
from pathlib import Path

import numpy as np
import pytest

import autolm
from autolm import Tensor, Value, record_locations, scope
from autolm.engine.location import Frame, _location_of
from autolm.nn import Module

each_engine = pytest.mark.parametrize("leaf", [Value, Tensor])


def source(frame):
    """Read a call's text from this file."""
    with open(frame.path, "rb") as file:
        line = file.read().splitlines()[frame.line - 1]
    assert frame.line == frame.end_line
    return line[frame.column : frame.end_column].decode()


@each_engine
def test_columns_are_those_of_the_expression(leaf):
    w = [leaf(2.0), leaf(3.0)]
    x = leaf(0.5)
    with record_locations():
        y = w[0] * x + w[1] * (-x).tanh()
    first, second = y.parents
    assert [source(node.location.user) for node in (y, first, second, second.parents[1])] == [
        "w[0] * x + w[1] * (-x).tanh()",
        "w[0] * x",
        "w[1] * (-x).tanh()",
        "(-x).tanh()",
    ]


@each_engine
def test_frames_go_from_the_innermost_call_outwards(leaf):
    def square(x):
        return x * x

    def twice(x):
        return square(square(x))

    with record_locations():
        y = twice(leaf(2.0))
    names = [frame.function for frame in y.location.frames if frame.path == __file__]
    here = currentframe().f_code.co_name
    assert names[:3] == ["square", "twice", here]
    twice_of = [frame for frame in y.location.frames if frame.function == "twice"]
    inner_of = [frame for frame in y.parents[0].location.frames if frame.function == "twice"]
    assert source(twice_of[0]) == "square(square(x))"
    assert source(inner_of[0]) == "square(x)"


def calls_of(stack):
    return [(frame.filename, frame.lineno, frame.function) for frame in stack]


def test_every_call_is_known_however_deep_the_block_and_whoever_runs_it():
    def made(x):
        return x * x, calls_of(inspect.stack(0)[1:])

    def in_a_block(x):
        with record_locations():
            return [made(x), made(x), next(generated(x))]

    def generated(x):
        with record_locations():
            while True:
                yield made(x)

    def deep(function, calls):
        return deep(function, calls - 1) if calls else function(Value(2.0))

    steps = generated(Value(2.0))
    found = [*deep(in_a_block, 0), *deep(in_a_block, 9), next(steps)]
    found.append(next(steps))  # another line waits for it now
    with record_locations(), ThreadPoolExecutor() as pool:
        found.append(pool.submit(copy_context().run, made, Value(2.0)).result())
        for function in (in_a_block, lambda x: [made(x)]):
            found += deep(function, 3)
    for node, calls in found:
        frames = [(frame.path, frame.line, frame.function) for frame in node.location.frames[1:]]
        assert frames == calls


def test_location_reads_as_file_and_line_of_the_program():
    with record_locations():
        y, line = Value(2.0) * 3, currentframe().f_lineno
    assert str(y.location) == f"{__file__}:{line}"
    assert repr(y.location) == f"<location {__file__}:{line}>"


def test_function_of_numpys_is_no_call_of_the_program():
    x = Tensor([0.5, 1.0])
    with record_locations():
        results = [np.exp(x), np.sum(x), np.ones(2) * x]
    assert [source(y.location.user) for y in results] == [
        "np.exp(x)",
        "np.sum(x)",
        "np.ones(2) * x",
    ]


@each_engine
def test_each_call_knows_its_scope_and_each_scope_where_it_was_entered(leaf):
    def inner(x):
        with scope("inner"):
            return x * x

    with record_locations(), scope("outer"):
        entered = currentframe().f_lineno - 1
        y = inner(leaf(2.0))
    functions = {frame.function: frame.scope for frame in reversed(y.location.frames)}
    assert functions["inner"] == "outer.inner"
    assert functions[currentframe().f_code.co_name] == "outer"
    assert [frame.scope for frame in y.entered] == ["outer", "outer.inner"]
    assert str(y.entered[0].location) == f"{__file__}:{entered}"
    assert y.entered[1].location.user.function == "inner"


class Double(Module):
    def forward(self, x):
        return x + x


class Outer(Module):
    def __init__(self):
        self.double = Double()

    def forward(self, x):
        return self.double(x) * 3


def test_scope_of_a_module_was_entered_where_the_module_was_called():
    with record_locations():
        y = Outer()(Tensor(2.0)).parents[0]
    assert y.scope == "double"
    assert source(y.entered[-1].location.user) == "self.double(x)"
    scopes = [frame.scope for frame in y.location.frames if frame.function == "forward"]
    assert scopes == ["double", ""]


@each_engine
def test_nodes_of_one_place_share_what_is_known_of_it(leaf):
    x = leaf(2.0)
    with record_locations():
        results = [x * x for _ in range(3)]
    assert len({id(node.location) for node in results}) == 1


@pytest.mark.parametrize("decorated", [True, False])
def test_decorated_function_is_in_the_scope_at_every_depth(decorated):
    def count(n):
        return (Value(1.0), *inner(n - 1)) if n else (Value(1.0),)

    inner = scope("count")(count) if decorated else count
    scopes = [value.scope for value in inner(2)]
    assert scopes == (["count", "count.count", "count.count.count"] if decorated else [""] * 3)


def test_recording_locations_ends_with_its_block():
    with record_locations():
        pass
    assert Value(2.0).location is None


ROOT = Path(autolm.__file__).parent
PROGRAMS = {"lm", "cli", "nn"}  # what is written with the rest; of nn/, all but module.py


@pytest.mark.parametrize(
    "file", sorted(str(file.relative_to(ROOT)) for file in ROOT.rglob("*.py")), ids=str
)
def test_call_is_of_the_program_only_outside_the_rooms_of_the_machinery(file):
    room, _, name = file.rpartition("/")
    frame = Frame(str(ROOT / file), 1, 1, 0, 0, "f", "")
    user = Frame("/a/program.py", 2, 2, 0, 0, "g", "")
    is_program = not room or (room.partition("/")[0] in PROGRAMS and name != "module.py")
    assert _location_of((frame, user)).user == (frame if is_program else user)


def test_file_whose_name_begins_like_a_room_is_a_program():
    frame = Frame(str(ROOT / "operators_of_mine.py"), 1, 1, 0, 0, "f", "")
    assert _location_of((frame, frame._replace(path="/a/program.py"))).user == frame
