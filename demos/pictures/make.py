"""Make the pictures of the README: `python demos/pictures/make.py`, light and dark.

Pictures of the player are screenshots and need Chromium.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from autolm import Drawing, TinyLM, Value, player, topological_order
from autolm.walking.tokens import Tokens

HERE = Path(__file__).parent
WORDS = ("the", "cat", "sat", "on", "mat", ".")


def expression():
    a, b = Value(2.0, name="a"), Value(-3.0, name="b")
    loss = (a * b + 10).tanh()
    loss.name = "loss"
    return Drawing(loss), {}


def neuron():
    x1, x2 = Value(2, name="x1"), Value(0, name="x2")
    w1, w2 = Value(-3, name="w1"), Value(1, name="w2")
    b = Value(6.8813735870195432, name="b")
    x1w1, x2w2 = x1 * w1, x2 * w2
    x1w1x2w2 = x1w1 + x2w2
    n = x1w1x2w2 + b
    o = n.tanh()
    x1w1.name, x2w2.name, x1w1x2w2.name, n.name, o.name = "x1w1", "x2w2", "x1w1x2w2", "n", "o"
    return Drawing(o), {"edges": "chain rule"}


def tinylm():
    model = TinyLM(31, d_model=32, num_heads=4, d_ff=128, num_layers=6, seed=0)
    loss = model.compute_loss(np.arange(11), np.arange(11) + 1)
    return Drawing(loss.to_values().item()), {}


def head():
    """Draw one number of what one head of attention says, at the second position."""
    model = TinyLM(9, d_model=4, num_heads=2, d_ff=8, num_layers=1, dtype="float64", seed=3)
    loss = model.compute_loss(np.arange(5), np.arange(5) + 1)
    attention = next(n for n in topological_order(loss) if n.op and n.op.name == "attention")
    for name, operand in zip("qkv", attention.parents, strict=True):
        operand.name = f"{attention.scope}.{name}"
    output = attention.to_values(zoom=True)[1, 0]
    output.name = "output[1,0]"
    return Drawing(output), {}


def gpt2():
    """Draw a block of a GPT-2 of `transformers`, for which PyTorch and that must be installed."""
    import torch
    from transformers import GPT2Config, GPT2Model

    import autolm.torch

    torch.manual_seed(0)
    sizes = {"n_layer": 1, "n_embd": 64, "n_head": 4, "vocab_size": 100, "n_positions": 32}
    dropped = dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0)
    model = GPT2Model(GPT2Config(**sizes, **dropped, bos_token_id=0, eos_token_id=0))
    with autolm.torch.record():
        hidden = model(torch.randint(0, 100, (1, 12))).last_hidden_state
    drawing = Drawing(hidden)
    for node in drawing.order:
        node.location = None  # which is a path on the machine that makes the picture
    return drawing, {}


PICTURES = {picture.__name__: picture for picture in (expression, neuron, tinylm, head, gpt2)}


def small_model():
    """Train a model on one sentence, so that its attention shows something."""
    model = TinyLM(len(WORDS), 4, 1, 16, 1, dtype="float64", seed=3)
    read, asked = np.array([0, 1, 2, 3, 0, 4]), np.array([1, 2, 3, 0, 4, 5])
    for _ in range(40):
        model.train_step(read, asked, 0.2)
    return model.compute_loss(read, asked), Tokens((), {}, WORDS)


def make_players(chromium):
    loss, tokens = small_model()
    pages = {  # what is shown, where in it, and how large a window
        "player": (neuron()[0].root, None, "step=8", "1100,720"),
        "attention": (loss, tokens, "open=blocks.0.attention", "1280,900"),
        "update": (loss, tokens, "step=99", "740,900"),
    }
    with TemporaryDirectory() as folder:
        for name, (root, read, place, size) in pages.items():
            page = player(root, Path(folder) / f"{name}.html", tokens=read).as_uri()
            for variant, options in (("", ()), ("-dark", ("--force-dark-mode",))):
                picture = f"--screenshot={HERE / name}{variant}.png"
                window = (
                    "--headless",
                    "--no-sandbox",
                    "--hide-scrollbars",
                    f"--window-size={size}",
                )
                command = [chromium, *window, *options, picture, f"{page}#{place}&lang=en"]
                subprocess.run(command, check=True)


if __name__ == "__main__":
    for name, picture in PICTURES.items():
        drawing, options = picture()
        drawing.render(HERE / f"{name}.svg", **options)
        drawing.render(HERE / f"{name}-dark.svg", dark=True, **options)
    chromium = shutil.which("chromium") or sys.exit("the player needs chromium for its picture")
    make_players(chromium)
