"""Lesson 13: drawing a computation, from three nodes to a hundred thousand.

A picture shows each node with its data and its gradient, each operation, and every edge. What is
too large to be read is closed, scope by scope, and what is hidden is counted. The pictures are
written beside where you run this; open them in a browser. At a prompt the same is

    autolm draw demos/11_stepping_a_neuron.py --grad -o neuron.svg
"""

import numpy as np

from autolm import Drawing, TinyLM, Value, draw, render

x = Value(3.0, name="x")
square = x * x
print(f"x · x in {render(square, 'square.svg')}: one box for x, and two edges from it.")
arrows = [line.split(" [")[0].strip() for line in draw(square).body if "->" in line]
print("Its arrows in DOT:", ", ".join(arrows))
print('Its gradient reads "–" for now: not computed is not 0.\n')

a, b, c = Value(2.0, name="a"), Value(-3.0, name="b"), Value(10.0, name="c")
o = (a * b + c).tanh()
o.name = "o"
o.backward()
render(o, "expression.svg", edges="chain rule")
print("expression.svg has the backward pass as dashed arrows, each with its arithmetic,")
print("upstream × local = contribution. What arrives at a node adds up to its gradient:")
print(f"  a.grad = {a.grad:.4g}   b.grad = {b.grad:.4g}   c.grad = {c.grad:.4g}\n")

model = TinyLM(vocab_size=31, d_model=32, num_heads=4, d_ff=128, num_layers=2, seed=0)
token_ids = np.arange(33) % 31
loss = model.compute_loss(token_ids[:-1], token_ids[1:])
numbers = Drawing(loss.to_values().item())
print(f"The loss of a small TinyLM is {len(numbers.order):,} operations and numbers.")
for name, options in {
    "tinylm.svg": {"depth": 0},
    "block.svg": {"depth": 1},
    "attention.svg": {"expand": "blocks.0.attention"},
    "weight.svg": {"focus": "blocks.0.attention.W_Q[3,5]", "radius": 1, "max_boxes": 9},
}.items():
    picture = numbers.render(name, **options)
    size = picture.stat().st_size / 1000
    print(f"  {name:14} {size:3.0f} kB   {numbers.view(**options).notes[-1]}")

print("\nIn the attention of the first block there is the softmax, in every head and at every")
print("position at once, each box with the smallest and the largest of its numbers:")
for box in numbers.view(expand="blocks.0.attention").boxes:
    if box.frame == ("blocks.0", "attention"):
        print(f"  {box.title:4} {box.subtitle:7} {box.rows[0][1]}")
