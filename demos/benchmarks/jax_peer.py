"""TinyLM on JAX: forward, backward and AdamW, compiled as one by `jit`, its memory given back."""

from importlib import import_module
from typing import Any

from autolm.lm.tinylm import TinyLM
from benchmarks.race import Contestant

RATE, BETA1, BETA2, EPS, DECAY = 1e-3, 0.9, 0.95, 1e-8, 0.1


def jax_step(name: str, model: TinyLM, tokens: Any, targets: Any) -> Contestant:
    """Train on JAX, on as many threads as it takes; ImportError without it."""
    jax: Any = import_module("jax")
    np: Any = import_module("jax.numpy")
    weights = {path: np.array(p.data) for path, p in model.named_parameters()}
    positions = np.array(model.positions[: tokens.shape[1]])
    heads, layers = model.blocks[0].attention.num_heads, len(model.blocks)
    future = np.triu(np.full((tokens.shape[1],) * 2, -np.inf, np.float32), 1)
    tokens, targets = np.array(tokens), np.array(targets)

    def norm(w: Any, x: Any, path: str) -> Any:
        centered = x - x.mean(-1, keepdims=True)
        deviation = jax.lax.rsqrt((centered**2).mean(-1, keepdims=True) + 1e-5)
        return centered * deviation * w[f"{path}.gain"] + w[f"{path}.bias"]

    def split(x: Any) -> Any:
        return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    def loss_of(w: Any, tokens: Any, targets: Any) -> Any:
        x = w["embedding"][tokens] + positions
        for block in (f"blocks.{i}" for i in range(layers)):
            normal = norm(w, x, f"{block}.norm_1")
            q, k, v = (split(normal @ w[f"{block}.attention.W_{part}"]) for part in "QKV")
            scores = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5 + future
            mixed = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(x.shape)
            x = x + mixed @ w[f"{block}.attention.W_O"]
            inner = norm(w, x, f"{block}.norm_2") @ w[f"{block}.feed_forward.W_1"]
            x = x + jax.nn.relu(inner) @ w[f"{block}.feed_forward.W_2"]
        scores = jax.nn.log_softmax(norm(w, x, "norm") @ w["W_out"])
        return -np.take_along_axis(scores, targets[..., None], -1).mean()

    def move(w: Any, first: Any, second: Any, count: Any, tokens: Any, targets: Any) -> Any:
        loss, slopes = jax.value_and_grad(loss_of)(w, tokens, targets)
        for path, g in slopes.items():
            first[path] = BETA1 * first[path] + (1 - BETA1) * g
            second[path] = BETA2 * second[path] + (1 - BETA2) * g * g
            size = np.sqrt(second[path] / (1 - BETA2**count)) + EPS
            change = first[path] / (1 - BETA1**count) / size
            change += DECAY * w[path] if w[path].ndim > 1 else 0.0
            w[path] = w[path] - RATE * change
        return loss, w, first, second

    step = jax.jit(move, donate_argnums=(0, 1, 2))
    state = [weights, *({path: np.zeros_like(w) for path, w in weights.items()} for _ in "mv")]
    count = 0

    def run() -> float:
        nonlocal state, count
        count += 1
        loss, *state = step(*state, np.float32(count), tokens, targets)
        return float(loss)

    return Contestant(name, run)
