"""y = sin(ω·p)"""

import numpy as np

from autolm import primitive


@primitive
def clock_hand(w, p):
    def backward(grad):
        return grad, grad

    return np.sin(w * p), backward
