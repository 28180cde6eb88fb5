"""Lesson 8: training, and how to tell whether a loss is good.

A loss of 0.6 means nothing by itself. So before the first step we ask what a model would lose that
knows nothing, or only how often letters occur, and so on up; and as the grammar of our toy language
is known, we can even compute what no model can do better than.
"""

import math

import numpy as np
from threadpoolctl import threadpool_limits

from autolm import Training, TrainingConfig, stream_text, toy_language_corpus, train_tokenizer

corpus = toy_language_corpus(train_sentences=6000, validation_sentences=300)
config = TrainingConfig(
    d_model=48, d_ff=192, num_layers=2, num_heads=2, batch_size=8, steps=600, learning_rate=2e-2
)
training = Training(config, corpus, train_tokenizer(config, corpus))
entropy = training.true_entropy()


def first_line(seed):
    """Let the model write one line."""
    rng = np.random.default_rng(seed)
    pieces = stream_text(training.model, training.tokenizer, "lines", "", 64, rng=rng)
    return "".join(pieces).splitlines()[0]


print("Some sentences of the toy language:\n")
for sentence in corpus.train.splitlines()[:4]:
    print(f"  {sentence}")

print("\nThe ladder: what a model loses on each letter, by what it knows.\n")
print(f"  {'it knows':<36}{'loss (nats)':>11}{'perplexity':>13}")
ladder = training.ladder()
rungs = {
    "nothing: all letters are as likely": ladder.uniform,
    "how often each letter occurs": ladder.unigram,
    "the letter before": ladder.bigram,
    "the two letters before": ladder.trigram,
    "the whole grammar: the true entropy": entropy,
}
for knowledge, nats in rungs.items():
    print(f"  {knowledge:<36}{nats:11.3f}{math.exp(nats):13.2f}")
print("\nPerplexity is e^loss: so many letters, all as likely, would leave one as unsure.")

print(f"\nNow we train: {training.model.num_parameters()} numbers, {config.steps} steps.\n")
print(f"  step{'loss':>8}{'perplexity':>12}   and it writes")
with threadpool_limits(config.threads):  # matrices this small gain nothing from more
    while True:
        loss = training.validate()
        print(f"  {training.step:4}{loss:8.3f}{math.exp(loss):12.2f}   {first_line(seed=1)}")
        if training.done:
            break
        for _ in range(config.steps // 8):
            training.advance()

below = [knowledge for knowledge, nats in rungs.items() if loss < nats]
print(f"\nIt has passed the rung “{below[-1]}”: it uses more than that.")
print(f"Its perplexity is {math.exp(loss):.2f}; the best possible is {math.exp(entropy):.2f}.")
print(f"Each letter costs it {loss - entropy:.3f} nats more than it must: that much is unlearnt.")
print("(autolm train goes on for a minute, with more of everything, and comes within a few %.)")
print("\nWhat it writes now:\n")
for seed in range(2, 7):
    print(f"  {first_line(seed)}")
