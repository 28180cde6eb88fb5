"""A GPT-2 of `transformers`: walked to the bit, with the names and lines of its own source."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import re  # noqa: E402

import autolm  # noqa: E402
import autolm.torch  # noqa: E402
from autolm.walking.walk import Walk  # noqa: E402
from tests.needs import need_renderer  # noqa: E402
from tests.pictures import svg_edges, svg_texts  # noqa: E402
from tests.test_readme_pictures import FOLDER, load_script  # noqa: E402


def gpt2():
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        **{"n_layer": 2, "n_embd": 16, "n_head": 2, "vocab_size": 50, "n_positions": 16},
        **{"bos_token_id": 0, "eos_token_id": 0},
    )
    model, ids = transformers.GPT2LMHeadModel(config), torch.randint(0, 50, (2, 8))
    torch.manual_seed(1)
    return model, ids


def test_gpt2_has_the_gradients_of_a_plain_run_in_the_walk_and_after():
    model, ids = gpt2()
    model(ids, labels=ids).loss.backward()
    plain = {name: parameter.grad for name, parameter in model.named_parameters()}
    model, ids = gpt2()
    with autolm.torch.record():
        loss = model(ids, labels=ids).loss
    with Walk(loss) as walk:
        walk.run()
        walk.goto(0)
        walk.run()
        grads = {n.name: n.grad for n in walk.gradients if not n.parents}
    assert grads.keys() == plain.keys()
    for name, parameter in model.named_parameters():
        assert torch.equal(grads[name], plain[name]), name
        assert torch.equal(parameter.grad, plain[name]), name
    scopes = {node.scope for node in walk.operations}
    assert {"transformer.h.0.attn", "transformer.h.1.mlp.act", "lm_head"} <= scopes
    fused = [n for n in walk.operations if n.op.name == "scaled_dot_product_attention"]
    assert len(fused) == 2 and fused[0].location.user.path.endswith("sdpa_attention.py")
    model.eval()
    with autolm.torch.record():
        loss = model(ids, labels=ids).loss
    order = autolm.topological_order(autolm.torch.graph(loss))
    attention = next(n for n in order if n.op and n.op.name == "scaled_dot_product_attention")
    opened = autolm.open(attention)
    assert torch.allclose(opened.data, attention.data, atol=1e-5)


def test_picture_of_the_readme_is_what_is_drawn_now():
    need_renderer()
    drawing, options = load_script().PICTURES["gpt2"]()
    for variant, dark in (("", False), ("-dark", True)):
        now = drawing.svg(dark=dark, **options)
        stored = (FOLDER / f"gpt2{variant}.svg").read_text(encoding="utf-8")
        assert words(now) == words(stored)
        assert svg_edges(now) == svg_edges(stored)


def words(svg):
    """List the texts of a picture, without the numbers that another processor rounds otherwise."""
    return sorted(text for text in svg_texts(svg).values() if not re.search(r"\d\.\d", str(text)))
