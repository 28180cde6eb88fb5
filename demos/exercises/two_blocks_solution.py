"""z = x·(1 + a)·(1 + b)"""

from autolm import primitive


@primitive
def two_blocks(x, a, b):
    def backward(grad):
        return grad * (1 + a) * (1 + b), grad * x * (1 + b), grad * x * (1 + a)

    return x * (1 + a) * (1 + b), backward
