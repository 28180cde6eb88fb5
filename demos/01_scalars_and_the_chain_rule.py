"""Lesson 1: what a derivative is, and how the chain rule finds all of them in one walk.

A computation remembers its operations. Walking them backwards, each operation needs to know only
its own slopes: multiplied along a path, and added up over all paths, they are the derivatives.
"""

from autolm import Value


def formula(w, x):
    return w * x + w**2


def show(step):
    """Print what one operation sends to each of its operands that can change."""
    print(f"  back from {step.node.name}, where ∂y/∂{step.node.name} = {step.upstream:g}")
    for parent, slope, sent, before, after in step.contributions:
        if parent.requires_grad:
            total = f"{sent:g}" if before is None else f"{before:g} + {sent:g} = {after:g}"
            arithmetic = f"{step.upstream:g} × slope {slope:2g} = {sent:2g}"
            print(f"    to {parent.name}:  {arithmetic}     ∂y/∂{parent.name} = {total}")


print("Take  y = w·x + w²  at w = 2, x = -3.\n")
print("By nudging: move one input by h = 0.001, compute y once more, divide by h.")
h = 0.001
y = formula(2, -3)
print(f"  Δy/Δw = {(formula(2 + h, -3) - y) / h:7.4f}")
print(f"  Δy/Δx = {(formula(2, -3 + h) - y) / h:7.4f}")
print(
    "It is nearly right, and costs one more computation per input. A language model has billions.\n"
)

w, x = Value(2, name="w"), Value(-3, name="x")
p, q = w * x, w**2
y = p + q
p.name, q.name, y.name = "p", "q", "y"

print("By the chain rule: call the parts p = w·x and q = w², so y = p + q, and walk back from y.")
for step in y.steps():
    show(step)
print("Two paths lead from w to y, so two numbers were added up for it. That was the whole rule:\n")
print("    ∂y/∂input  =  sum over paths of the product of the slopes on the path\n")
print(f"  ∂y/∂w = x + 2w = {w.grad:g}")
print(f"  ∂y/∂x = w      = {x.grad:g}\n")

print("What is it good for? A derivative says which way is down. Ten small steps against it:")
x = Value(-3, requires_grad=False)  # x is given: data; w is ours to choose: a parameter
for number in range(11):
    y = formula(w, x)
    w.grad = 0
    y.backward()
    if number % 2 == 0:
        print(f"  step {number:2d}   w = {w.data:.4f}   y = {y.data:.4f}   ∂y/∂w = {w.grad:7.4f}")
    w.data -= 0.2 * w.grad
print(
    "The lowest y is at w = 1.5, where the derivative is 0. That is training, with one parameter."
)
