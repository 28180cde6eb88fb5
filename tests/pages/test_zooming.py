"""A cell opens as a graph of single numbers: of every operation, with its value and its slopes."""

import numpy as np
import pytest

from autolm import Tensor, ops, topological_order
from autolm.drawing.gradients import walk
from autolm.engine.value import OPERATIONS
from autolm.pages import player
from autolm.pages.matrices import Matrices
from autolm.pages.scalar_program import IN_JAVASCRIPT
from autolm.tensor.quiet import quiet
from tests.calls import arity, end_to_end, operands_of
from tests.needs import need_browser, need_renderer
from tests.pages.player_page import opened

# What takes numbers as they are; the page says so.
PICKING = {"where", "clamp_min", "clamp_max", "astype", "masked_fill", "concatenate", "stack"}
PICKING |= {"ordered", "reshape", "transpose", "swapaxes", "broadcast_to", "getitem", "embedding"}
# What is opened in the debugger alone; and of others a row of one number, one that a mask hides
# whole, and a length that is not Euclidean.
DEBUGGER = {"cumsum", "einsum"}
SELDOM = {"norm", "max", "min", "prod", "softmax"}
ROWS = "sum mean prod max min norm logsumexp softmax log_softmax"

COMPARED = """matrices.flatMap((matrix, id) => [...matrix.data.keys()].map((flat) => {
    if (!matrix.made) return null;
    const isKnown = Number.isFinite(matrix.data[flat]);
    if (!canOpen(id, flat)) return isKnown ? [id, flat, matrix.made.op] : null;
    const { data, from, steps } = graphOf(id, flat, 1);
    const sums = {};
    const { operands } = DATA.zooms[matrix.made.zoom].program;
    for (const { node, sent } of steps) operands[node].forEach((k, i) => { sums[k] = sent[i][3]; });
    const slopes = from.map(([place, operand, at]) => [operand, at, sums[place] ?? 0]);
    return [id, flat, matrix.made.op, String(data.at(-1)), slopes]; })).filter(Boolean)"""


def everything():
    """Return a sum of all operations, each in all its cases; and of rows that are long."""
    rng = np.random.default_rng(5)
    results = []
    for op in ops.OPERATIONS:
        shapes = ((2, 1, 3), (2, 1), (3,))[: arity(op)]
        for case in op.cases or [ops.Case(shapes)]:
            operands = operands_of(op, case.shapes, rng)
            results.append(end_to_end(op(*operands, **case.attributes)))
    row, vector, matrix = (Tensor(rng.uniform(0.2, 0.9, s)) for s in ((2, 7), (6,), (6, 2)))
    results += [getattr(ops, name)(row, axis=-1) for name in ROWS.split()]
    results += [ops.norm(row, ord=1), vector @ matrix, matrix.T @ vector, vector @ vector]
    return sum(((result * result).sum() for result in results), start=Tensor(0.0))


def slopes_of(result_node, flat):
    """Return what one number of a result sends to each operand, by the rule of its operation."""
    with quiet():
        result, rule = result_node.op.forward(
            *(parent.data for parent in result_node.parents), **result_node.attributes
        )
        one = np.zeros(np.shape(result))
        one.flat[flat] = 1.0
        contributions = rule(one)
    return [
        reduced(contribution, np.shape(p.data))
        for contribution, p in zip(contributions, result_node.parents, strict=True)
    ]


def reduced(contribution, shape):
    contribution = np.broadcast_to(contribution, np.broadcast_shapes(np.shape(contribution), shape))
    contribution = contribution.sum(tuple(range(contribution.ndim - len(shape))))
    repeated = tuple(i for i, n in enumerate(shape) if n == 1)
    return contribution.sum(repeated, keepdims=True)


def test_every_cell_opens_with_its_value_and_its_slopes_or_says_why_not(browser, tmp_path):
    need_renderer()
    need_browser()
    root = everything()
    order = topological_order(root)
    matrices = Matrices(order, walk(root, set(order)))
    page = opened(browser, player(root, tmp_path / "all.html"))
    names, closed = set(), set()
    for number, flat, op, *opened_cell in page.evaluate(COMPARED):
        matrix = matrices.shown[number]
        if not opened_cell:
            closed.add(op)
            continue
        names.add(op)
        value, slopes = opened_cell
        assert float(value) == pytest.approx(float(matrix.node.data.flat[flat]), rel=1e-12), op
        expected = slopes_of(matrix.maker, flat)
        for operand, at, slope in slopes:
            assert slope == pytest.approx(expected[operand].flat[at], rel=1e-10, abs=1e-13), op
    assert closed - (OPERATIONS.keys() - IN_JAVASCRIPT) <= PICKING | DEBUGGER | SELDOM
    assert names.isdisjoint(PICKING | DEBUGGER) and names >= SELDOM
    elementary = {op.name for op in ops.PRIMITIVES if getattr(op, "definition", None) is None}
    assert names | closed >= elementary
    assert browser.problems == []
    explanation_text = page.evaluate(
        """(() => { go(view.scene.moments.length - 1); view.pinned = ""; drawMatrices();
            const isPicked = ({ matrix, isGrad }) => matrix.made?.op === "getitem" && !isGrad;
            const { figure } = [...tables.values()].find(isPicked);
            fillTable(figure);
            touch(figure.querySelector("td[data-at]"));
            return document.getElementById("cell").textContent; })()"""
    )
    assert explanation_text.endswith("picked, not computed: there is nothing to open")
