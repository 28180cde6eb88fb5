"""What nodes have the name at the prompt: by visible signs, not too many, which mean them."""

from autolm import Value
from autolm.engine.backprop import Backprop
from autolm.walking.names import MAX_NAME, Names


def test_a_name_is_cut_and_visible_and_what_cannot_be_typed_is_not_completed():
    x, y = Value(2.0, name="x" * 5000), Value(3.0, name="\x1b[8my")
    root = x * y
    root.name = "root"
    names = Names(Backprop(root).operations, {})
    assert names(x) == names.short(x) == "x" * (MAX_NAME - 1) + "…"
    assert names(y) == "␛[8my"
    assert names.find("x" * 5000) is x
    assert names.find("#3") is y
    assert set(names.words()) == {"root", "x" * 5000, "mul"}
