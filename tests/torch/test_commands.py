"""`autolm step`, `draw`, the prompt and an editor, on a program of PyTorch that is unchanged."""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import autolm.torch  # noqa: E402
from autolm.walking.passes import Passes  # noqa: E402
from autolm.walking.program import Program, ProgramError, root_of_program  # noqa: E402
from tests.debugger.dap.client import Adapter  # noqa: E402
from tests.debugger.dap.conftest import Visited  # noqa: E402
from tests.debugger.dap.test_programs import Waiting  # noqa: E402
from tests.session import Session  # noqa: E402

ROOT = Path(__file__).parents[2]
ALONE = {"PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1"}  # threads round otherwise
TRAIN = Path(__file__).with_name("train.py")


def python(*arguments, typed="", **environment):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        input=typed,
        env={**os.environ, **ALONE, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def printed():
    """What the program prints by itself: its losses, gradients and random numbers, to the bit."""
    return run_here(lambda here: here.do())


def run_here(on_pass, path=TRAIN, **options):
    program = Program(path, **options)
    with contextlib.redirect_stdout(io.StringIO()) as screen:
        program.run(on_pass)
    return screen.getvalue()


def test_stepped_program_goes_on_to_the_bit(printed):
    typed = "b blocks.0\nc\nw\nopen\ns\nq\nrs\ncl\nc\nc\n"
    screen = python("-m", "autolm", "step", TRAIN, "--segment", 6, typed=typed)
    assert screen.startswith("backward of loss = 0.5145 ")
    assert "39 steps, 9 leaves" in screen and "train.py:43" in screen
    assert ">       blocks.0.out   1 step, 24 … 24     train.py:19" in screen
    assert screen.endswith(f"(bp) {printed}")


def test_environment_stops_a_program_that_imports_autolm_torch(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(
        "import torch, autolm.torch\n"
        "w = torch.ones(3, requires_grad=True)\n"
        "loss = (w * w).sum()\n"
        "loss.backward()\n"
        "print(w.grad.tolist())\n"
    )
    screen = python(path, typed="s\nc\nc\n", AUTOLM_DEBUG="1")
    assert "> 2/2  ×      w * w" in screen
    assert screen.endswith("[2.0, 2.0, 2.0]\n")


def test_every_backward_stops_and_the_program_is_the_same(printed):
    lengths = []

    def walk(here):
        with here.walk() as walk:
            walk.run()
            while walk.back():
                pass
            walk.run()
            lengths.append(len(walk.operations))
        assert here.call[0].path == str(TRAIN) and here.call[0].function == "<module>"

    assert run_here(walk, passes=Passes(None, has_breakpoints=True)) == printed
    assert lengths == [39, 39, 39]


def test_draw_finds_the_loss_and_its_variables():
    with contextlib.redirect_stdout(io.StringIO()):
        root, variables = root_of_program(TRAIN)
    assert variables["loss"].item() == root.data.item()
    assert "blocks.1" in autolm.draw(root).source


def test_program_without_a_backward_ends_at_its_loss(tmp_path):
    path = tmp_path / "forward.py"
    path.write_text("import torch\nw = torch.ones(2, requires_grad=True)\nloss = (w * 3).sum()\n")
    names = []
    run_here(lambda here: names.append([n.op.name for n in here.walk().operations]), path)
    assert names == [["sum", "mul"]]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("torch.amp.GradScaler('cpu').scale(loss).backward()", ["mul", "sum", "mul"]),
        ("loss.register_hook(lambda grad: 2 * grad)\nloss.backward()", ["hook", "sum", "mul"]),
        ("torch.autograd.backward([loss, w * 2], [None, w])", ["losses", "mul", "sum", "mul"]),
    ],
)
def test_it_stops_where_the_loss_is_only_a_part_of_what_is_differentiated(tmp_path, text, steps):
    path = tmp_path / "part.py"
    setup = "w = torch.ones(2, requires_grad=True)\nloss = (w * 3).sum()\n"
    path.write_text(f"import torch\n{setup}{text}\n")
    names = []
    run_here(lambda here: names.append([n.op.name for n in here.walk().operations]), path)
    assert names == [steps]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("with torch.no_grad():\n    loss = (w * w).sum()\n", "program.py:4: loss .*no gradient"),
        ("y = w * w\n(y * y).backward()\n", r"program.py:4: .*mul .* has shape \(2,\)"),
        ("x = torch.ones(2, device='cuda')\n", "program.py:3: .*device 'cpu'"),
        ("w.sum().detach().backward()\n", "program.py:3: .*of parameters"),
        ("w.backward()\n", "program.py:3: .*leaf 'w': no operation made it"),
        ("del w\n", "program.py has no variable loss; call backward"),
    ],
)
def test_bad_program_is_told_in_a_line_with_its_place(tmp_path, text, message):
    if "cuda" in text and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    path = tmp_path / "program.py"
    path.write_text(f"import torch\nw = torch.ones(2, requires_grad=True)\n{text}")
    with pytest.raises(ProgramError, match=message) as raised:
        run_here(lambda here: here.walk(), path)
    assert "\n" not in str(raised.value)


@pytest.fixture
def root():
    torch.manual_seed(0)
    x, w = torch.randn(3, 4), torch.randn(4, 2).requires_grad_()
    with autolm.torch.record():
        hidden = x @ w
        loss = hidden.tanh().sum()
    return autolm.torch.graph(loss), {"x": x, "w": w, "hidden": hidden, "loss": loss}


def test_prompt_speaks_of_tensors(root):
    node, variables = root
    session = Session(node, variables)
    session.say("s", "s")
    grad = session.walk.gradients[session.walk.next_node]
    assert session.walk.next_node.data is not None and session.walk.position == 2
    assert "hidden = x @ w" in session.say("l")
    assert session.say("p node.grad.shape") == "torch.Size([3, 2])"
    assert session.say("whatis w") == "TorchNode float32 4×2: a leaf"
    assert session.say("p up.sum().item()") == repr(grad.sum().item())
    assert "4×2" in session.say("args")
    assert "zoom: only a Tensor of autolm can be expanded" in session.say("zoom 0,0")
    assert session.say("set hidden[0,0] = 100").startswith("hidden  ")
    assert session.walk.root.data.item() > 0 and node.data is session.walk.root.data
    session.say("s")
    assert "3 steps done" in session.say("s")


def test_client_of_the_protocol_walks_a_program_in_segments_and_it_goes_on(printed):
    with Adapter() as adapter:
        adapter.launch(TRAIN, segment=6, env={"OMP_NUM_THREADS": "1"})
        assert adapter.event("stopped")["reason"] == "entry"
        adapter.move("next")
        frames = adapter.frames()
        assert frames[0]["line"] in range(1, 60) and frames[0]["source"]["path"] == str(TRAIN)
        assert adapter.evaluate("node.data.dtype") == "torch.float32"
        adapter.move("continue")
        adapter.move("reverseContinue")
        adapter.move("continue")
        adapter.ask("continue")
        assert adapter.output("stdout") == printed


def test_prompt_calls_parameters_as_named_parameters_does(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    blocks = torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(2, 2)), torch.nn.Linear(2, 1))
    with autolm.torch.record():
        loss = blocks(torch.ones(1, 2)).sum()
    session = Session(autolm.torch.graph(loss), {"blocks": blocks, "loss": loss})
    session.say("s", "s")
    screen = session.say("l .", "args", "why 0.0.weight", "b change 0.0.weight")
    for name in ("0.0.weight = 2×2", "0.0.bias = 2"):
        assert name in screen
    assert "linear(array(1, 2), weight, bias)" in session.say("l")  # in its scope, told beside it
    assert re.search(r"\.0\.weight +ḡᵀ @ input", session.say("rs", "s"))


def test_editor_walks_tensors_and_sets_their_numbers(root):
    node, variables = root
    visited = Visited(node, variables)
    try:
        visited.begin()
        client = visited.client
        client.move("next")
        assert client.evaluate("node.data.shape") == "torch.Size([3, 2])"
        client.move("continue")
        client.ask("continue")
        visited.done()
        assert visited.error is None
    finally:
        visited.close()
    expected = variables["x"].T @ (1 - variables["hidden"].tanh() ** 2)
    assert torch.allclose(variables["w"].grad, expected)


def test_program_that_imports_autolm_torch_waits_for_an_editor(tmp_path):
    program = tmp_path / "train.py"
    program.write_text(
        "import torch\n"
        "import autolm.torch\n"
        "w = torch.tensor([3.0], requires_grad=True)\n"
        "loss = (w * w).sum()\n"
        "loss.backward()\n"
        "print(w.grad.item())\n"
    )
    with Waiting(str(program)) as waiting:
        client = waiting.attached()
        for place in "Σ×Σ":
            client.event("stopped")
            (frame, *_) = client.ask("stackTrace", threadId=1)["stackFrames"]
            assert frame["name"].startswith(place)
            assert frame["line"] == 4
            client.ask("next" if place == "Σ" else "stepBack", threadId=1)
        client.event("stopped")
        client.ask("disconnect", terminateDebuggee=False)
        assert waiting.process.communicate(timeout=60) == ("6.0\n", "")
