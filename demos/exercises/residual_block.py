"""y = x + w·tanh(x)"""

import numpy as np

from autolm import primitive


@primitive
def residual_block(x, w):
    bent = np.tanh(x)

    def backward(grad):
        return grad * w * (1 - bent**2), grad * bent

    return x + w * bent, backward
