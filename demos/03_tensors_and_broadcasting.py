"""Lesson 3: arrays in place of numbers, and what becomes of the chain rule when shapes broadcast.

A Tensor is a whole array in one node. Its gradient has its shape, whatever it was combined with:
an element that was used several times gets the sum of the gradients of its uses.
"""

import numpy as np

from autolm import Tensor, topological_order


def show(title, array):
    rows = np.array2string(np.asarray(array), precision=3, suppress_small=True).splitlines()
    print(f"  {title:22}{rows[0]}")
    for row in rows[1:]:
        print(f"  {'':22}{row}")


print("Two examples of three features pass through one layer: y = x @ W + b, then relu.\n")
x = Tensor([[1.0, 2.0, -1.0], [0.5, -1.0, 3.0]], name="x")
W = Tensor([[0.5, -1.0], [1.0, 0.5], [-0.5, 1.0]], name="W")
b = Tensor([0.1, -0.2], name="b")
scores = x @ W
shifted = scores + b
y = shifted.relu()
total = y.sum()
show("x @ W        (2, 2)", scores.data)
show("b            (2,)", b.data)
show("x @ W + b    (2, 2)", shifted.data)
show("relu of it   (2, 2)", y.data)
show("sum of all   ()", total.data)

total.backward(retain_grads=True)
print("\nBackwards, from the sum, whose gradient is 1. Every gradient has the shape of its data.\n")
show("∂/∂ relu     (2, 2)", y.grad)
print("      the sum hands its 1 to each element")
show("∂/∂ shifted  (2, 2)", shifted.grad)
print("      relu lets pass what was positive, and stops the rest")
show("∂/∂ b        (2,)", b.grad)
print(
    "      b was added to both rows, so it collects from both: the column sums of the array above"
)
show("∂/∂ W        (3, 2)", W.grad)
show("xᵀ @ ∂/∂shifted", x.data.T @ shifted.grad)
print("      the same numbers: a matrix product sends back a matrix product\n")

print("Broadcasting: axes are matched from the right, and an axis of length 1 is repeated.")
print("Going back, the repeats are summed. So a gradient fits its data.\n")
upstream = np.arange(1.0, 7.0).reshape(2, 3)
show("upstream     (2, 3)", upstream)
for shape, why in (
    ((2, 3), "nothing was repeated"),
    ((3,), "a row, used in 2 rows: column sums"),
    ((2, 1), "a column, used in 3 columns: row sums"),
    ((), "one number, used 6 times: everything"),
):
    operand = Tensor(np.zeros(shape))
    (operand + np.zeros((2, 3))).backward(upstream)
    print(f"\n  operand {shape!s:8} {why}")
    show("  gradient", operand.grad)

print(
    "\nUnder every Tensor lie single Values, and the chain rule of lesson 1. Take the sum apart:\n"
)
value = total.to_values().item()
value.backward()
tensors, nodes = topological_order(total), topological_order(value)
print(f"  The {len(tensors)} Tensors are {len(nodes)} Values; walk back through these.")
for node in nodes:
    if node.name.startswith("W["):
        print(f"  ∂/∂{node.name} = {node.grad:4g}")
print("  It is the gradient of W again, number by number.")
