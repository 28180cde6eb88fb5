"""What a user sees of a PyTorch program: names, lines, blame, explanations, pictures, pages."""

import inspect
import re
from pathlib import Path
from weakref import WeakSet

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import autolm  # noqa: E402
import autolm.torch  # noqa: E402
from autolm.testing import GradientError  # noqa: E402
from autolm.torch import module_paths  # noqa: E402
from autolm.walking.walk import Walk  # noqa: E402
from tests.torch.programs import GPT, Attention  # noqa: E402


@pytest.fixture(autouse=True)
def first_model(monkeypatch):
    """Let the model of each test be the first that is seen, whatever other tests still hold."""
    monkeypatch.setattr(module_paths, "_roots", WeakSet())


@pytest.fixture
def model_and_loss():
    torch.manual_seed(0)
    model, ids = GPT(), torch.randint(0, 7, (2, 5))
    with autolm.torch.record():
        logits = model(ids)
        loss = F.cross_entropy(logits.flatten(0, 1), ids.flatten())
    return model, loss


def test_nodes_have_the_names_scopes_and_lines_of_the_program(model_and_loss):
    model, loss = model_and_loss
    order = autolm.topological_order(autolm.torch.graph(loss))
    assert {n.name for n in order if n.requires_grad and not n.parents} == {
        name for name, _ in model.named_parameters()
    }
    scopes = {n.scope: n for n in order if n.op and n.op.name == "linear"}
    assert set(scopes) == {f"blocks.{i}.{part}" for i in (0, 1) for part in ("qkv", "out")} | {
        "head"
    }
    attention = next(n for n in order if n.op and n.op.name == "scaled_dot_product_attention")
    lines, first = inspect.getsourcelines(Attention.forward)
    assert lines[attention.location.user.line - first].strip().startswith("y = F.scaled")
    assert attention.scope == "blocks.0"
    assert [node.scope for node in attention.entered] == ["blocks.0"]
    frame = attention.location.user
    text = lines[frame.line - first].encode()[frame.column : frame.end_column].decode()
    assert text == "F.scaled_dot_product_attention(q, k, v, is_causal=True)"


class Trainer:
    def __init__(self):
        self.actor = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
        self.value = nn.Linear(2, 1)

    def loss(self, critic):
        return critic(self.value(self.actor(torch.ones(1, 2)))).sum()


def test_each_further_model_is_called_as_the_program_calls_it():
    trainer, judge = Trainer(), nn.Sequential(nn.Linear(1, 1))
    with autolm.torch.record():
        loss = trainer.loss(judge)
    order = autolm.topological_order(autolm.torch.graph(loss))
    names = {node.name for node in order if node.name.endswith("weight")}
    assert names == {"0.weight", "value.weight", "judge.0.weight"}  # and `critic` further inside
    assert {node.scope for node in order if node.op} == {"0", "1", "value", "judge.0", ""}


def test_several_uses_of_a_tied_weight_are_explained(model_and_loss):
    model, loss = model_and_loss
    explanation = autolm.explain(model.embed.weight, loss)
    assert {use.consumer.op.name for use in explanation.uses} == {"embedding", "linear"}
    loss.backward()
    assert torch.equal(explanation.gradient, model.embed.weight.grad)
    assert torch.equal(sum(use.value for use in explanation.uses), model.embed.weight.grad)


def test_tools_take_tensors_and_change_no_gradient(model_and_loss, tmp_path):
    _, loss = model_and_loss
    state = torch.get_rng_state()
    picture = autolm.draw(loss, edges="gradient").source
    assert "blocks.0" in picture and "embedding" in picture
    page = autolm.player(loss, tmp_path / "page.html").read_text()
    assert "cross_entropy" in page
    focused = autolm.draw(loss, focus=loss, radius=1, edges="chain rule").source
    assert "cross_entropy" in focused
    assert all(parameter.grad is None for parameter in model_and_loss[0].parameters())
    assert torch.equal(state, torch.get_rng_state())


def test_walk_that_is_left_early_changes_nothing(model_and_loss):
    model, loss = model_and_loss
    model.head.weight.grad = before = torch.ones(7, 8)
    state = torch.get_rng_state()
    with Walk(loss) as walk:
        walk.goto(len(walk.operations) - 1)
        node = autolm.torch.node(model.head.weight)
        assert not torch.equal(node.grad, before)
        walk.set(node, node.data * 2)
    assert torch.equal(node.data, model.head.weight)
    assert model.head.weight.grad is before
    assert torch.equal(before, torch.ones(7, 8))
    assert all(p.grad is None for p in model.blocks.parameters())
    assert torch.equal(state, torch.get_rng_state())


def test_edited_walk_to_the_end_writes_its_own_gradients():
    w, x = torch.tensor([2.0, 3.0], requires_grad=True), torch.tensor([5.0, 7.0])
    with autolm.torch.record():
        loss = (w * w * x).sum()
    with Walk(loss) as walk:
        walk.set(autolm.torch.node(w), [1.0, 1.0])
        walk.run()
    assert w.tolist() == [1.0, 1.0]
    assert w.grad.tolist() == [10.0, 14.0]


def test_second_walk_adds_to_the_first():
    w = torch.tensor([2.0, 3.0], requires_grad=True)
    with autolm.torch.record():
        loss = (w * w).sum()
    for factor in (1, 2):
        with Walk(loss) as walk:
            walk.run()
        assert w.grad.tolist() == [4.0 * factor, 6.0 * factor]


def test_tools_leave_random_numbers_alone_that_a_hook_draws():
    w = torch.ones(3, requires_grad=True)
    w.register_hook(lambda grad: grad * torch.rand(3))
    with autolm.torch.record():
        loss = (w * w).sum()
    state = torch.get_rng_state()
    autolm.explain(w, loss)
    autolm.draw(loss, edges="gradient")
    assert torch.equal(state, torch.get_rng_state())


class Planted(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sqrt()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / (2 * x.sqrt())


def test_nan_of_the_forward_pass_is_found_with_its_inputs():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.copy_(torch.tensor([-1.0, 2.0]))
    with autolm.torch.record():
        logs = model(torch.ones(3, 2)).log()
        loss = (logs * 0.0).sum()
    blame = autolm.blame_nonfinite(loss)
    assert (blame.where, blame.index, blame.value) == ("data", (0, 0), float("-inf"))
    assert blame.made_by.op.name == "log" and blame.inputs == (0.0,)
    assert blame.first_nan.cause == "0 · inf"
    assert blame.made_by.location.user.path == __file__


def test_nan_of_the_backward_pass_is_found_with_its_inputs():
    x = torch.tensor([4.0, 0.0], requires_grad=True)
    with autolm.torch.record():
        loss = (Planted.apply(x * 1.0) * torch.tensor([1.0, 0.0])).sum()
    blame = autolm.blame_nonfinite(loss)
    assert (blame.where, blame.index) == ("gradient", (1,))
    assert blame.made_by.op.name == "Planted"
    assert "backward of Planted" in str(blame)


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor * 2, None


def test_wrong_function_is_found_at_its_step():
    x = torch.randn(3, requires_grad=True)
    with autolm.torch.record():
        right = Planted.apply(x.exp())
        loss = Doubled.apply(right, 3.0).sum()
    with pytest.raises(GradientError, match="WRONG") as raised:
        autolm.torch.check(loss)
    assert any("in Doubled, at" in note for note in raised.value.__notes__)
    assert [report.verdict.value for report in autolm.torch.check(right.sum())] == ["correct"]


# Bad input: a line that says what is wrong and what to do


def refused(kind, match):
    return pytest.raises(kind, match=match)


def test_what_is_no_root_is_refused_by_name():
    w = torch.ones(3, requires_grad=True)
    with refused(TypeError, "node: a tensor of PyTorch is needed, not a float"):
        autolm.torch.node(1.0)
    with refused(ValueError, "leaf 'w': no operation made it; begin at what"):
        autolm.torch.graph(w)
    with refused(ValueError, "made under torch.no_grad"), torch.no_grad():
        autolm.torch.graph((w * w).sum())
    with autolm.torch.record():
        y = w * w
    with refused(ValueError, r"mul .*test_looking.py:\d+ has shape \(3,\)"):
        Walk(y)
    with refused(ValueError, "leaf.*no operation made it"):
        Walk(torch.ones((), requires_grad=True))


def test_freed_graph_is_named_with_the_way_out():
    w = torch.ones(3, requires_grad=True)
    with autolm.torch.record():
        loss = (w * w).sum()
    loss.backward()
    with refused(RuntimeError, r"mul .*freed .*retain_graph=True"):
        autolm.explain(w, loss)
    with autolm.torch.record():
        total = (w * w).sum()
    total.backward(retain_graph=True)
    assert autolm.explain(w, total).gradient.tolist() == [2.0] * 3


def test_what_was_written_into_afterwards_is_named_by_its_step_and_line():
    w = torch.ones(3, requires_grad=True)
    with autolm.torch.record():
        y = w.exp()
        loss = (y * 2).sum()
        y.add_(1)
    with (
        Walk(loss) as walk,
        refused(RuntimeError, r"exp .*test_looking.py:\d+: .*write into a clone"),
    ):
        walk.run()


class Counted(torch.autograd.Function):
    calls = 0

    @staticmethod
    def forward(ctx, x):
        Counted.calls += 1
        return x * Counted.calls

    @staticmethod
    def backward(ctx, grad):
        return grad


def test_function_with_a_state_of_its_own_is_not_computed_again():
    w = torch.ones(3, requires_grad=True)
    with autolm.torch.record():
        loss = Counted.apply(w * 2).sum()
    with refused(ValueError, r"Counted .*test_looking.py:\d+ cannot be computed again: .*state"):
        autolm.edit(loss, w, [2.0, 2.0, 2.0])
    assert loss.item() == 6.0 and autolm.torch.node(loss).data.item() == 6.0


def test_hooks_on_a_grad_fn_refuse_to_be_lost():
    w = torch.ones(3, requires_grad=True)
    with autolm.torch.record():
        y = w * w
        y.grad_fn.register_hook(lambda *_: None)
        loss = y.sum()
    with refused(ValueError, "it has hooks on its grad_fn"):
        autolm.edit(loss, autolm.torch.node(w), [1.0, 2.0, 3.0])


def test_program_without_record_is_walked_by_shapes():
    model = nn.Linear(3, 2)
    loss = model(torch.ones(4, 3)).pow(2).sum()
    with Walk(loss) as walk:
        walk.run()
    assert [n.op.name for n in walk.operations] == ["Sum", "Pow", "Addmm", "T"]
    grads = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    model(torch.ones(4, 3)).pow(2).sum().backward()
    assert all(map(torch.equal, grads, (p.grad for p in model.parameters())))


def test_compiled_model_runs_as_it_is_written_and_says_so(capsys):
    with autolm.torch.record():
        model = torch.compile(nn.Linear(2, 2))
    assert "the model runs as it is written" in capsys.readouterr().err
    with autolm.torch.record():
        loss = model(torch.ones(1, 2)).sum()
    assert [n.op.name for n in autolm.topological_order(autolm.torch.graph(loss)) if n.op] == [
        *("linear", "sum")
    ]


def test_record_leaves_pytorch_as_it_was():
    before = (torch.autograd.backward, torch.compile, vars(torch.autograd.Function)["apply"])
    with autolm.torch.record(), autolm.torch.record():
        pass
    after = (torch.autograd.backward, torch.compile, vars(torch.autograd.Function)["apply"])
    assert before == after
    w = torch.ones(2, requires_grad=True)
    y = w * 2
    assert autolm.torch.node(y).data.is_meta is False  # it has the tensor itself, and no function
    assert autolm.torch.node(y).op.name == "Mul"


def test_program_of_the_guide_runs():
    text = (Path(__file__).parents[2] / "demos" / "guide.md").read_text("utf-8")
    programs = re.findall(r"```py\n(.*?)```", text, re.DOTALL)
    (program,) = [text for text in programs if "autolm.torch.graph" in text]
    variables = {}
    exec(program, variables)
    assert variables["root"].op.name == "sum"


def test_data_stay_what_they_were_when_a_tensor_is_written_into():
    x = torch.tensor([[-1.0, 2.0], [3.0, -4.0]], requires_grad=True)
    with autolm.torch.record():
        doubled = x * 2
        row = doubled[0]
        rectified = F.relu(doubled, inplace=True)
        row.add_(10)
        loss = (rectified.sum() + row.sum()).sin()
    data = {}
    for operation in autolm.topological_order(autolm.torch.graph(loss)):
        if operation.op:
            data.setdefault(operation.op.name, operation.data.tolist())
    assert data["mul"] == [[-2.0, 4.0], [6.0, -8.0]]
    assert data["relu"] == [[0.0, 4.0], [6.0, 0.0]]
    assert data["add"] == [[10.0, 14.0], [6.0, 0.0]]
