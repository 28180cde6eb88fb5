"""Write `OPERATIONS.md`: NumPy's and PyTorch's names, and what each of them is here.

Run it after an operation, a record or a refusal was changed: ``python -m
tests.page_of_operations``. `operations.template.md` has the calls, a row a line; what is said of an
operation is its record, and whether a call works, and what its error says, is found by calling it.
A test calls them all again, beside NumPy and PyTorch.
"""

import inspect
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autolm import Module, Tensor, nn, ops
from autolm.ops.array_arguments import SPELLINGS
from autolm.tensor import numpy_functions
from autolm.tensor.operators import ABSENT

TEMPLATE = Path(__file__).with_name("operations.template.md")
PAGE = Path(__file__).parents[1] / "OPERATIONS.md"
HEADS = {
    "names": ("NumPy", "PyTorch", "autolm", "what it is, or “what the error says”"),
    "meanings": ("call", "NumPy", "PyTorch", "here"),
    "parts": ("PyTorch", "autolm", "beside PyTorch's"),
}
UNDIFFERENTIATED = re.compile("does not differentiate:|does not become a NumPy array")
RECORDS = {op.name: op for op in ops.OPERATIONS}


class Row(NamedTuple):
    """Calls, a cell for each library that has some, and words; with the heading that it is under.

    Calls with "; " between them are one and the same, and after ";; " comes another.
    """

    section: str
    kind: str
    cells: list[str]

    def groups(self, column):
        """List the calls in a column: lists of those that are the same."""
        return [group.split("; ") for group in self.cells[column].split(";; ") if group]

    def calls(self, column):
        """List all calls in a column."""
        return [call for group in self.groups(column) for call in group]


def rows():
    """Read the rows of the template, in their order."""
    found, section = [], ""
    for line in TEMPLATE.read_text("utf-8").splitlines():
        section = line.lstrip("# ") if line.startswith("#") else section
        row = _row(line, section)
        found += [row] if row else []
    return found


def _row(line, section=""):
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
    if len(cells) < 3:
        return None
    if len(cells) == 3:
        return Row(section, "parts", cells)
    means = re.match(r"(NumPy's|PyTorch's|refused|its own)(:|$)", cells[3])
    return Row(section, "meanings" if means else "names", cells)


def numbers():
    """Make the arrays that the rows speak of."""
    rng = np.random.default_rng(0)
    return {
        "x": np.array([[0.5, -1.2, 0.8], [-0.3, 1.5, -0.7]]),
        "y": np.array([[-0.4, 0.9, 0.6], [1.3, 0.2, -1.1]]),
        "m": rng.normal(size=(3, 3)),
        "p": np.array([[0.5, 1.2, 0.8], [0.3, 1.5, 0.7]]),
        "q": np.array([[0.4, 0.9, 0.6], [1.3, 0.2, 1.1]]),
        "v": np.array([0.2, 0.7, 1.1]),
        "z": rng.normal(size=(2, 4, 3)),
        "k": rng.normal(size=(5, 4, 2)),
        "mask": np.array([[True, False, True], [False, True, False]]),
        "ids": np.array([[2, 0, 1], [1, 1, 0]]),
        "targets": np.array([2, 0]),
    }


def model():
    """Make a model to have optimizers for."""

    class Model(Module):
        def __init__(self):
            self.linear = nn.Linear(3, 2, rng=np.random.default_rng(0))

    return Model()


def names_here():
    """Make what the rows are written with, of autolm: arrays of floats are Tensors."""
    made = {"np": np, "ops": ops, "nn": nn, "Tensor": Tensor, "rng": np.random.default_rng(0)}
    for name, array in numbers().items():
        made[name] = Tensor(array) if array.dtype.kind == "f" else array
    made["model"] = model()
    made["w"] = made["model"].parameters()
    made["optimizer"] = nn.SGD(made["w"], 0.1)
    return made


def result(call, names):
    """Run a call, an expression or an assignment to x, and return what it makes."""
    with warnings.catch_warnings(action="ignore"):
        try:
            program = compile(call, call, "eval")
        except SyntaxError:
            exec(call, names)
            return names["x"]
        return eval(program, names)


def error_here(call):
    """Return the error of a call of Tensors, or None; what is of PyTorch's own is not called."""
    if re.search(r"\b(torch|F)\.", call) and "x.to(" not in call and "x.type(" not in call:
        return None
    try:
        result(re.sub(r"torch\.\w+", "None", call), names_here())
    except (AttributeError, TypeError, ValueError) as error:
        return error
    return None


def said(error):
    """Return the advice in an error: none where a function of NumPy's does not differentiate."""
    text = str(error)
    absent = re.search(r"has no attribute '\w+'(?:; (.*))?$", text)
    if absent:
        return absent[1] or ""
    return "" if UNDIFFERENTIATED.search(text) else text.removeprefix("np.")


def _shown(calls, *, marked):
    def show(call):
        code = f"`{call}`".replace("|", "\\|")
        return f"{code}\N{NO-BREAK SPACE}✗" if marked and error_here(call) else code

    return "<br>".join(map(show, calls)) or "–"


def _written(row):
    if row.kind == "parts":
        code = [_shown(row.calls(column), marked=False) for column in (0, 1)]
        return [*code, _filled(row.cells[2])]
    if row.kind == "meanings":
        *words, here = row.cells[1:]
        call = row.calls(0)[-1]
        error = error_here(call)
        if error and ":" not in here and said(error):
            here = f"{here}: “{_in_words(said(error))}”"
        return [f"`{call}`", *(word or "–" for word in words), here]
    columns = [_shown(row.calls(column), marked=True) for column in range(3)]
    return [*columns, _what(row)]


def _what(row):
    words = row.cells[3]
    if words.startswith("="):
        op = RECORDS[words[1:]]
        kinks = f"<br>{op.kinks}" if op.kinks else ""
        return f"{op.formula}{kinks}".replace("|", "\\|")
    if words:
        return words
    errors = filter(None, map(error_here, [*row.calls(0), *row.calls(1)]))
    told = dict.fromkeys(filter(None, map(said, errors)))
    return "<br>".join(f"“{_in_words(text)}”" for text in told)


def _in_words(text):
    """Write what an error says so that Markdown leaves it as it is."""
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")


def _filled(text):
    return re.sub(r"\{(\w+): (.*?)\}", lambda found: _paragraph(found[1], found[2]), text)


def _paragraph(name, opening):
    """Return the paragraph of a docstring in autolm.nn that begins so, as one line."""
    paragraphs = inspect.getdoc(getattr(nn, name)).split("\n\n")
    text = next(each for each in paragraphs if opening in each).partition("Source: ")[0]
    return " ".join(text[text.index(opening) :].split())


def constants():
    """List the functions of NumPy whose results have no gradient."""
    names = sorted(numpy_functions.CONSTANT_UFUNCS | numpy_functions.CONSTANT_FUNCTIONS)
    return " ".join(f"`{name}`" for name in names)


def absent():
    """List the methods that are absent by what their error says, as far as it does."""
    named = {}
    for name, said in ABSENT.items():
        named.setdefault(said, []).append(f"`{name}`")
    return "; ".join(f"{' '.join(names)}: “{_in_words(said)}”" for said, names in named.items())


def spellings():
    """Say PyTorch's words for what is NumPy's here."""
    pairs = [f"`{theirs}` is read as `{ours}`" for theirs, ours in SPELLINGS.items()]
    return f"{', '.join(pairs[:-1])} and {pairs[-1]}"


def page():
    """Write the page."""
    text = TEMPLATE.read_text("utf-8")
    text = text.replace("{CONSTANT}", constants()).replace("{SPELLINGS}", spellings())
    text = text.replace("{ABSENT}", absent())
    lines, kind = [], ""
    for line in text.splitlines():
        row = _row(line)
        if row and row.kind != kind:
            head = HEADS[row.kind]
            lines += [_line(head), _line(["---"] * len(head))]
        kind = row.kind if row else ""
        lines.append(_line(_written(row)) if row else _filled(line))
    return "\n".join(lines) + "\n"


def _line(cells):
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
