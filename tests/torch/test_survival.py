"""A program that is watched runs as it does by itself; what is not seen is said in one line."""

import contextlib
import io
import re
import runpy

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

import autolm.torch  # noqa: E402
from autolm.torch import function_mode, module_paths, node_lookup, notices  # noqa: E402
from autolm.walking.names import Names  # noqa: E402
from autolm.walking.passes import Passes  # noqa: E402
from autolm.walking.program import Program, ProgramError  # noqa: E402

BEGIN = "import torch\ntorch.manual_seed(0)\nw = torch.randn(3, requires_grad=True)\n"
END = "loss.backward()\nprint(w.grad.tolist(), torch.rand(1).item())\n"
# What a program does, and the lines that are said of it: none where all is seen.
PROGRAMS = {
    "func.grad": (
        "g = torch.func.grad(lambda x: (x.sin() * w).sum())(torch.ones(3))\nloss = (g * g).sum()\n",
        ["torch.func: "],
    ),
    "func.jacrev": (
        "g = torch.func.jacrev(lambda x: x.sin() * w)(torch.ones(3))\nloss = (g * g).sum()\n",
        ["torch.func: "],
    ),
    "func.hessian": (
        "g = torch.func.hessian(lambda x: (x**3 * w).sum())(torch.ones(3))\nloss = g.sum()\n",
        ["torch.func: "],
    ),
    "func.vmap": (
        "g = torch.func.vmap(lambda x: (x * w).sum())(torch.ones(2, 3))\nloss = (g * g).sum()\n",
        ["torch.func: "],
    ),
    "jagged": (
        "parts = [torch.randn(2, 3), torch.randn(4, 3)]\n"
        "n = torch.nested.nested_tensor(parts, layout=torch.jagged).requires_grad_()\n"
        "(n * w).values().pow(2).sum().backward()\nloss = (w * w).sum()\n",
        ["backward() at "],
    ),
    "jit.trace": (
        "m = torch.jit.trace(torch.nn.Linear(3, 2), torch.ones(1, 3))\n"
        "loss = (m(w) * w[0]).sum()\n",
        ["torch.jit: "],
    ),
    "multi-grad hooks": (
        "a, b = w * 2, w.sin()\n"
        "register = torch.autograd.graph.register_multi_grad_hook\n"
        "register((w, a, b), lambda grads: print([g.tolist() for g in grads]))\n"
        "register((a, b), lambda grad: print(grad.shape), mode='any')\n"
        "loss = (a * b).sum()\n",
        ["register_multi_grad_hook: "],
    ),
    "inference tensor": (
        "with torch.inference_mode():\n    x = torch.ones(3)\nloss = (w * w + x).sum()\n",
        [],
    ),
    "write into a mask, and out=": (
        "mask = w > 0\nmask &= w < 1\nbuffer = torch.zeros(3)\n"
        "torch.add(torch.ones(3), 1, out=buffer)\n"
        "loss = (w * w)[mask].sum() + (w * buffer).sum()\n",
        [],
    ),
    "leaf root": (
        "v = torch.tensor(2.0, requires_grad=True)\nv.backward()\nloss = w.sum()\n",
        ["backward() at "],
    ),
    "backward from an edge": (
        "from torch.autograd.graph import get_gradient_edge\n"
        "loss = (w * w).sum()\n"
        "torch.autograd.backward(get_gradient_edge(loss), retain_graph=True)\n",
        ["backward() at "],
    ),
    "backward to a result": (
        "a = w * 2\nloss = (a * a).sum()\nloss.backward(inputs=[a], retain_graph=True)\n",
        ["backward() at "],
    ),
}


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    monkeypatch.setenv("AUTOLM_STRICT", "1")
    module_paths._paths.clear()  # a model of another test would have the name of this one's
    module_paths._roots.clear()


def written(tmp_path, text):
    path = tmp_path / "program.py"
    path.write_text(text)
    return path


def there_and_back(here):
    with here.walk() as walk:
        walk.goto(len(walk.operations))
        walk.goto(0)
        walk.goto(len(walk.operations))


def watched(path, on_pass=there_and_back, **options):
    """Run a program with its passes walked; return what it prints."""
    program = Program(path, **options)
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        program.run(on_pass)
    return stdout.getvalue()


def plain(path):
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        runpy.run_path(str(path), run_name="__main__")
    return stdout.getvalue()


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_cannot_be_watched_runs_plainly_and_is_named_in_one_line(name, tmp_path, capsys):
    text, starts = PROGRAMS[name]
    path = written(tmp_path, BEGIN + text + END)
    assert watched(path, passes=Passes(None, has_breakpoints=True)) == plain(path)
    lines = capsys.readouterr().err.splitlines()
    lines = [line for line in lines if line.startswith("autolm: ")]
    assert len(lines) == len(starts)
    assert all(start in line for start, line in zip(starts, lines, strict=True))


def test_an_error_of_the_recorder_is_said_once_and_not_raised(tmp_path, monkeypatch, capsys):
    def broken(*_):
        raise KeyError("of ours")

    text = "for _ in range(3):\n    loss = (w * w).sum()\nloss.backward()\n"
    path = written(tmp_path, BEGIN + text)
    expected = plain(path)
    monkeypatch.setattr(function_mode, "add_nodes", broken)
    with pytest.raises(ProgramError, match="KeyError: 'of ours'"):
        watched(path)
    monkeypatch.setenv("AUTOLM_STRICT", "0")
    roots = []
    screen = watched(path, lambda here: (roots.append(here.root), there_and_back(here)))
    assert screen == expected
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" at ")[0] for line in lines] == ["autolm: mul", "autolm: sum"]
    assert all("is not recorded" in line and "KeyError: 'of ours'" in line for line in lines)
    assert roots[0].op.name == "Sum"  # as PyTorch calls what no recorded function made


def test_an_error_of_the_program_is_its_own(tmp_path):
    path = written(tmp_path, BEGIN + "w @ torch.ones(4)\n")
    with pytest.raises(ProgramError, match=r"program.py:4: RuntimeError: .*size"):
        watched(path)


INPUTS = {
    "one": ("[a]", ["a"]),
    "a tensor": ("a", ["a"]),
    "both": ("[b, a]", ["a", "b"]),
    "not reached": ("[a, torch.ones(2, requires_grad=True)]", ["a"]),
}


@pytest.mark.parametrize("name", INPUTS)
def test_backward_to_some_inputs_shows_only_the_gradients_that_pytorch_computes(name, tmp_path):
    inputs, reached = INPUTS[name]
    path = written(
        tmp_path,
        "import torch\n"
        "a = torch.tensor([1.0, 2.0], requires_grad=True)\n"
        "b = torch.tensor([3.0, 4.0], requires_grad=True)\n"
        "called = []\n"
        "hidden = b.sin()\n"
        "hidden.register_hook(lambda grad: called.append(1))\n"
        "loss = (a * hidden).sum() + (b * b).sum()\n"
        f"loss.backward(inputs={inputs})\n"
        "print(a.grad, b.grad, called)\n",
    )
    results = {}

    def walk(here):
        with here.walk() as walk:
            walk.goto(len(walk.operations))
            results.update({n: walk.gradients.get(node) for n, node in nodes(here).items()})
        results["leaves"] = {n: here.variables[n].grad for n in "ab"}
        assert all(node.requires_grad == (n in reached) for n, node in nodes(here).items())

    def nodes(here):
        return {n: autolm.torch.node(here.variables[n]) for n in "ab"}

    assert watched(path, walk) == plain(path)
    for leaf in "ab":
        grad = results["leaves"][leaf]
        assert (results[leaf] is None) == (grad is None) == (leaf not in reached)
        assert grad is None or torch.equal(results[leaf], grad)


LOSS = "loss = (w * w).sum()\n"
# Programs whose only passes are not walked: what they do, and the line for it.
UNWALKED = {
    "autograd.grad": (
        LOSS + "print(torch.autograd.grad(loss, w))\n",
        "program.py: no pass can be debugged: torch.autograd.grad at .*program.py:5",
    ),
    "a thread": (
        "import threading\n" + LOSS + "thread = threading.Thread(target=loss.backward, name='T')\n"
        "thread.start()\nthread.join()\n",
        "program.py: no pass can be debugged: backward.. at .* in T",
    ),
    "a process": (
        "import multiprocessing\n"
        "process = multiprocessing.get_context('fork').Process(target=print)\n"
        "process.start()\nprocess.join()\n",
        "backward.. was not called in this process, .* others: .*program.py:6",
    ),
    "a root of another name": (
        LOSS + "errG = (w * 2).sum()\nerrG.backward()\ndel loss\n",
        r"backward.. was not called on loss, but on errG \(.*program.py:6\); choose one with --var",
    ),
    "none, in a function": (
        "def train():\n    loss = (w * w).sum()\ntrain()\ndel w\n",
        "program.py: loss is a variable of train, and was not differentiated",
    ),
    "none": ("del w\n", "program.py has no variable loss; call backward"),
    "several results": (
        "errD = (w * w).sum()\nerrG = (w * 2).sum()\n",
        "program.py has no variable loss; choose one with --var: errD, errG",
    ),
}


@pytest.mark.parametrize("name", UNWALKED)
def test_a_program_without_a_pass_to_walk_is_told_which_passes_it_has(name, tmp_path):
    text, message = UNWALKED[name]
    path = written(tmp_path, BEGIN + text)
    with pytest.raises(ProgramError, match=message) as raised:
        watched(path)
    assert "\n" not in str(raised.value)
    assert ("has no variable loss" in str(raised.value)) == ("has no variable loss" in message)


def test_the_first_stop_names_the_other_roots_of_the_program(tmp_path, monkeypatch, capsys):
    from autolm.debugger import script

    path = written(
        tmp_path,
        BEGIN + "errD = (w * w).sum()\nerrD.backward()\nerrG = w.sum()\nerrG.backward()\n",
    )
    monkeypatch.setattr(script, "walk_pass", lambda here, *_: here.do())
    script.debug_script(Program(path))
    assert "backward() is also called on errG (line 7); use --var NAME to debug another" in (
        capsys.readouterr().out
    )


def test_nothing_is_recorded_after_the_only_stop(tmp_path):
    path = written(
        tmp_path,
        BEGIN + "import torch.overrides\n"
        "def modes():\n"
        "    return len(torch.overrides._get_current_function_mode_stack())\n"
        "net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh())\n"
        "grads = torch.autograd.grad\n"
        "for step in range(3):\n"
        "    loss = net(w).sum()\n"
        "    loss.backward()\n"
        "    if step:\n"
        "        assert modes() == 0, modes()\n"
        "        assert torch.autograd.backward.__module__ == 'torch.autograd'\n"
        "        assert not torch.nn.modules.module._global_forward_pre_hooks\n"
        "    else:\n"
        "        print(step)\n" + END.replace("loss.backward()\n", ""),
    )
    nodes = []

    def walk(here):
        there_and_back(here)
        nodes.append(len(node_lookup.node_of_edge))

    assert watched(path, walk).replace("1\n", "") == plain(path).replace("1\n", "")
    assert len(nodes) == 1


def test_notices_are_said_again_in_the_next_recording(capsys):
    for _ in range(2):
        with autolm.torch.record():
            notices.notice("the same")
            notices.notice("the same")
    assert capsys.readouterr().err.splitlines() == ["autolm: the same"] * 2


MODEL = (
    "import torch\ntorch.manual_seed(0)\n"
    "class Prior(torch.nn.Module):\n"
    "    def __init__(self):\n"
    "        super().__init__()\n"
    "        self.logits = torch.nn.Parameter(torch.ones(3))\n"
    "    def forward(self):\n"
    "        return self.logits.softmax(0)\n"
    "class Model(torch.nn.Module):\n"
    "    def __init__(self):\n"
    "        super().__init__()\n"
    "        self.prior, self.head = Prior(), torch.nn.Linear(3, 1)\n"
    "    def forward(self, x):\n"
    "        {}\n"
    "        return self.head(x * p).sum()\n"
    "model = Model()\n"
    "{}loss = model(torch.ones(2, 3))\nloss.backward()\n"
)
ABSENT = {
    "item": ("p = self.prior().sum().item()", "", r"no gradient reaches it; .* item\(\) at .*:14$"),
    "detach": ("p = self.prior().detach()", "", r"no gradient reaches it; .* detach\(\) at .*:14$"),
    "data": ("p = self.prior.logits.data", "", r"no gradient reaches it; .* data at .*:14$"),
    "no_grad": (
        "with torch.no_grad(): p = self.prior()",
        "",
        r"no gradient reaches it; .* no_grad\(\) at .*:14$",
    ),
    "frozen": (
        "p = self.prior()",
        "model.prior.requires_grad_(False)\ndel model.prior._parameters['logits']\n"
        "model.prior.logits = torch.nn.Parameter(torch.ones(3), requires_grad=False)\n"
        "model.prior.forward = lambda: 1.0\n",
        "requires_grad is False",
    ),
    "unused": ("p = 1.0", "", "no gradient reaches it in this pass$"),
}


@pytest.mark.parametrize("name", ABSENT)
def test_a_parameter_that_is_not_in_the_graph_is_told_why(name, tmp_path):
    forward, setting, why = ABSENT[name]
    path = written(tmp_path, MODEL.format(forward, setting))
    messages = []

    def ask(here):
        with here.walk() as walk:
            for text in ("prior.logits", "prior.logit"):
                with pytest.raises(ValueError) as raised:
                    Names(walk.operations, here.variables).find(text)
                messages.append(str(raised.value))

    watched(path, ask)
    assert messages[0].startswith("prior.logits: ")
    assert re.search(why, messages[0])
    assert messages[1].startswith("no node has the name prior.logit")


IN_PARTS = {
    "a model of which a method runs parts": (
        "class Model(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.encoder, self.prior = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)\n"
        "    def distance(self, x):\n"
        "        return self.encoder(x) - self.prior(x).detach()\n"
        "model = Model()\ny = model.distance(torch.ones(4, 3))\n"
    ),
    "a dictionary of modules": (
        "names = 'encoder', 'prior'\n"
        "parts = torch.nn.ModuleDict({name: torch.nn.Linear(3, 2) for name in names})\n"
        "x = torch.ones(4, 3)\ny = parts.encoder(x) - parts.prior(x).detach()\n"
    ),
}


@pytest.mark.parametrize("name", IN_PARTS)
def test_parameters_of_a_model_that_runs_in_parts_have_their_paths_in_it(name, tmp_path):
    path = written(
        tmp_path, f"import torch\n{IN_PARTS[name]}loss = (y * y).sum()\nloss.backward()\n"
    )
    paths = []

    def ask(here):
        with here.walk() as walk:
            names = Names(walk.operations, here.variables)
            paths.extend(names(leaf) for leaf in walk.leaves)
            with pytest.raises(ValueError, match=r"^prior\.weight: no gradient .* detach\(\) at "):
                names.find("prior.weight")

    watched(path, ask)
    assert {"encoder.weight", "encoder.bias"} <= set(paths)
