"""o = tanh(w·x + b): a whole neuron as one operation. Write its rule."""

import numpy as np

from autolm import primitive


@primitive
def whole_neuron(w, x, b):
    o = np.tanh(w * x + b)

    def backward(grad):
        return grad, grad, grad

    return o, backward
