"""Lesson 5: attention, by which the words of a sentence look at one another.

Each position asks a question (its query), shows what it has (its key), and gives what it knows (its
value). How well a key answers a query decides how much of that value is taken.
"""

import math

import numpy as np

from autolm import Tensor, attention, scope

WORDS = ["the", "cat", "sat", "down"]
T, D = len(WORDS), 3


def table(title, rows, columns=WORDS):
    print(f"  {title:8}" + "".join(f"{column:>8}" for column in columns))
    for word, row in zip(WORDS, rows, strict=True):
        print(f"  {word:8}" + "".join(f"{number:8.3f}" for number in row))
    print()


rng = np.random.default_rng(5)
with scope("attention"):
    q, k, v = (Tensor(rng.normal(size=(T, D)).round(1), name=name) for name in "qkv")

    print(f"Four words, each with a query, a key and a value of {D} numbers.\n")
    print("1. Scores: how well does each key (column) answer each query (row)? Their dot product,")
    print("   divided by √3, so that its spread does not grow with the number of numbers in it.\n")
    scores = q @ k.T / math.sqrt(D)
    table("scores", scores.data)

    print(
        "2. The mask: when we predict the next word, nobody may look ahead. Those scores are −∞.\n"
    )
    ahead = np.triu(np.ones((T, T), dtype=bool), 1)
    masked = scores.masked_fill(ahead, -np.inf)
    table("masked", masked.data)

    print("3. Softmax along each row: weights that add up to 1; what is ahead gets exactly 0.\n")
    weights = masked.softmax()
    table("weights", weights.data)

    print("4. Each word takes that much of each value: a weighted average of what it may see.\n")
    output = weights @ v
    table("output", output.data, columns=("y₁", "y₂", "y₃"))

fused = attention(q, k, v, causal=True)
same = np.allclose(fused.data, output.data, rtol=1e-12)
print(f"The one operation `attention` does all four steps; the same numbers: {same}.\n")

print(
    'Backwards: ask what moves the output of "sat". Seed the gradient with 1 in its row, else 0.\n'
)
seed = np.zeros((T, D))
seed[2] = 1.0
output.backward(seed, retain_grads=True)
table("∂/∂v", v.grad, columns=("v₁", "v₂", "v₃"))
print('   the value of each word counts by the weight that "sat" gave it;')
print('   "down" gets nothing: no gradient flows to what was not seen.\n')
table("∂/∂scores", scores.grad)
print(f'   only the row of "sat" can change it, and its sum is {abs(scores.grad[2].sum()):.0f}:')
print("   a word that gets more attention takes it from the others.\n")
table("∂/∂q", q.grad, columns=("q₁", "q₂", "q₃"))
print('   "sat" is told which way to change its question; nobody else asked for this output.')
