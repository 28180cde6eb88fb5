"""The player of a PyTorch program, in a real browser: its matrices are PyTorch's own numbers."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

import autolm  # noqa: E402
import autolm.torch  # noqa: E402
from autolm.drawing.drawing import Drawing  # noqa: E402
from autolm.pages import player  # noqa: E402
from autolm.pages.player_page import _Page  # noqa: E402
from autolm.torch.numpy_equivalent import in_numpy  # noqa: E402
from autolm.walking.program_names import use_names  # noqa: E402
from autolm.walking.tokens import Tokens  # noqa: E402
from tests.needs import need_browser, need_renderer  # noqa: E402
from tests.pages.test_player_arrays import open_at, table  # noqa: E402

WORDS = ("the", "cat", "sat", "on", "mat")
IDS = torch.tensor([0, 1, 2, 3, 0])


class Attending(torch.nn.Module):
    """One head by hand, two of PyTorch's kernel, a norm, a loss: as programs of today do it."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(5, 8)
        self.norm = torch.nn.LayerNorm(8)
        self.qkv = torch.nn.Linear(8, 24)
        self.head = torch.nn.Linear(8, 5, bias=False)
        self.kept = {}

    def forward(self, ids):
        x = self.embedding(ids)
        q, k, v = self.qkv(self.norm(x)).split(8, dim=-1)
        mask = torch.ones(5, 5).tril() == 0
        scores = (q @ k.mT / 8**0.5).masked_fill(mask, float("-inf"))
        weights = scores.softmax(-1)
        self.kept = {"hidden_scores": scores, "own_weights": weights, "own_q": q}
        heads = (tensor.view(5, 2, 4).transpose(0, 1) for tensor in (q, k, v))
        y = F.scaled_dot_product_attention(*heads, is_causal=True)
        return self.head(x + weights @ v + y.transpose(0, 1).reshape(5, 8))


@pytest.fixture(scope="module")
def model_player(tmp_path_factory):
    need_renderer()
    need_browser()
    torch.manual_seed(0)
    model = Attending().double()
    with autolm.torch.record():
        logits = model(IDS)
        loss = F.cross_entropy(logits, torch.tensor([1, 2, 3, 0, 4]))
    model.kept["logits"] = logits
    for name, tensor in model.kept.items():
        tensor.retain_grad()
        autolm.torch.node(tensor).name = name
    path = tmp_path_factory.mktemp("torch") / "attending.html"
    player(autolm.torch.graph(loss), path, tokens=Tokens((), {}, WORDS))
    assert model.qkv.weight.grad is None
    loss.backward()
    return model, loss, path


def everything(browser, model_player, fragment="step=99"):
    page = open_at(browser, model_player, fragment)
    page.evaluate("view.pinned = ''; drawMatrices()")
    return page


def page_array(page, name, what):
    """Return an array as the page holds it, in view or not."""
    shape, texts = page.evaluate(
        f"""(() => {{ const one = matrices.find(({{ name }}) => name === {name!r});
            return [one.shape, [...one.{what}].map(String)]; }})()"""
    )
    return np.array(list(map(number, texts))).reshape(shape)


def number(text):
    return float(text.replace("Infinity", "inf"))


def test_arrays_and_gradients_are_those_of_pytorch(browser, model_player):
    page = everything(browser, model_player)
    for name, tensor in model_player[0].kept.items():
        assert np.array_equal(page_array(page, name, "data"), tensor.detach().numpy()), name
        assert np.array_equal(page_array(page, name, "grad"), tensor.grad.numpy()), name
    for name, parameter in model_player[0].named_parameters():
        grad = page_array(page, name, "grad")
        assert np.array_equal(grad, parameter.grad.numpy()), name
    assert browser.problems == []


def test_rows_are_tokens_and_a_mask_is_hatched_in_all_that_it_hides(browser, model_player):
    page = everything(browser, model_player)
    words = [WORDS[i] for i in IDS]
    weights = table(page, "own_weights")
    assert (weights["heads"], weights["columns"]) == (words, words)
    hatched = page.evaluate(
        """matrices.filter(({ hidden }) => hidden).map(({ name, hidden, shape }) =>
            [name, shape, [...hidden]])"""
    )
    by_hand = {"hidden_scores", "shifted", "exponentials", "own_weights"}
    in_kernel = {"products", "scores", "mask", "masked_scores", "weights"}
    named = {name for name, *_ in hatched}
    assert by_hand | in_kernel <= named and len(named) == 11  # and two that have no name
    for name, shape, hidden in hatched:
        ahead = np.broadcast_to(~np.tri(5, dtype=bool), shape)
        assert np.array_equal(np.reshape(hidden, shape), ahead), name
    assert weights["sums"] == ["Σ 1"] * 5
    assert table(page, "grad-hidden_scores")["sums"] == ["Σ 0"] * 5
    page.evaluate("view.pinned = 'head'; drawMatrices()")
    assert table(page, "logits")["columns"] == list(WORDS)
    assert table(page, "grad-logits")["sums"] == ["Σ 0"] * 5


def test_what_is_fused_opens_and_its_cells_tell_their_arithmetic(browser, model_player):
    page = everything(browser, model_player)
    names = page.evaluate("matrices.map(({ name }) => name)")
    assert {"centred", "variance", "product", "log_probabilities"} <= set(names)
    compared = page.evaluate(
        """matrices.flatMap((matrix, id) => !opensAsGraph(id) ? [] :
            [...matrix.data.keys()].filter((flat) => canOpen(id, flat)).map((flat) =>
                [matrix.made.op, String(matrix.data[flat]),
                    String(graphOf(id, flat, 1).data.at(-1))]))"""
    )
    assert {"matmul", "softmax", "mul", "add", "sub", "mean"} <= {op for op, *_ in compared}
    for op, true, computed in compared:
        assert number(computed) == pytest.approx(number(true), rel=1e-12, abs=1e-14), op
    page.click('table[data-matrix="own_weights"] tbody tr:nth-child(3) td:nth-of-type(2)')
    assert page.text("#cell").startswith("own_weights[sat, cat] = ")
    cells = page.evaluate(
        """(() => { const split = matrices.findIndex(({ name }) => name === "own_q");
            return madeOf(split, 9).lines; })()"""
    )
    assert len(cells) == 1 and cells[0].startswith("own_q[cat, 1] = ")


def test_the_update_is_a_step_of_gradient_descent(browser, model_player):
    model, loss, _ = model_player
    page = open_at(browser, model_player, "step=99")
    rates, losses = page.evaluate("[training.rates, training.losses]")
    assert losses[0] == loss.item()
    assert "qkv.weight 24×8, qkv.bias 24" in page.text("#moved")
    start = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        for i in (8, 40):
            for parameter, before in zip(model.parameters(), start, strict=True):
                parameter.copy_(before - rates[i] * parameter.grad)
            after = F.cross_entropy(model(IDS), torch.tensor([1, 2, 3, 0, 4]))
            assert losses[i] == pytest.approx(after.item(), rel=1e-12)
        for parameter, before in zip(model.parameters(), start, strict=True):
            parameter.copy_(before)


def matrices_of(loss):
    drawing = Drawing(autolm.torch.graph(loss))
    with use_names(drawing.names):
        matrices_json = _Page(drawing, None, None).matrices.as_json()
    return {matrix["name"]: matrix for matrix in matrices_json}


def test_layouts_and_dtypes_that_numpy_does_not_have_are_shown_with_their_numbers():
    torch.manual_seed(0)
    w = torch.randn(3, 4, dtype=torch.bfloat16, requires_grad=True)
    with autolm.torch.record():
        turned = w.mT
        widened = turned.float()
        half = widened.half()
        for name, tensor in (("turned", turned), ("widened", widened), ("half", half)):
            autolm.torch.node(tensor).name = name
        loss = (half.double() * torch.arange(12.0).view(4, 3)).sum()
    for name, tensor in (("turned", turned), ("widened", widened), ("half", half)):
        read = in_numpy(autolm.torch.node(tensor))
        assert np.array_equal(read.data, tensor.detach().float().numpy()), name
        assert read.op.name == "reshape", name
    matrices_by_name = matrices_of(loss)
    assert matrices_by_name["turned"]["made"]["kind"] == "moved"
    assert {"turned", "widened", "half"} <= set(matrices_by_name)


def test_what_has_no_numbers_has_no_table():
    w = torch.randn(3, 4, requires_grad=True)
    loss = (w * w).tanh().sum()  # seen by nobody: shapes alone
    autolm.torch.node(w).name = "w"
    assert list(matrices_of(loss)) == ["w"]
    z = torch.randn(3, dtype=torch.complex64, requires_grad=True)
    with autolm.torch.record():
        loss = (z * z.conj()).real.sum()
    assert "z" not in matrices_of(loss)


def test_an_operation_is_ours_only_if_it_computes_the_same():
    a = torch.tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    with autolm.torch.record():
        results = {
            "div": torch.div(a, 2, rounding_mode="floor") + a,
            "var": a.var(1),
            "mean": a.mean(dim=1, keepdim=True),
            "gelu": F.gelu(a, approximate="tanh"),
            "max": a.max(dim=1).values,
            "concatenate": torch.cat([a, a], dim=1),
            "": torch.sub(a, a, alpha=3),
            "another": a.var(1, False),  # which is no ddof
        }
        loss = sum(result.sum() for result in results.values())
    for name, tensor in results.items():
        node = autolm.torch.node(tensor)
        node = node.parents[0] if name == "div" else node
        assert in_numpy(node).op.name == ("" if name in ("div", "another") else name)
    assert loss.requires_grad


def test_a_block_of_gpt2_shows_its_heads(browser, tmp_path):
    transformers = pytest.importorskip("transformers")
    need_renderer()
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        **{"n_layer": 1, "n_embd": 8, "n_head": 2, "vocab_size": 10, "n_positions": 8},
        **{"bos_token_id": 0, "eos_token_id": 0},
    )
    model, ids = transformers.GPT2LMHeadModel(config).eval(), torch.randint(0, 10, (1, 5))
    with autolm.torch.record():
        loss = model(ids, labels=ids).loss
    path = player(autolm.torch.graph(loss), tmp_path / "gpt2.html")
    order = autolm.topological_order(autolm.torch.graph(loss))
    [kernel] = [n for n in order if n.op and n.op.name == "scaled_dot_product_attention"]
    browser.open_url(f"{path.as_uri()}#open={kernel.scope}")
    browser.press("End")
    loss.backward()
    read = table(browser, "weights")
    assert read["isSeen"]
    assert read["heads"] == read["columns"] == [str(int(i)) for i in ids[0]]
    assert np.array_equal(read["masked"], ~np.tri(5, dtype=bool))
    assert read["sums"] == ["Σ 1"] * 5
    grad = model.transformer.h[0].attn.c_attn.weight.grad.double().numpy()
    assert np.array_equal(page_array(browser, f"{kernel.scope}.c_attn.weight", "grad"), grad)
    assert browser.problems == []
