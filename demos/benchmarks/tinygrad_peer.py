"""TinyLM on tinygrad, with the whole training step compiled (`TinyJit`).

It needs a C compiler (clang) on a machine without an accelerator.
"""

from importlib import import_module
from typing import Any

from autolm.lm.tinylm import TinyLM
from benchmarks.race import Contestant

LEARNING_RATE = 1e-3
OPTIMIZER = {"lr": LEARNING_RATE, "b1": 0.9, "b2": 0.95}


def tinygrad_step(model: TinyLM, tokens: Any, targets: Any) -> Contestant:
    """Train on tinygrad; ImportError without it, RuntimeError where it cannot run."""
    tinygrad: Any = import_module("tinygrad")
    context, optimizers = tinygrad.helpers.Context, import_module("tinygrad.nn.optim")
    weights = {path: tinygrad.Tensor(p.data).is_param_() for path, p in model.named_parameters()}
    batch, time = tokens.shape
    positions = tinygrad.Tensor(model.positions[:time])
    tokens, targets = tinygrad.Tensor(tokens).realize(), tinygrad.Tensor(targets).realize()
    heads = model.blocks[0].attention.num_heads
    optimizer = optimizers.OptimizerGroup(
        optimizers.AdamW(
            [w for w in weights.values() if w.ndim > 1], weight_decay=0.1, **OPTIMIZER
        ),
        optimizers.AdamW([w for w in weights.values() if w.ndim == 1], weight_decay=0, **OPTIMIZER),
    )

    def norm(x: Any, path: str) -> Any:
        return x.layernorm(eps=1e-5) * weights[f"{path}.gain"] + weights[f"{path}.bias"]

    def split(x: Any) -> Any:
        return x.reshape(batch, time, heads, -1).transpose(1, 2)

    def loss_now() -> Any:
        x = weights["embedding"][tokens] + positions
        for block in (f"blocks.{i}" for i in range(len(model.blocks))):
            normal = norm(x, f"{block}.norm_1")
            q, k, v = (split(normal @ weights[f"{block}.attention.W_{part}"]) for part in "QKV")
            mixed = q.scaled_dot_product_attention(k, v, is_causal=True)
            mixed = mixed.transpose(1, 2).reshape(batch, time, -1)
            x = x + mixed @ weights[f"{block}.attention.W_O"]
            inner = norm(x, f"{block}.norm_2") @ weights[f"{block}.feed_forward.W_1"]
            x = x + inner.relu() @ weights[f"{block}.feed_forward.W_2"]
        logits = norm(x, "norm") @ weights["W_out"]
        return logits.reshape(batch * time, -1).sparse_categorical_crossentropy(targets.flatten())

    @tinygrad.TinyJit
    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_now().backward()
        return loss.realize(*optimizer.schedule_step())

    def run() -> float:
        with context(TRAINING=1):
            return float(step().item())

    return Contestant("tinygrad, compiled", run)
