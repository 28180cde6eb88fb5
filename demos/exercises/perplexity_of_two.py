"""y = exp((a + b) / 2)"""

import numpy as np

from autolm import primitive


@primitive
def perplexity_of_two(a, b):
    y = np.exp((a + b) / 2)

    def backward(grad):
        return grad * y, grad * y

    return y, backward
