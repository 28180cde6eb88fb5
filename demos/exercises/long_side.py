"""y = √(a² + b² + 1)"""

import numpy as np

from autolm import primitive


@primitive
def long_side(a, b):
    y = np.sqrt(a**2 + b**2 + 1)

    def backward(grad):
        return grad * a, grad * b

    return y, backward
