"""Lesson 12: the gradient on its way through one attention head of a language model.

A small TinyLM, untrained, reads five tokens. We stop its backward pass at the attention of the
first block, look at what each part of it is told, and then open one single number of its output:
beneath the arrays there are the sums and products of lesson 1. At a prompt:

    autolm step demos/12_stepping_an_attention_head.py
"""

import numpy as np

from autolm import TinyLM, Walk, explain

model = TinyLM(vocab_size=9, d_model=8, num_heads=2, d_ff=16, num_layers=1, dtype="float64", seed=3)
token_ids = np.array([1, 2, 3, 4, 5, 6])
loss = model.compute_loss(token_ids[:-1], token_ids[1:])
attention = model.blocks[0].attention

with Walk(loss) as walk:
    print(f"A loss of {float(loss):.4f} nats; its backward pass has {len(walk.operations)} steps.")
    walk.break_at(op="attention")
    walk.run()
    step = walk.preview()  # we stand before it, and its arithmetic is known
    print(f"Step {step.index + 1} is the attention, in {step.node.scope}.\n")

    print("What comes from above, for 5 positions and 2 heads of 4 numbers each (‖norm‖):")
    print(f"  ḡ        {np.linalg.norm(step.upstream):.4f}")
    print("What it sends to its operands:")
    for name, rule, sent in zip("qkv", step.rule, step.contributions, strict=True):
        print(f"  to {name}     {np.linalg.norm(sent.value):.4f}     {rule}")

    head, position, first = 1, 3, 4  # the second head begins at the fifth number
    print(f"\nHow much of it each position of head {head} gets, as a value (v) and as a key (k):")
    _, to_k, to_v = (sent.value[:, first:] for sent in step.contributions)
    for i, (k, v) in enumerate(zip(to_k, to_v, strict=True)):
        print(f"  position {i}     v {np.linalg.norm(v):.4f}     k {np.linalg.norm(k):.4f}")
    print("The last position can be seen by itself alone: causal attention.\n")

    element = step.node.to_values(zoom=True)[position, first]
    upstream = step.upstream[position, first]
    print(f"One number of the output, at head {head}, position {position}: {element.data:.4f}.")
    steps = list(element.steps(upstream))
    print(f"As Values it is {len(steps)} operations. Its gradient is {upstream:.5f}; it goes on:")
    for i in (0, 1, 6, 7, 8):
        op, sent = steps[i].node.op, steps[i].contributions[0]
        product = f"{steps[i].upstream:9.5f} × {sent.local:8.5f} = {sent.value:9.5f}"
        print(f"  {i + 1:2}  {op.symbol:4} y = {op.formula:20} to its first operand {product}")
    print("  …")
    walk.run()

W_Q = attention.W_Q
print("\nHow the loss reaches the queries' weights, by its heaviest paths:")
for path in explain(W_Q, loss, paths=2).paths:
    names = [node.op.name if node.op else node.name for node in path.nodes]
    print(f"  ‖{path.weight:.5f}‖  {' ← '.join(names[:4])} ← … ← {' ← '.join(names[-3:])}")
print(f"\nAll of them together are the gradient, ‖{np.linalg.norm(W_Q.grad):.5f}‖.")
