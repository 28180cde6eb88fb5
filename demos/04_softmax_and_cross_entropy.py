"""Lesson 4: how scores become probabilities, and how surprise becomes the loss that we minimize.

A language model ends in one score per word, called logits. Softmax makes them probabilities, cross
entropy tells how surprised they were by the word that came, and the two together have the most
beautiful gradient of all: what was predicted, minus what happened.
"""

import numpy as np

from autolm import Tensor, cross_entropy

WORDS = ["cat", "dog", "sat", "the"]
logits = Tensor([1.0, 0.5, 3.0, -1.0], name="logits")
target = WORDS.index("sat")


def table(title, *columns):
    print("  " + " " * 6 + "".join(f"{name:>12}" for name in title))
    for word, *numbers in zip(WORDS, *columns, strict=True):
        print(f"  {word:6}" + "".join(f"{number:12.4f}" for number in numbers))
    print()


print('The text so far: "the cat". What comes next? The model gave each word a score.\n')
probabilities = logits.softmax()
exponentials = np.exp(logits.data)
table(
    ("score", "exp(score)", "softmax"),
    *(logits.data, exponentials, probabilities.data),
)
print("exp makes every score positive; dividing by their sum makes them probabilities:")
print(f"  sum of exp = {exponentials.sum():.4f},   sum of softmax = {probabilities.data.sum():g}\n")

print("Only differences count: add 1000 to each score, and the probabilities are the same.")
print(f"  {(logits + 1000).softmax().data.round(4)}")
print("  exp(1000) alone would be infinite; so the largest score is subtracted first.\n")

loss = cross_entropy(logits, targets=np.array(target))
print('Now the next word comes, and it is "sat". Surprise is −ln of the probability it had:')
print(f"  loss = −ln {probabilities.data[target]:.4f} = {loss:.4f} nats")
print(f"  A model that knows nothing has −ln 1/4 = {np.log(4):.4f}; one sure of it would have 0.\n")

loss.backward()
happened = np.eye(4)[target]
print(
    "The gradient of the loss in each score is softmax − 1 at the word that came, else softmax:\n"
)
table(
    ("softmax", "happened", "difference", "gradient"),
    *(probabilities.data, happened, probabilities.data - happened, logits.grad),
)
print(
    f"Its numbers add up to {abs(logits.grad.sum()):.0f}: what one word gains, the others lose.\n"
)

print("Step by step against it, the surprise goes away, fast while it is large, slowly after:")
for step in range(9):
    logits.grad = None
    loss = cross_entropy(logits, targets=np.array(target))
    loss.backward()
    if step % 2 == 0:
        print(f'  step {step}   P("sat") = {np.exp(-loss.item()):.4f}   loss = {loss:.4f}')
    logits.data = logits.data - 1.0 * logits.grad

print(
    "\nOver a text the loss is the mean surprise; exp of it is the perplexity: among how many words"
)
print(
    "the model might as well have guessed blindly. Here three words, one of them hard to foresee:"
)
text = Tensor([[1.0, 0.5, 3.0, -1.0], [2.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0]])
came = np.array([WORDS.index(word) for word in ("sat", "dog", "cat")])
surprises = -text.log_softmax().data[np.arange(3), came]
mean = cross_entropy(text, targets=came)
print(f"  surprises {surprises.round(4)}   mean {mean:.4f}   perplexity {np.exp(mean.item()):.2f}")
