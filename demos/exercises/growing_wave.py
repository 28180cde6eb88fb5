"""y = eˣ·sin(x)"""

import numpy as np

from autolm import primitive


@primitive
def growing_wave(x):
    def backward(grad):
        return (grad * np.exp(x) * np.cos(x),)

    return np.exp(x) * np.sin(x), backward
