"""A causal mask of a PyTorch program is marked nowhere, and what is not finite everywhere."""

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import autolm.torch  # noqa: E402
from tests.walking.test_masks import marked_in  # noqa: E402


class Block(nn.Module):
    """A block as of nanoGPT: attention by hand with a mask, and a perceptron."""

    def __init__(self, width, heads, time):
        super().__init__()
        self.heads = heads
        self.attention = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.perceptron = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.register_buffer("mask", torch.ones(time, time).tril())

    def forward(self, x):
        batch, time, width = x.shape
        parts = self.attention(self.norms[0](x)).split(width, dim=2)
        q, k, v = (part.view(batch, time, self.heads, -1).transpose(1, 2) for part in parts)
        scores = q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5
        scores = scores.masked_fill(self.mask[:time, :time] == 0, float("-inf"))
        y = F.softmax(scores, dim=-1) @ v
        x = x + self.projection(y.transpose(1, 2).reshape(batch, time, width))
        return x + self.perceptron(self.norms[1](x))


def loss_of(spoil=None, layers=2):
    torch.manual_seed(0)
    model = nn.Sequential(*(Block(8, 2, 4) for _ in range(layers)), nn.Linear(8, 5))
    if spoil:
        with torch.no_grad():
            spoil(model)
    with autolm.torch.record():
        loss = F.cross_entropy(model(torch.randn(2, 4, 8)).flatten(0, 1), torch.arange(8) % 5)
    return autolm.torch.node(loss)


def undefined_weight(model):
    model[1].attention.weight[0, 0] = float("nan")


def overflowing_weight(model):
    model[0].projection.weight.fill_(1e38)


def masked_row(model):
    model[0].mask[1] = 0


@pytest.mark.parametrize("layers", [1, 2])
def test_a_causal_mask_is_marked_nowhere(layers):
    assert set(marked_in(loss_of(layers=layers)).values()) == {False}


def test_a_weight_that_is_nan_marks_only_the_parts_that_it_reaches():
    view = autolm.draw(loss_of(undefined_weight), expand=["1"], max_boxes=99).view
    marked = {box.frame[0] for box in view.boxes if not box.is_finite and box.frame}
    assert "1" in marked
    assert "0" not in marked


@pytest.mark.parametrize("spoil", [undefined_weight, overflowing_weight, masked_row])
def test_what_is_really_not_finite_is_marked_everywhere(spoil):
    assert set(marked_in(loss_of(spoil)).values()) == {True}
