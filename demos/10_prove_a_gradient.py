"""Lesson 10: write an operation, make a classic mistake in its gradient, and watch it be found.

A wrong gradient seldom crashes. The model just learns worse, and nobody knows why. So a rule is not
believed but proved: against derivatives that are computed in quite another way.
"""

import numpy as np

from autolm import Tensor, check_graph, check_op, primitive
from autolm.ops import Case
from autolm.testing import GradientError, causal_along, mutation_report


@primitive(symbol="silu", formula="a · σ(a)", rule=("ḡ · (σ + a · σ · (1 − σ))",))
def silu(a):
    """Gate a number by its own sigmoid."""
    gate = 1 / (1 + np.exp(-a))

    def backward(grad):
        return (grad * (gate + a * gate * (1 - gate)),)

    return a * gate, backward


@primitive
def hasty_silu(a):
    """Do the same, but forget that the gate depends on a as well: half of the product rule."""
    gate = 1 / (1 + np.exp(-a))

    def backward(grad):
        return (grad * gate,)

    return a * gate, backward


print("An operation is a function: it returns its result and its backward rule. Is that right?")
print(f"  {check_op(silu, max_examples=12)}\n")

print("The same with a mistake that is easily made:\n")
try:
    check_op(hasty_silu, max_examples=12)
except GradientError as error:
    print(error)

print("\nThe usual check, a sum and a finite difference, is easily content:")


def usual_check(op):
    x = Tensor([0.5, -1.0, 2.0])
    op(x).sum().backward()
    h = 1e-3
    slopes = [(op(x.data + h * e).data - op(x.data - h * e).data) / (2 * h) for e in np.eye(3)]
    assert np.allclose(x.grad, np.sum(slopes, axis=1), rtol=1e-3)


print("  " + str(mutation_report(silu, usual_check)).replace("\n", "\n  "))
print("What survives is a mistake that this check would let pass.\n")

print("In a graph that is wrong somewhere, the guilty node is named:\n")
try:
    check_graph(silu(hasty_silu(Tensor([1.0, 2.0], name="x"))).sum())
except GradientError as error:
    print("\n".join(str(error).splitlines()[:6]))


@primitive(relations=(causal_along(-1),))
def running_sum(a):
    """Add up to here; but the slip in the axis makes it look into the future."""
    return np.cumsum(a[..., ::-1], axis=-1)[..., ::-1], lambda grad: (np.cumsum(grad, axis=-1),)


print("\nThe right gradient of a wrong function? A declared relation finds it:\n")
try:
    check_op(running_sum, cases=[Case(((3,),))], max_examples=12)
except GradientError as error:
    print("\n".join(str(error).splitlines()[:4]))
