"""y = w·a + (1 − w)·b,  w = σ(s)"""

import numpy as np

from autolm import primitive


@primitive(domain=((-30, 30),))
def two_values(s, a, b):
    w = 1 / (1 + np.exp(-s))

    def backward(grad):
        return grad * w * (1 - w) * (a - b), grad * w, grad * (1 - w)

    return w * a + (1 - w) * b, backward
