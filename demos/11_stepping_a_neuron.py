"""Lesson 11: walk through backprop, forwards and back, and ask what if.

The neuron of lesson 2 once more. This time nothing is printed by hand: a step says by itself what
it does. To walk it yourself, at a prompt that knows pdb's commands:

    autolm step demos/11_stepping_a_neuron.py --var o
"""

from autolm import Value, Walk, edit, explain

x1, x2 = Value(2, name="x1"), Value(0, name="x2")
w1, w2 = Value(-3, name="w1"), Value(1, name="w2")
b = Value(6.8813735870195432, name="b")

x1w1 = x1 * w1
x2w2 = x2 * w2
total = x1w1 + x2w2
n = total + b
o = n.tanh()
for node, name in ((x1w1, "x1w1"), (x2w2, "x2w2"), (total, "total"), (n, "n"), (o, "o")):
    node.name = name

print("The forward pass, in the order in which it was computed:")
for step in o.forward_steps():
    print(f"  {step}")

with Walk(o) as walk:
    print("\nThree steps backwards through it. Each gives its gradient on, times its own slopes:")
    for _ in range(3):
        print(f"  {walk.step()}")
    print(f"Gradients are live. x1w1.grad is {x1w1.grad:.4f}, and nothing has come to w1 yet.")

    print("\nOne step back in time, and what arrived in it is gone:")
    walk.back()
    print(f"  after step {walk.position}:  x1w1.grad is computed: {x1w1.has_grad}")

    print("\nOn to before the gradient of w1 changes. What the next step will do is known already:")
    walk.break_at(watch=w1)
    walk.run()
    print(f"  {walk.preview()}")
    print(f"  and it is not done: w1.grad is computed: {w1.has_grad}")

    print("\nOf that step one contribution alone, the one to x1:")
    print(f"  {walk.send()}")
    walk.unsend()

    print("\nBack to before the product before:")
    walk.run_back(until=lambda step: step.node.op.name == "mul")
    print(f"  {walk.preview()}")
print(f"We left before the end, so all is as it was: w1.grad is computed: {w1.has_grad}")

o.backward()
print("\nNow the whole pass. Why has w1 the gradient that it has?")
print("  " + str(explain(w1, paths=1)).replace("\n", "\n  "))

print("\nWhat if w2 were 5? x2 is 0, so the output stays; only x2 would be heard more.")
change = edit(o, w2, 5.0)
print("  " + str(change).replace("\n", "\n  "))
change.undo()

print("\nAnd if w1 were −3.5? The tanh is steeper there, and every gradient grows.")
print("  " + str(edit(o, w1, -3.5)).replace("\n", "\n  "))
