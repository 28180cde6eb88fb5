"""Lesson 2: one neuron, forwards and backwards, with every number shown.

The neuron is that of Karpathy's micrograd lecture: two inputs, two weights, a bias, a tanh. The
bias is chosen such that the gradients come out round.
"""

from autolm import Value

x1, x2 = Value(2, name="x1"), Value(0, name="x2")
w1, w2 = Value(-3, name="w1"), Value(1, name="w2")
b = Value(6.8813735870195432, name="b")

x1w1, x2w2 = x1 * w1, x2 * w2
both = x1w1 + x2w2
n = both + b
o = n.tanh()
x1w1.name, x2w2.name, both.name, n.name, o.name = "x1·w1", "x2·w2", "sum", "n", "o"

print("A neuron weighs its inputs, adds a bias, and bends the sum:  o = tanh(x1·w1 + x2·w2 + b)\n")
print("Forwards")
for node in (x1, x2, w1, w2, b):
    print(f"  {node.name:5} = {node.data:8.4f}")
for node in (x1w1, x2w2, both, n, o):
    operands = ", ".join(parent.name for parent in node.parents)
    print(f"  {node.name:5} = {node.data:8.4f}   {node.op.name} of {operands}")

print("\nBackwards: each operation multiplies what comes from above by its own slopes.")
print("In the rules on the right ḡ is what comes from above, and y the operation's result.")
for step in o.steps():
    print(f"  {step.index + 1}. {step.node.name} is {step.node.op.formula}")
    for sent, rule in zip(step.contributions, step.rule, strict=True):
        arithmetic = f"{step.upstream:.4f} × {sent.local:7.4f} = {sent.value:7.4f}"
        print(f"       ∂o/∂{sent.parent.name:5} = {arithmetic}     {rule}")

print("\nWhat each input and weight could do to the output")
for node, meaning in (
    (w1, "raise w1, and o rises, for x1 is positive"),
    (w2, "x2 is 0: whatever w2 is, it is not heard"),
    (x1, "w1 is negative: more of x1 gives less of o"),
    (x2, "w2 is positive: more of x2 gives more of o"),
):
    print(f"  ∂o/∂{node.name} = {node.grad:7.4f}   {meaning}")

print(
    "\nLet it learn to say 0 instead: 20 steps of the three parameters against the gradient of o²."
)
for number in range(21):
    output = (x1 * w1 + x2 * w2 + b).tanh()
    loss = output**2
    for parameter in (w1, w2, b):
        parameter.grad = 0
    loss.backward()
    if number % 5 == 0:
        print(f"  step {number:2d}   o = {output.data:.6f}   loss = {loss.data:.6f}")
    for parameter in (w1, w2, b):
        parameter.data -= 0.02 * parameter.grad
