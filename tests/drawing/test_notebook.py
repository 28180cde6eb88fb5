"""Pictures in a notebook that a real kernel executes, with a Graphviz and without one."""

import html
import math
import re

import nbformat
import pytest
from nbclient import NotebookClient

from autolm import Value
from autolm.drawing import draw
from autolm.drawing.palette import LIGHT
from autolm.drawing.tree import text_tree
from tests.needs import need_renderer
from tests.pictures import svg_texts
from tests.session import the_neuron

WITHOUT_GRAPHVIZ = "from autolm.drawing import renderers; renderers.renderers = dict"
CELLS = [
    "from autolm import Tensor, Value\nfrom autolm.drawing import Drawing, draw",
    "x = Value(3.0, name='x')\ny = x * x\ny",
    "draw(y, dark=True)",
    "Drawing(y)",
    "x",
    "Tensor([1.0, 2.0]).sum()",
    "Tensor([[1.0, -2.0]], name='W')",
    "Tensor([[[1.0]]])",
    "from autolm import explain, blame_nonfinite, TinyLM\nz = x + x * -2.0\nexplain(x, z)",
    "blame_nonfinite((x - 3.0).log() * 0.0)",
    "TinyLM(9, 8, 2, 16, 3)",
]
TREE = "y = ×  data 9  grad –\n├─ x  data 3  grad –\n└─ x  data 3  grad –"


def cells(shown):
    """Read the table that is shown."""
    rows = re.findall(r"<tr>(.*?)</tr>", shown["text/html"])
    found = [re.findall(r"<td style=\"text-align[^>]*>(.*?)</td>", row) for row in rows]
    return [[html.unescape(cell) for cell in row if cell] for row in found]


def executed(cells):
    """Execute cells; return what each last line is displayed as."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert not [o for cell in notebook.cells for o in cell.outputs if o.output_type == "stream"]
    return [cell.outputs[0].data if cell.outputs else None for cell in notebook.cells]


def test_results_and_drawings_are_shown_as_pictures():
    need_renderer()
    _, result, picture, drawing, leaf, tensor, matrix, cube, *tables = executed(CELLS)
    for shown in (result, picture, drawing):
        assert "max-width:100%" in shown["image/svg+xml"]
        assert svg_texts(shown["image/svg+xml"])["n0"] == ["x", "data", "3", "grad", "–"]
        assert shown["text/plain"] == TREE
    assert dict(leaf) == {"text/plain": "Value(data=3, grad=0, name='x')"}
    assert "sum" in str(svg_texts(tensor["image/svg+xml"])) or "Σ" in tensor["image/svg+xml"]
    assert "−2.00</text>" in matrix["image/svg+xml"]
    assert list(cube) == ["text/plain"]
    explained, blamed, model = tables
    assert cells(explained) == [
        ["1", "from z = x + mul", "(1 × 1)"],
        ["−2", "from x · −2", "(−2 × 1)"],
    ]
    bars = re.findall(r"width:([\d.]+)em;height:.7em;background:(.{7})", explained["text/html"])
    assert bars == [("3.00", LIGHT.leaf_line), ("6.00", LIGHT.gradient)]
    assert explained["text/plain"].startswith("x.grad = −1\n  1    from z = x + mul")
    first, given, then = (row[0] for row in cells(blamed))
    assert (first, given) == ("log", "input 0  →  −inf")
    assert then.startswith("then ×") and then in blamed["text/plain"]
    rows = cells(model)
    assert ["blocks.0.attention.W_Q … blocks.2.attention.W_Q", "8×8", "3 · 64"] in rows
    counts = [row[2].split(" · ") for row in rows]
    assert sum(math.prod(map(int, count)) for count in counts) == 1792
    assert ["W_out", "8×9", "72"] in rows
    assert model["text/plain"].startswith("TinyLM(9 tokens, 3 layers")


def test_without_graphviz_they_are_shown_as_trees_with_what_helps():
    result, picture, drawing, leaf, *_ = executed([WITHOUT_GRAPHVIZ, *CELLS])[2:]
    for shown in (result, picture, drawing):
        assert list(shown) == ["text/plain"]
        tree, _, advice = shown["text/plain"].partition("\n(")
        assert tree == TREE
        assert "apt-get install graphviz" in advice
    assert dict(leaf) == {"text/plain": "Value(data=3, grad=0, name='x')"}


def test_a_tree_shows_the_neuron_from_its_output_down():
    root, variables = the_neuron()
    for name, node in variables.items():
        node.name = name
    root.backward()
    assert text_tree(draw(root).view).splitlines() == [
        "o = tanh  data 0.7071  grad 1",
        "└─ n = +  data 0.8814  grad 0.5",
        "   ├─ x1w1x2w2 = +  data −6  grad 0.5",
        "   │  ├─ x1w1 = ×  data −6  grad 0.5",
        "   │  │  ├─ x1  data 2  grad −1.5",
        "   │  │  └─ w1  data −3  grad 1",
        "   │  └─ x2w2 = ×  data 0  grad 0.5",
        "   │     ├─ x2  data 0  grad 0.5",
        "   │     └─ w2  data 1  grad 0",
        "   └─ b  data 6.881  grad 0.5",
    ]


def test_what_is_used_twice_is_written_out_once():
    shared = Value(2.0, name="x").exp()
    lines = text_tree(draw(shared * shared).view).splitlines()
    assert [line.lstrip("├└─ ") for line in lines[1:]] == [
        "shared = exp  data 7.389  grad –",
        "│  └─ x  data 2  grad –",
        "shared = exp  data 7.389  grad –  (above)",
    ]


@pytest.mark.parametrize("length", [3, 5000])
def test_a_tree_is_no_longer_than_the_picture(length):
    y = Value(1.0)
    for _ in range(length):
        y = y.sin()
    assert len(text_tree(draw(y).view).splitlines()) <= 20
