"""Lesson 7: the whole backward pass of the model of lesson 6, one operation at a time.

From the loss back to every parameter: each operation is told how the loss changes with its result
(the upstream gradient ḡ), and tells each of its inputs how the loss changes with that.
"""

import numpy as np

from autolm import TinyLM, topological_order

TOKENS, TARGETS = [4, 0, 3], [0, 3, 1]  # "the cat sat", after which comes "cat sat down"


def glance(array):
    """Show an array by its shape, its length, and its first number."""
    shape = "×".join(map(str, array.shape)) or "number"
    return f"{shape:>6}   ‖·‖ {np.linalg.norm(array):6.4f}   first {array.flat[0]:+.4f}"


model = TinyLM(5, 4, 1, 6, 1, norm="pre", causal=True, dtype="float64", seed=8)
loss = model.compute_loss(TOKENS, TARGETS)
nodes = topological_order(loss)
print(f"The forward pass made {sum(bool(n.parents) for n in nodes)} operations; loss = {loss:.6f}.")
print("Now back, last operation first. Under each: its ḡ, and what it sends to each input.\n")

scope = None
for step in loss.steps():
    if step.node.scope != scope:
        scope = step.node.scope
        print(f"── {scope or 'the model itself'} ".ljust(78, "─"))
    print(f"{step.index + 1:3}. {step.node.op.name}:  {step.node.op.formula}")
    print(f"     {'ḡ':<32}{glance(step.upstream)}")
    for sent, rule in zip(step.contributions, step.rule, strict=True):
        if sent.parent.requires_grad:
            name = sent.parent.name.rpartition(".")[2] or f"result of {sent.parent.op.name}"
            print(f"     → {name:<30}{glance(sent.value)}{' +' if sent.before is not None else ''}")
            print(f"       {rule}")

print("\n+ marks what is added to something there already: the residual stream forks, one branch")
print("through attention or feed-forward and one around it, and what both send back adds up.")

print("\nThe gradient of every parameter: the direction in which the loss rises fastest.\n")
for path, parameter in model.named_parameters():
    print(f"  {path:<28}{glance(parameter.grad)}")

print("\nIs it true? We expand the model into single numbers, each with micrograd's rules alone,")
print("and differentiate that other graph.\n")
scalar = loss.to_values().item()
scalar.backward()
expanded = topological_order(scalar)
slopes = {value.name: value.grad for value in expanded}
print(f"  {len(nodes)} Tensors have become {len(expanded)} Values, and the loss {scalar.data:.6f}.")
example = "blocks.0.attention.W_Q"
W_Q = model.blocks[0].attention.W_Q
print(f"  {example}[1,2]:  {W_Q.grad[1, 2]:+.15f} by Tensors")
print(f"  {'':<{len(example)}}        {slopes[f'{example}[1,2]']:+.15f} by Values")
differences = [
    abs(gradient - slopes.get(f"{path}[{','.join(map(str, index))}]", 0.0))
    for path, parameter in model.named_parameters()
    for index, gradient in np.ndenumerate(parameter.grad)
]
print(f"  Of all {len(differences)} gradients none differs by more than {max(differences):.0e}.")
print("\nOne step against the gradient, and the loss should fall:")
before, after = model.train_step(TOKENS, TARGETS, learning_rate=0.1)
print(f"  {before:.6f} → {after:.6f}")
