"""Lesson 9: our model beside GPT-3, by the same formulas.

GPT-3 is the same machine as TinyLM: blocks of attention and feed-forward on a residual stream. What
is different is how wide, how deep, and how much it read. Here is where its 175 billion come from.
"""

from autolm import TrainingConfig, toy_language_corpus
from autolm.lm.size import GPT3, Architecture, parts

letters = set(toy_language_corpus(train_sentences=1000).text)
ours = Architecture.of(TrainingConfig(), vocab_size=len(letters))


def grouped(number):
    """Write a whole number in groups of three: 1 234 567."""
    return f"{number:,}".replace(",", " ")


print("Two models of one family\n")
print(f"  {'':<22}{'TinyLM':>12}{'GPT-3':>12}{'times':>10}")
for field in ("num_layers", "d_model", "num_heads", "d_ff", "context", "vocab_size"):
    small, large = getattr(ours, field), getattr(GPT3, field)
    print(f"  {field:<22}{grouped(small):>12}{grouped(large):>12}{large / small:10.0f}")

L, d, V, T = GPT3.num_layers, GPT3.d_model, GPT3.vocab_size, GPT3.context
attention, feed_forward = 4 * d * d, 2 * d * 4 * d
print(f"""
Where the parameters are

  One block of width d has four d × d matrices in attention (W_Q, W_K, W_V, W_O), and two between
  d and 4d in feed-forward: 4d² + 8d² = 12d². With d = {grouped(d)} that is

      attention      4d²   {grouped(attention):>18}
      feed-forward   8d²   {grouped(feed_forward):>18}
      one block     12d²   {grouped(attention + feed_forward):>18}
      {L} blocks          {grouped(L * (attention + feed_forward)):>18}
      embedding    V × d   {grouped(V * d):>18}

  Norms, biases and {grouped(T)} learnt positions are the small rest. Part by part, of either model:
""")
print(f"  {'':<16}{'TinyLM':>12}{'share':>8}{'GPT-3':>20}{'share':>8}")
totals = [sum(part.parameters for part in parts(model)) for model in (ours, GPT3)]
for small, large in zip(parts(ours), parts(GPT3), strict=True):
    cells = zip((12, 20), (small.parameters, large.parameters), totals, strict=True)
    words = "".join(f"{grouped(n):>{w}}{n / total:8.1%}" for w, n, total in cells)
    print(f"  {small.name:<16}{words}")
print(f"  {'all':<16}{grouped(totals[0]):>12}{'':8}{grouped(totals[1]):>20}")
wider, deeper = d // ours.d_model, L // ours.num_layers
blocks = grouped(wider**2 * deeper)
print(f"""
  {totals[1] / 1e9:.1f} billion: the “175 B” of its paper. Its output matrix is its embedding once
  more, and counts once. Twice the width is four times the parameters: so {wider} times the width
  and {deeper} times the layers make its blocks {wider}² · {deeper} = {blocks} times ours.
""")

flops = [sum(part.flops for part in parts(model)) for model in (ours, GPT3)]
tokens = 300e9  # Brown et al. (2020), table 2.1
config = TrainingConfig()
our_tokens = config.steps * config.batch_size * config.block_size
print("What it costs\n")
print(f"  {'':<44}{'TinyLM':>12}{'GPT-3':>12}")
rows = {
    "multiply-adds, forward, for one token": [f / 2 for f in flops],
    "for one parameter": [f / 2 / n for f, n in zip(flops, totals, strict=True)],
    "tokens read in training": [our_tokens, tokens],
    "FLOPs of training: 3 × forward × tokens": [3 * flops[0] * our_tokens, 3 * flops[1] * tokens],
    "bytes to train: 4 numbers for each parameter": [16 * n for n in totals],
}
for name, (small, large) in rows.items():
    print(f"  {name:<44}{small:12.3g}{large:12.3g}")
paper = 6 * totals[1] * tokens
years = flops[1] * tokens / (flops[0] * our_tokens) / 60 / 24 / 365.25
print(f"""
  The paper counts 6 FLOPs for each parameter and token, {paper:.3g}: the scores of attention, which
  have no parameters, are left out. If our training takes a minute, then on the same machine
  GPT-3's takes {grouped(round(years))} years.""")
