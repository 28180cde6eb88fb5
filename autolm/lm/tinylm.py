"""TinyLM: a small transformer language model, built from autolm's primitives.

x = E[token] + PE(position); each layer adds attention and feed-forward; logits = x W_out. With
`num_heads=1, norm=None, causal=False` it is the simplified model of the published lesson, but its
training step differs: see `TinyLM.train_step`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from autolm import ops
from autolm.engine.recording import no_grad
from autolm.lm.design import Design, tinylm_design
from autolm.lm.transformer import Transformer
from autolm.nn.layers import Norm, draw_matrix
from autolm.nn.optimizers import SGD
from autolm.ops.array_arguments import read_floating
from autolm.outside.arguments import read_bool, read_choice, read_finite, read_int, read_size
from autolm.tensor.tensor import Tensor

# Scale of the initial W_out: the logits are nearly equal, and the loss is ln(vocab_size).
LOGIT_SCALE = 0.01


class TinyLM(Transformer):
    """A small transformer that predicts the next token.

    Parameters
    ----------
    vocab_size
        Number of different tokens.
    d_model
        Width of the residual stream.
    num_heads
        Attention heads in each layer; must divide `d_model`.
    d_ff
        Width inside the feed-forward part.
    num_layers
        Number of blocks.
    max_len
        Longest sequence, in tokens.
    norm
        Layer norm before each part ("pre", with one more before the logits), after each ("post"),
        or none at all.
    causal
        Whether a position sees only itself and earlier positions, as generation requires.
    dtype
        The dtype of the parameters and results.
    seed
        The random seed of the initial parameters; None for different ones each time.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the methods raise them too, and then change nothing.

    Examples
    --------
    >>> model = TinyLM(vocab_size=5, d_model=8, num_heads=2, d_ff=16, num_layers=1, seed=0)
    >>> logits, activations = model.forward([0, 1, 2], store_activations=True)
    >>> logits.shape, sorted(activations)
    ((3, 5), ['input', 'layer_0'])
    >>> before, after = model.train_step([0, 1, 2], [1, 2, 3], learning_rate=0.1)
    >>> after < before
    True

    Notes
    -----
    Source: Vaswani et al., Attention Is All You Need (2017), section 3; decoder only, as in Radford
    et al., Improving Language Understanding by Generative Pre-Training (2018). W_out starts near 0,
    so a new model gives all tokens equal probability, and its loss is ln(vocab_size). Yang et al.,
    Tensor Programs V (2022), advise exactly 0, but then no gradient reaches the layers in the
    first step.
    """

    def __init__(
        self,
        vocab_size: int,
        d_model: int,
        num_heads: int,
        d_ff: int,
        num_layers: int,
        *,
        max_len: int = 1000,
        norm: Norm = "pre",
        causal: bool = True,
        dtype: DTypeLike = "float32",
        seed: int | None = None,
    ) -> None:
        vocab_size = read_size("TinyLM", "vocab_size", vocab_size)
        d_model = read_size("TinyLM", "d_model", d_model)
        num_heads = read_size("TinyLM", "num_heads", num_heads)
        d_ff = read_size("TinyLM", "d_ff", d_ff)
        num_layers = read_size("TinyLM", "num_layers", num_layers, low=0)
        max_len = read_size("TinyLM", "max_len", max_len)
        if d_model % num_heads:
            raise ValueError(f"TinyLM: d_model {d_model} is not divisible by num_heads {num_heads}")
        norm = read_choice("TinyLM", "norm", norm, ("pre", "post", None))
        causal = read_bool("TinyLM", "causal", causal)
        dtype = read_floating("TinyLM", "dtype", dtype)
        seed = None if seed is None else read_int("TinyLM", "seed", seed, low=0)
        design = tinylm_design(
            vocab_size,
            d_model,
            num_heads,
            d_ff,
            num_layers,
            max_len=max_len,
            norm=norm,
            causal=causal,
        )
        super().__init__(design, initial_parameters(design, dtype, np.random.default_rng(seed)))

    def __repr__(self) -> str:
        design = self.design
        words = [f"{self.vocab_size} tokens", f"{design.num_layers} layers"]
        if design.num_layers:
            words += [f"{design.num_heads} heads", f"norm {design.norm}", f"d_ff {design.d_ff}"]
        words += [f"d_model {design.d_model}", f"{self.num_parameters()} parameters"]
        return f"TinyLM({', '.join(words)}, {self.embedding.dtype})"

    def train_step(
        self, token_ids: ArrayLike, target_ids: ArrayLike, learning_rate: float
    ) -> tuple[float, float]:
        """Do one step of plain gradient descent; return the loss before and after it.

        The gradient is exact, unlike that of the published lesson's `train_step`: it estimates the
        gradient of one token's embedding after another by forward differences (step ε), and updates
        each embedding before it estimates the next, but compares all losses with the one from
        before the first update. So only the first token's gradient g is right. The gain of its
        update, about α‖g‖², is attributed to the second token: −α‖g‖²/ε is added to each number of
        that gradient (−100‖g‖² with α = 0.001, ε = 1e-5), and so on. The cosine with the exact
        gradient was 1.000 for the first token and −0.003 for the second. The loss still falls.
        """
        learning_rate = read_finite("TinyLM", "learning_rate", learning_rate, low=0)
        loss = self.compute_loss(token_ids, target_ids)
        self.zero_grad()
        loss.backward()
        SGD(self.named_parameters(), learning_rate).step()
        with no_grad():
            return float(loss), float(self.compute_loss(token_ids, target_ids))

    def _softmax(self, logits: Tensor | ArrayLike) -> NDArray[Any]:
        """Return the probabilities of logits; the published lesson's script calls this method."""
        with no_grad():
            return ops.softmax(logits).data


def initial_parameters(
    design: Design, dtype: DTypeLike, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Draw the parameters of a new model, by path.

    The matrices whose results are added to the residual stream are scaled down, so that the sum
    over all layers keeps its size.
    """
    output_scale = 1 / math.sqrt(2 * max(1, design.num_layers))
    scales = {"W_O": output_scale, "W_2": output_scale, "W_out": LOGIT_SCALE}
    arrays = {}
    for path, shape in design.parameter_shapes():
        name = path.rpartition(".")[2]
        if name == "embedding":
            array = rng.normal(size=shape).astype(dtype)
        elif name.startswith("W_"):
            array = draw_matrix(rng, shape, dtype, scales.get(name, 1.0))
        else:
            array = np.full(shape, float(name == "gain"), dtype)
        arrays[path] = array
    return arrays
