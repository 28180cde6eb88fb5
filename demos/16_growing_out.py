"""Lesson 16: one step of training, shared by several workers, is the same step.

A model that outgrows one machine is trained by many. Each takes rows of the batch, and their
gradients are averaged. When is that average the gradient of the whole batch? And what must each
worker hold? Here workers are a loop; `autolm train --engine torch` under torchrun has real ones.
"""

import numpy as np

from autolm import TinyLM
from autolm.lm.size import GPT3, parts
from autolm.nn import gradient_norm

WORKERS, IGNORED = 3, -1
rng = np.random.default_rng(0)
inputs, targets = rng.integers(9, size=(2, 5, 8))
targets[1, 3:] = targets[4, 1:] = IGNORED  # the padding after documents that are short
model = TinyLM(9, 16, 2, 32, 2, dtype="float64", seed=0)


def gradient(rows):
    """Return the gradient of the mean loss on some rows, and how many targets they have."""
    model.zero_grad()
    model.compute_loss(inputs[rows], targets[rows]).backward()
    grads = {path: parameter.grad for path, parameter in model.named_parameters()}
    return grads, np.count_nonzero(targets[rows] != IGNORED)


def apart(some):
    """Say how far gradients are from those of the whole batch, relative to their length."""
    difference = sum(float(((some[path] - whole[path]) ** 2).sum()) for path in whole)
    return (difference / sum(float((grad**2).sum()) for grad in whole.values())) ** 0.5


whole, counted = gradient(np.arange(5))
length = gradient_norm(model.parameters())
shares = [gradient(rows) for rows in np.array_split(np.arange(5), WORKERS)]
mean_of_means = {path: sum(g[path] for g, _ in shares) / WORKERS for path in whole}
# A worker's loss is its sum, times the workers, by the targets of the whole batch.
exact = {
    path: sum(g[path] * (n * WORKERS / counted) for g, n in shares) / WORKERS for path in whole
}
print(f"""A batch of 5 rows with {counted} targets, on {WORKERS} workers

  targets of each worker          {"  ".join(f"{n:>2}" for _, n in shares)}
  length of the gradient          {length:.4f}

  How far the workers' average is from it
    each takes the mean of its loss     {apart(mean_of_means):.1%}
    each takes sum × workers / targets  {apart(exact):.0e}

  A mean of means counts a row with little in it as much as a full one. Nothing fails, and the loss
  falls: only the model is another. So every worker must know the size of the *whole* batch.
""")
assert apart(exact) < 1e-14 < apart(mean_of_means)

parameters = sum(part.parameters for part in parts(GPT3))
block = sum(p.parameters for p in parts(GPT3) if p.name in ("attention", "feed_forward"))
largest = block / GPT3.num_layers
print(f"""What each worker holds, at GPT-3's size ({parameters / 1e9:.1f} billion parameters)

  4 numbers of 4 bytes for each parameter: itself, its gradient, and Adam's two moments.
  DDP: everything, everywhere. FSDP: a share, and for a moment the weights and gradient of a layer.

  {"workers":>8}{"ddp":>12}{"fsdp":>12}{"fsdp sends in a step":>26}""")
for workers in (1, 8, 64, 512, 4096):
    ddp, shard = 16 * parameters, 16 * parameters / workers + 8 * largest
    sent = 3 * 4 * parameters * (1 - 1 / workers)
    print(f"  {workers:>8}{ddp / 1e9:9.0f} GB{shard / 1e9:9.1f} GB{sent / 1e9:23.0f} GB")
print(f"""
  More workers soon stop helping: a layer alone, {8 * largest / 1e9:.1f} GB, does not get smaller,
  and what is sent does not either. Beyond that, layers themselves must be cut. `autolm info
  --workers N` reckons so for any model.""")
