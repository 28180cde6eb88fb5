"""A walk as a stack of calls: the operation, the modules around it, and the call of backward()."""

from pathlib import Path

from autolm import Value, record_locations, scope
from autolm.walking import Walk
from autolm.walking.program import Program
from autolm.walking.stack import Stack

PROGRAM = """\
from autolm import Value, scope
def head(x):
    with scope("head"):
        return inner(x) * 2
def inner(x):
    with scope("inner"):
        return -(x
                 + 1)
def train():
    x = Value(2.0, name="x")
    loss = head(x)
    loss.backward()
train()
"""


def test_frames_are_the_operation_its_modules_and_the_calls_with_their_lines(tmp_path):
    path, frames_seen = tmp_path / "prog gram é.py", []
    path.write_text(PROGRAM)

    def look(here):
        walk = here.walk()
        walk.goto(1)
        frames = Stack(walk, here.call).frames()
        frames_seen.extend((f.name, Path(f.place.path).name, f.place.line, f.scope) for f in frames)
        place = frames[0].place
        frames_seen.append((place.line, place.column, place.end_line, place.end_column))
        walk.goto(3)
        frames_seen.append([(f.name, f.place.line) for f in Stack(walk, here.call).frames()])
        walk.finish()

    assert Program(path).run(look) == 0
    name = path.name
    assert frames_seen == [
        ("−   -(x + 1)", name, 7, "head.inner"),
        ("head.inner", name, 6, "head.inner"),
        ("head", name, 3, "head"),
        ("train", name, 12, ""),
        ("<module>", name, 13, ""),
        (7, 15, 8, 21),
        [("the end of the backward of inner(x) * 2", 12), ("train", 12), ("<module>", 13)],
    ]


def test_without_lines_there_are_scopes_all_the_same():
    with scope("a.b"), scope("c"):
        y = Value(2.0, name="x").tanh()
    frames = Stack(Walk(y)).frames()
    assert [(f.name, f.place) for f in frames] == [
        ("tanh   #1 = tanh(x)", None),
        ("a.b.c", None),
        ("a.b", None),
        ("a", None),
    ]
    leaf = Stack(Walk(Value(1.0, name="x"))).frames()
    assert [(f.name, f.place) for f in leaf] == [("the end of the backward of x", None)]


def test_at_the_end_without_a_call_the_place_is_that_of_the_root():
    with record_locations():
        y = Value(2.0, name="x").tanh()
    walk = Walk(y)
    walk.goto(1)
    assert Stack(walk).frames()[0].place == y.location.user
