"""A program of single numbers, computed again by the page in a real browser, as by the engine."""

import json
import math
import random
from itertools import pairwise

import numpy as np
import pytest

from autolm import Value, topological_order
from autolm.drawing.gradients import walk
from autolm.drawing.matrix import cell, exponent
from autolm.engine.value import OPERATIONS, operation
from autolm.pages import player
from autolm.pages.scalar_program import IN_JAVASCRIPT, number, scalar_program
from autolm.walking import wording
from autolm.walking.blame import blamed_nodes
from tests.needs import need_renderer
from tests.pages.player_page import (
    box_texts,
    go_to,
    is_visible,
    key_of,
    lines,
    opened,
    position,
    report_lines,
    to_the_last_step,
)

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -2.0]


@pytest.fixture
def neuron(browser, neuron_page):
    yield opened(browser, neuron_page)
    assert browser.problems == []


def random_program(rng):
    """Apply operations of every kind to a few leaves, in any order and with any sharing."""
    pick = lambda: rng.choice(SPECIAL) if rng.random() < 0.2 else rng.gauss(0, 1.5)  # noqa: E731
    nodes = [Value(pick(), requires_grad=rng.random() < 0.8) for _ in range(4)]
    for _ in range(rng.randint(1, 12)):
        name = rng.choice(sorted(IN_JAVASCRIPT))
        arity = OPERATIONS[name].arity
        if arity:
            result = getattr(Value, name)(*rng.choices(nodes, k=arity))
        elif name == "sum":
            result = Value.sum(rng.choices(nodes, k=3))
        else:
            result = Value.dot(rng.choices(nodes, k=2), rng.choices(nodes, k=2))
        nodes.append(result)
    return next(node for node in reversed(nodes) if node.parents)


def test_the_page_computes_what_the_engine_computes(neuron):
    """Random programs, with every operation, kinks, zeros, and what is not finite."""
    rng = random.Random(19)
    programs, expected, used = [], [], set()
    while len(programs) < 250:
        root = random_program(rng)
        order = topological_order(root)
        if not root.requires_grad:
            continue
        steps = walk(root, set(order)).steps
        programs.append(scalar_program(order, steps))
        used |= {node.op.name for node in order if node.op}
        contributions = [[number(x) for c in step.contributions for x in c[1:]] for step in steps]
        expected.append([[number(node.data) for node in order], contributions])
    assert used == IN_JAVASCRIPT
    computed = neuron.evaluate(
        f"""{json.dumps(programs)}.map((program) => {{
            const text = (x) => x === null || Number.isFinite(x) ? x : String(x);
            const data = program.data.map((x, i) => program.operations[i] ? null : readNumber(x));
            const steps = backward(program, forward(program, data));
            return [data.map(text),
                steps.map((step) => step.sent.flatMap((sent) => sent.map(text)))]; }})"""
    )
    for ours, theirs in zip(expected, computed, strict=True):
        assert flat(theirs) == pytest.approx(flat(ours), rel=1e-12, abs=1e-300, nan_ok=True)


def flat(nested):
    if isinstance(nested, list):
        return [x for part in nested for x in flat(part)]
    return [9e99 if nested is None else float(nested)]


def test_numbers_are_written_as_everywhere(neuron):
    rng = np.random.default_rng(0)
    numbers = [float(x) for x in rng.normal(size=300) * 10.0 ** rng.integers(-12, 12, 300)]
    numbers += [0.0, 1.0, -2.5, 1e4, 12345.0, 0.0001, 9999.9]
    texts = neuron.evaluate(f"{json.dumps(numbers)}.map(number)")
    assert texts == [wording.number(x) for x in numbers]
    scaled = [(x, exponent(max(abs(x), abs(y)))) for x, y in pairwise(numbers)]
    texts = neuron.evaluate(f"{json.dumps(scaled)}.map(([x, e]) => inCell(x, e))")
    assert texts == [cell(x, e) for x, e in scaled]


def edit(page, name, text):
    page.click(f"#{key_of(page, name)}")
    assert is_visible(page, "#edit")
    page.evaluate(
        f"""(() => {{ const field = document.getElementById("value");
            field.value = {text!r}; field.dispatchEvent(new Event("change")); }})()"""
    )


def test_a_leaf_that_is_changed_changes_everything(neuron):
    edit(neuron, "w1", "−2.5")
    to_the_last_step(neuron)
    n = 2 * -2.5 + 6.8813735870195432
    slope = 1 - math.tanh(n) ** 2
    data, grads = box_texts(neuron, "o")["data"], box_texts(neuron, "x1")["grad"]
    assert (data, grads) == (wording.number(math.tanh(n)), wording.number(slope * -2.5))
    assert lines(neuron)[1].startswith(f"ḡ · w1 = {wording.number(slope)} × −2.5 = ")
    neuron.click(f"#{key_of(neuron, 'b')}")
    assert report_lines(neuron)[-2:] == [
        f"grad = {wording.number(slope)}, the sum of",
        f"  {wording.number(slope)} × 1 = {wording.number(slope)}   from n = x1w1x2w2 + b",
    ]
    edit(neuron, "w1", "no number")
    assert box_texts(neuron, "w1")["data"] == "−2.5"


def test_the_page_blames_what_the_engine_blames(neuron):
    rng = random.Random(7)
    programs, expected = [], []
    while len(programs) < 300:
        order = topological_order(random_program(rng))
        if any(not math.isfinite(node.data) for node in order):
            programs.append(scalar_program(order, []))
            blamed = blamed_nodes(order)
            expected.append([place for place, node in enumerate(order) if node in blamed])
    answers = neuron.evaluate(
        f"""{json.dumps(programs)}.map((program) =>
            [...blamedPlaces(program, program.data.map(readNumber))].sort((a, b) => a - b))"""
    )
    assert answers == expected
    assert [] in expected


def test_a_page_marks_after_a_change_what_is_blamed(browser, tmp_path):
    need_renderer()
    x, w = Value(0.001, name="x"), Value(1.0, name="w")
    root = w / (1 + (x * 1e3).exp()) + w
    page = opened(browser, player(root, tmp_path / "page.html"))
    marks = []
    for name, text in (("x", "2"), ("x", "0.001"), ("w", "1.7e308")):
        edit(page, name, text)
        turn = page.evaluate("view.scene.moments.findIndex((m) => m.phase === 'backward')")
        go_to(page, turn - 1)
        marks.append(page.evaluate("document.querySelectorAll('g.node.alarm').length"))
    assert marks == [0, 0, 1]  # an exponential is infinite first, and last the root


def test_what_is_told_of_a_node_is_what_has_happened_so_far(neuron):
    neuron.click(f"#{key_of(neuron, 'b')}")
    assert not any("grad" in line or "0.5" in line for line in report_lines(neuron))
    neuron.press("End")
    assert "grad = 0.5, the sum of" in report_lines(neuron)
    assert not neuron.evaluate(
        "/data −?[0-9]/.test(document.querySelector('#stage title').textContent)"
    )


def move_alpha(page, rate):
    page.evaluate(
        f"""(() => {{ const alpha = document.querySelector("input[data-alpha]");
            alpha.value = {rate}; alpha.dispatchEvent(new Event("input")); }})()"""
    )
    return float(page.evaluate("document.querySelector('[data-loss-after]').dataset.lossAfter"))


def test_moving_alpha_shows_the_loss_after_at_once_and_the_loop_goes_on(browser, tmp_path):
    need_renderer()
    w, x, b = Value(1.5, name="w"), Value(2.0, name="x", requires_grad=False), Value(0.5, name="b")
    error = w * x + b - 1.0
    loss = error * error
    page = opened(browser, player(loss, tmp_path / "loop.html"))
    assert not is_visible(page, "#training")
    page.press("End")
    assert is_visible(page, "#training")
    assert page.text("#phase") == "update"
    at = {"w": 1.5, "b": 0.5}
    for rate in (0.01, 0.05):
        for _ in range(2):
            error = at["w"] * 2 + at["b"] - 1
            after = {"w": at["w"] - rate * 4 * error, "b": at["b"] - rate * 2 * error}
            expected = (after["w"] * 2 + after["b"] - 1) ** 2
            assert move_alpha(page, rate) == pytest.approx(expected, rel=1e-12)
            assert box_texts(page, "w")["data"] == wording.number(after["w"])
            page.click("#take")
            assert position(page) == 0
            page.press("End")
            assert float(page.text("#before")) == pytest.approx(expected, rel=1e-3)
            at = after
    assert page.text("#losses").count("→") == 4
    page.evaluate("window.setInterval = (act) => { window.tick = act; return 1; }")
    page.click("#loop")
    page.evaluate("tick(); tick()")
    for _ in range(3):
        error = at["w"] * 2 + at["b"] - 1
        at = {"w": at["w"] - rate * 4 * error, "b": at["b"] - rate * 2 * error}
    expected = (at["w"] * 2 + at["b"] - 1) ** 2
    assert page.evaluate("lossBefore()") == pytest.approx(expected, rel=1e-12)
    assert page.text("#losses").endswith(f" → {wording.number(expected)}")
    assert page.evaluate("document.getElementById('line').points.length") == 8  # 7 steps
    page.press("ArrowLeft")  # who goes on stops the loop
    assert page.evaluate("loop") is None
    assert box_texts(page, "x")["data"] == "2"
    assert (w.data, loss.data) == (1.5, 6.25)


def test_the_page_computes_no_operation_that_it_does_not_know(monkeypatch):
    @Value.mul.operation.with_rule
    def of_a_user(grad):
        return (grad, grad)

    @operation("arctan", "arctan a", "ḡ / (1 + a²)")
    def arctan(a):
        return math.atan(a), lambda grad: (grad / (1 + a * a),)

    monkeypatch.setitem(OPERATIONS, "arctan", arctan.operation)
    changed = Value(2.0) * Value(3.0)
    changed.op = of_a_user
    for loss in (changed, arctan(Value(1.0))):
        assert scalar_program(topological_order(loss), []) is None


def test_the_exponent_of_a_power_is_fixed_since_its_rule_is_told_with_it():
    order = topological_order(Value(2.0, name="a") ** 3)
    free = scalar_program(order, [])["isFree"]
    assert [node.name for node, is_free in zip(order, free, strict=True) if is_free] == ["a"]
