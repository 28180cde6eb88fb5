"""y = x + w·tanh(x): a block with a residual connection. Write its rule."""

import numpy as np

from autolm import primitive


@primitive
def residual_block(x, w):
    bent = np.tanh(x)

    def backward(grad):
        return grad * w * (1 - bent**2), grad * bent

    return x + w * bent, backward
