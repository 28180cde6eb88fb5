"""y = a / √((a² + b²)/2 + 1)"""

import numpy as np

from autolm import primitive


@primitive
def rms_of_two(a, b):
    r = np.sqrt((a**2 + b**2) / 2 + 1)

    def backward(grad):
        return grad / r, grad * 0

    return a / r, backward
