"""y = sin(ω·p)"""

import numpy as np

from autolm import primitive


@primitive
def clock_hand(w, p):
    slope = np.cos(w * p)

    def backward(grad):
        return grad * slope * p, grad * slope * w

    return np.sin(w * p), backward
