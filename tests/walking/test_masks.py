"""A causal mask's infinities are not blamed, and what is really not finite is: in every view.

Each case is a block as of nanoGPT, with its mask put in another way. The prompt, the picture and
the page must mark the same.
"""

import json
import math
import re

import numpy as np
import pytest

from autolm import Tensor, Value, draw, ops, scope
from autolm.drawing.palette import LIGHT
from autolm.drawing.renderers import lay_out
from autolm.engine.graph import topological_order
from autolm.pages import player
from autolm.walking import blame_nonfinite
from autolm.walking.blame import blamed_nodes
from tests.needs import need_renderer
from tests.session import Session

INF = math.inf
TIME, WIDTH = 4, 6
HIDDEN = np.triu(np.ones((TIME, TIME), bool), 1)
MASKS = {
    "masked_fill": lambda scores: ops.masked_fill(scores, mask=HIDDEN, value=-INF),
    "where": lambda scores: ops.where(HIDDEN, -INF, scores),
    "a constant added": lambda scores: (
        scores + Tensor(np.where(HIDDEN, -INF, 0.0), requires_grad=False, name="mask")
    ),
}


def weights(name, rng, *shape):
    return Tensor(rng.normal(size=shape) / 2, name=name)


def block(mask, spoil=None, layers=2, seed=0):
    """Return the loss of a small transformer; `spoil` changes its weights first."""
    rng = np.random.default_rng(seed)
    x, parts = weights("x", rng, TIME, WIDTH), []
    for layer in range(layers):
        names = [f"blocks.{layer}.{name}" for name in ("q", "k", "v", "out")]
        parts.append([weights(name, rng, WIDTH, WIDTH) for name in names])
    if spoil:
        spoil(parts)
    for layer, (q, k, v, out) in enumerate(parts):
        with scope(f"blocks.{layer}.attention"):
            scores = (x @ q) @ (x @ k).swapaxes(0, 1) / WIDTH**0.5
            y = ops.softmax(MASKS[mask](scores)) @ (x @ v) @ out
        x = ops.layer_norm(x + y, Tensor(np.ones(WIDTH)), Tensor(np.zeros(WIDTH)))
    return (x * x.tanh()).mean()


def undefined_weight(parts):
    parts[-1][2].data[0, 0] = math.nan


def overflowing_weight(parts):
    parts[0][0].data[:] = 1e200
    parts[0][1].data[:] = -1e200


SPOILT = {"a weight is nan": undefined_weight, "scores overflow": overflowing_weight}


def alarms_of(page):
    """Return the boxes that a page marks at any moment, over all its pictures."""
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    scenes = json.loads(data[1].replace("\\u003c", "<"))["scenes"]
    return {
        (scene["key"], key)
        for scene in scenes
        for moment in scene["moments"]
        for key in moment["alarms"]
    }


def marked_in(root):
    """Return which views mark something as not finite."""
    need_renderer()
    views = [draw(root, **options).view for options in ({}, {"depth": 0}, {"focus": root})]
    return {
        "picture": any(not box.is_finite for view in views for box in view.boxes),
        "svg": LIGHT.alarm_line.encode() in lay_out(draw(root).source, "svg", 60),
        "prompt": "no non-finite number reaches" not in Session(root, {}).say("nan"),
        "page": bool(alarms_of(player(root).html)),
    }


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("mask", MASKS)
def test_a_causal_mask_is_marked_nowhere(mask, layers):
    root = block(mask, layers=layers)
    assert any(np.isinf(node.data).any() for node in topological_order(root))
    root.backward(retain_grads=True)
    assert set(marked_in(root).values()) == {False}


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("mask", MASKS)
def test_what_is_really_not_finite_is_marked_everywhere(mask, spoil):
    with np.errstate(all="ignore"):
        root = block(mask, SPOILT[spoil])
        assert not np.isfinite(root.data)
        assert set(marked_in(root).values()) == {True}


@pytest.mark.parametrize("mask", MASKS)
def test_a_weight_that_is_nan_is_blamed_and_not_the_mask_before_it(mask):
    blame = blame_nonfinite(block(mask, undefined_weight))
    assert (blame.node.name, blame.first_nan) == ("blocks.1.v", None)
    assert math.isnan(blame.value)


def test_a_row_that_is_masked_whole_is_blamed_on_the_mask():
    scores = Tensor(np.zeros((2, 2)), name="scores")
    masked = ops.masked_fill(scores, mask=np.array([[False, True], [True, True]]), value=-INF)
    blame = blame_nonfinite(ops.exp(masked - masked.max(axis=1, keepdims=True)).sum())
    assert blame.node is masked
    assert math.isnan(blame.first_nan.value)


HARMLESS = {
    "a maximum that begins at −inf": lambda x: ops.maximum(x, -INF).sum(),
    "an infinite denominator": lambda x: (1 / (1 + ops.exp(x * 1e4).detach())).sum() + x.sum(),
    "a target that is nan, and left out": lambda x: (
        ops.where(np.array([True, False]), x, 0.0) * 1.0
        + ops.where(
            np.array([True, False]), 0.0, 0.0 * Tensor([1.0, math.nan], requires_grad=False)
        )[0]
    ).sum(),
}
HARMFUL = {
    "a leaf that is inf": lambda x: (x * INF).sum(),
    "a nan that `where` leaves out, and whose gradient is nan": lambda x: ops.where(
        np.array([True, True]), x, (x - 5).log()
    ).sum(),
    "0 · inf": lambda x: (x * 0 * INF).sum(),
    "the logarithm of 0": lambda x: (x - x).log().sum(),
}


@pytest.mark.parametrize("name", [*HARMLESS, *HARMFUL])
def test_what_is_blamed_is_what_is_marked(name):
    x = Tensor([1.0, 2.0], name="x")
    with np.errstate(all="ignore"):
        root = (HARMLESS | HARMFUL)[name](x)
        root.name = "loss"
        assert set(marked_in(root).values()) == {name in HARMFUL}
    blamed = blamed_nodes(topological_order(root))
    drawn = {box.nodes[0] for box in draw(root, max_boxes=99).view.boxes if not box.is_finite}
    assert drawn == blamed


def test_an_infinite_value_that_ends_finite_is_no_alarm_of_a_page_of_values():
    x = Value(2.0, name="x")
    root = 1 / (1 + (x * 1e3).exp()) + x
    assert set(marked_in(root).values()) == {False}
