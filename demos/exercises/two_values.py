"""y = w·a + (1 − w)·b,  w = σ(s)"""

import numpy as np

from autolm import primitive


@primitive(domain=((-30, 30),))
def two_values(s, a, b):
    w = 1 / (1 + np.exp(-s))

    def backward(grad):
        return grad, grad, grad

    return w * a + (1 - w) * b, backward
