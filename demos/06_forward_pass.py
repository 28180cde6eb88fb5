"""Lesson 6: the whole forward pass of a language model, with every number shown.

A very small TinyLM reads three words and says, after each, what it expects next. We compute it line
by line from its parameters, and at the end let the model do the same by itself.
"""

import math

import numpy as np

from autolm import TinyLM

VOCABULARY = ["cat", "down", "mat", "sat", "the"]
SENTENCE = ["the", "cat", "sat", "down"]
SEEN = SENTENCE[:3]
ids = [VOCABULARY.index(word) for word in SENTENCE]
tokens, targets = np.array(ids[:-1]), np.array(ids[1:])


def show(name, tensor, columns=()):
    print(f"   {name:<9}" + "".join(f"{column:>8}" for column in columns))
    for word, row in zip(SEEN, np.asarray(tensor), strict=True):
        print(f"   {word:<9}" + "".join(f"{number:8.3f}" for number in row))
    print()


model = TinyLM(len(VOCABULARY), 4, 1, 6, 1, norm="pre", causal=True, dtype="float64", seed=8)
block, attention = model.blocks[0], model.blocks[0].attention

print(f"A model of {model.num_parameters()} numbers: 5 words, width 4, one layer, one head.\n")
print(f"1. Tokens. A word is its place in the vocabulary: {' '.join(SEEN)} is {tokens}.\n")

print("2. Embedding. Each token takes its row of a table: for now, that is all it means.\n")
show("E[token]", model.embedding[tokens])

print("3. Position. Added to it, so that a word knows where it stands: the hands of two clocks.\n")
show("PE", model.positions[:3])
x = model.embedding[tokens] + model.positions[:3]

print("4. Norm. A copy of each row, with mean 0 and variance 1, for attention to read.\n")
normal = block.norm_1(x)
show("norm", normal)

print("5. Queries, keys and values: that copy times three matrices.\n")
q, k, v = normal @ attention.W_Q, normal @ attention.W_K, normal @ attention.W_V
for name, rows in (("Q", q), ("K", k), ("V", v)):
    show(name, rows)

print("6. Scores: each query · each key / √4. What is ahead may not be seen: −∞.\n")
scores = (q @ k.T / math.sqrt(4)).masked_fill(np.triu(np.ones((3, 3), bool), 1), -np.inf)
show("scores", scores, SEEN)

print("7. Weights: the softmax of each row. They say who looks at whom, and add up to 1.\n")
weights = scores.softmax()
show("weights", weights, SEEN)

print("8. Residual. What attention found is added to x: nothing that x knew is lost.\n")
x = x + weights @ v @ attention.W_O
show("x", x)

print("9. Feed-forward. Each word by itself: norm, to width 6, nothing below 0, back to width 4.\n")
hidden = (block.norm_2(x) @ block.feed_forward.W_1).relu()
show("hidden", hidden)
x = x + hidden @ block.feed_forward.W_2
show("x", x)

print("10. Logits: one more norm, and a score for each word of the vocabulary.\n")
logits = model.norm(x) @ model.W_out
show("logits", logits, VOCABULARY)

print("11. Softmax: the scores become probabilities of what comes next.\n")
show("p", logits.softmax(), VOCABULARY)

print(f"12. Loss: the mean of −ln p of what came. Mere guessing: ln 5 = {math.log(5):.3f}.\n")
surprise = -logits.log_softmax()[np.arange(3), targets]
for here, after, nats in zip(SEEN, SENTENCE[1:], surprise.data, strict=True):
    print(f"   after {here:<4} came {after:<5} p = {math.exp(-nats):.3f}   −ln p = {nats:.4f}")
print(f"\n   loss = {surprise.mean():.6f}   perplexity = e^loss = {np.exp(surprise.mean()):.3f}")
print(f"   and model.compute_loss says {model.compute_loss(tokens, targets):.6f}")
