"""o = tanh(w·x + b)"""

import numpy as np

from autolm import primitive


@primitive
def whole_neuron(w, x, b):
    o = np.tanh(w * x + b)

    def backward(grad):
        return grad, grad, grad

    return o, backward
