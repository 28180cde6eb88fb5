"""`autolm draw` and `autolm step --html`: pictures of programs and of trained models.

Wrong use is one line and exit code 2, and leaves no file.
"""

import json
import re
import sys

import pytest

from autolm.cli import main
from autolm.walking.program import ProgramError, root_of_program
from tests.cli.test_step import NEURON, ROOT, SMALL, autolm
from tests.needs import need_renderer
from tests.pictures import svg_edges, svg_texts

LOOP = """
from autolm import Value
w = Value(1.0)
for step in range(3):
    loss = (w * 2.0 - 3.0) ** 2
    w.grad = None
    loss.backward()
    w.data -= 0.1 * w.grad
    print("step", step)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    (folder / "text.txt").write_text("a cat sat\na dog ran\n" * 20)
    done = autolm("train", folder / "text.txt", *SMALL, "--output", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture
def picture(tmp_path):
    need_renderer()
    return tmp_path / "picture.svg"


def drawn(picture, *arguments):
    done = autolm("draw", *arguments, "-o", picture)
    assert (done.returncode, done.stderr) == (0, "")
    return picture.read_text(encoding="utf-8")


def titles(svg):
    return [texts[0] for texts in svg_texts(svg).values()]


def test_a_program_is_drawn_with_the_names_of_its_variables(picture):
    svg = drawn(picture, NEURON)
    assert sorted(titles(svg)) == sorted(
        ["x1", "w1", "x2", "w2", "b", "x1w1", "x2w2", "x1w1x2w2", "n", "o", *"××++", "tanh"]
    )


def test_grad_draws_the_backward_pass(picture):
    svg = drawn(picture, NEURON, "--grad").replace("\N{NO-BREAK SPACE}", " ")
    assert "0.5 × −3 = −1.5" in svg
    assert "n1grad0" not in svg_edges(drawn(picture, NEURON))


def test_focus_and_radius_draw_what_is_near(picture):
    assert "o" not in titles(drawn(picture, NEURON, "--focus", "x1"))
    assert "o" in titles(drawn(picture, NEURON, "--focus", "x1", "--radius", 4))


def test_var_chooses_the_root(picture):
    assert titles(drawn(picture, NEURON, "--var", "x1w1")) == ["x1", "w1", "x1w1", "×"]


def test_dark_is_light_on_dark(picture):
    assert "#14181d" in drawn(picture, NEURON, "--dark")
    assert "#14181d" not in drawn(picture, NEURON)


@pytest.mark.parametrize(
    ("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".html", b"<!doctype html>")]
)
def test_each_kind_of_file_is_written_and_named(suffix, magic, tmp_path):
    need_renderer()
    path = tmp_path / f"picture{suffix}"
    done = autolm("draw", NEURON, "-o", path)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes().startswith(magic)
    assert done.stdout.startswith(f"{path}  ")


def test_a_model_is_drawn_collapsed_and_one_scope_of_it_opened(run, picture):
    closed = titles(drawn(picture, run, "--text", "a cat", "--depth", 0))
    assert closed == ["embedding", "add", "blocks.0", "norm", "matmul", "cross_entropy"]
    opened = titles(drawn(picture, run, "--text", "a cat", "--expand", "blocks.0.attention"))
    assert "attention" in opened


def test_a_player_of_a_program_and_of_a_model(run, tmp_path):
    need_renderer()
    for target, expected in ((NEURON, "x1w1x2w2"), (run, "blocks.0.attention")):
        page = tmp_path / "player.html"
        done = autolm("step", target, "--html", page)
        assert (done.returncode, done.stderr) == (0, "")
        assert expected in page.read_text(encoding="utf-8")
    data = page.read_text(encoding="utf-8").split('id="data">')[1].split("</script>")[0]
    sentence = json.loads(data)["sentence"]
    assert "".join(sentence["rows"][0][1:]).replace("␣", " ") in ("a cat sat", "a dog ran")
    assert sentence["targets"][0][:2] == ["a", "␣"]  # and before them stands the start of the line


def test_attention_is_drawn_head_by_head_with_the_text_at_its_sides(run, picture):
    svg = drawn(picture, run, "--text", "a cat", "--attention")
    assert "blocks.0.attention  head 0" in svg
    heads = svg.count("attention  head")
    assert svg.count(">␣</text>") == 2 * heads
    narrow = drawn(picture, run, "--text", "a cat", "--attention", "--width", 200)
    wide, slim = (float(re.search(r'viewBox="\S+ \S+ (\S+)', each)[1]) for each in (svg, narrow))
    assert slim < wide


def test_a_picture_is_turned_by_hand(picture):
    sizes = []
    for direction in ("right", "down"):
        svg = drawn(picture, NEURON, "--direction", direction)
        sizes.append([float(x) for x in re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2]])
    (right, high), (down, tall) = sizes
    assert right > high and down < tall


def test_a_training_loop_is_drawn_at_its_first_step_with_that_steps_gradients(tmp_path):
    program = tmp_path / "loop.py"
    program.write_text(LOOP)
    root, variables = root_of_program(program)
    w = variables["w"]
    assert w in root.parents[0].parents[0].parents
    assert (w.data, w.grad) == (1.0, -4.0)
    assert root is variables["loss"]


def test_a_program_that_differentiates_something_else_first_is_drawn_at_its_loss(tmp_path):
    program = tmp_path / "two.py"
    program.write_text(
        "from autolm import Value\n(Value(1.0) * 2.0).backward()\n"
        "loss = Value(5.0).exp()\nloss.backward()\n"
    )
    assert root_of_program(program)[0].op.name == "exp"


def test_names_that_the_program_gave_are_kept(tmp_path):
    program = tmp_path / "named.py"
    program.write_text("from autolm import Value\na = Value(1.0, name='weight')\nloss = a * 2.0\n")
    assert [p.name for p in root_of_program(program)[0].parents] == ["weight", ""]


def test_the_program_runs_as_by_itself(tmp_path):
    (tmp_path / "beside.py").write_text("number = 3.0\n")
    program = tmp_path / "main.py"
    program.write_text(
        "import sys\nfrom beside import number\nfrom autolm import Value\n"
        "if __name__ == '__main__':\n    loss = Value(number) * len(sys.argv)\n"
    )
    before = list(sys.argv), list(sys.path)
    assert root_of_program(program)[0].data == 3.0
    assert (sys.argv, sys.path) == before


PROGRAMS = {
    "nothing.py": ("x = 1\n", "has no variable loss"),
    "number.py": ("loss = 1.0\n", "loss is of type float, not a Value or a Tensor"),
    "two.py": (
        "from autolm import Value\na = Value(1.0) * 2\nb = a * 3\nc = a * 4\n",
        "--var: b, c",
    ),
    "syntax.py": ("loss = = 1\n", "syntax.py:1: invalid syntax"),
    "fails.py": ("x = 1\nloss = x / 0\n", "fails.py:2: ZeroDivisionError: division by zero"),
    "ends.py": ("import sys\nsys.exit(3)\n", "the program exited with 3"),
    "zeros.py": ("loss = '\0'\n", "null bytes"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_without_a_graph_is_an_error_of_one_line(name, tmp_path):
    text, message = PROGRAMS[name]
    program = tmp_path / name
    program.write_text(text)
    with pytest.raises(ProgramError) as error:
        root_of_program(program)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


# What is said of the picture of a graph, and of no other.
OF_GRAPHS = [("--depth", 0), ("--expand", "a"), ("--focus", "a"), ("--radius", 1), ("--grad",)]
OF_GRAPHS += [("--max-boxes", 5), ("--direction", "down")]

WRONG = [
    (["draw", "nobody.py", "-o", "{out}.svg"], "nobody.py: cannot be read: No such file"),
    (["draw", NEURON, "-o", "{out}.gif"], "ends in one of .svg, .png, .pdf, .dot, .html"),
    (["draw", NEURON, "-o", "{out}/no/x.svg"], "cannot be written: there is no folder"),
    (["draw", NEURON], "Missing option '--output' / '-o'"),
    (["draw", NEURON, "-o", "{out}.dot", "--focus", "x1w3"], "'x1w3' here; there are: x1w1, x1"),
    (["draw", NEURON, "-o", "{out}.dot", "--radius", 3], "--radius is how far around --focus"),
    (["draw", NEURON, "-o", "{out}.dot", "--focus", "b", "--depth", 1], "leave out depth, expand"),
    (
        ["draw", NEURON, "-o", "{out}.dot", "--expand", "head"],
        "no scope 'head' here; there are: none",
    ),
    (["draw", NEURON, "-o", "{out}.dot", "--depth", -1], "Invalid value for '--depth'"),
    (["draw", NEURON, "-o", "{out}.dot", "--var", "z"], "has no variable z"),
    (["draw", NEURON, "-o", "{out}.dot", "--text", "a"], "--text is for a run"),
    (["draw", ROOT, "-o", "{out}.dot"], "not a run: it has no config.json"),
    (["draw", ROOT, "-o", "{out}.dot", "--var", "x"], "--var is for a program"),
    (["draw", NEURON, "-o", "{out}.svg", "--attention"], "--attention is for a run, and"),
    (["draw", ROOT, "-o", "{out}.png", "--attention"], "ends in one of .svg, .html"),
    *(
        (["draw", ROOT, "-o", "{out}.svg", "--attention", *option], f"leave out {option[0]}")
        for option in OF_GRAPHS
    ),
    (["draw", NEURON, "-o", "{out}.dot", "--direction", "down", "--width", 9], "leave out one of"),
    (["step", NEURON, "--html", "{out}.html", "--segment", 3], "leave it out with --html"),
    (["draw", NEURON, "-o", "{out}.dot", "--direction", "up"], "direction is 'up'; choose"),
    (["step", NEURON, "--html", "{out}.svg"], "ends in one of .html, .htm"),
    (["step", "nobody.py", "--html", "{out}.html"], "nobody.py: cannot be read"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda value: str(value)[-40:])
def test_wrong_use_is_one_line_and_exit_code_2(arguments, message, tmp_path):
    done = autolm(*(str(word).replace("{out}", str(tmp_path / "x")) for word in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("autolm: ")
    assert list(tmp_path.iterdir()) == []


def test_without_a_renderer_it_says_what_helps_and_dot_still_works(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("autolm.drawing.renderers.renderers", dict)
    codes = []
    for name in ("x.svg", "x.dot"):
        with pytest.raises(SystemExit) as end:
            main(["draw", str(NEURON), "-o", str(tmp_path / name)])
        codes.append(end.value.code)
    assert codes == [2, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["x.dot"]
    (error,) = capsys.readouterr().err.splitlines()
    assert "apt-get install graphviz" in error
