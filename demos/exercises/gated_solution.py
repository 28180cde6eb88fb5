"""y = silu(a)·b,  silu(a) = a·σ(a)"""

import numpy as np

from autolm import primitive


@primitive
def gated(a, b):
    gate = 1 / (1 + np.exp(-a))

    def backward(grad):
        return grad * b * (gate + a * gate * (1 - gate)), grad * a * gate

    return a * gate * b, backward
