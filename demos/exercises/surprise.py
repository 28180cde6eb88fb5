"""L = −ln(eᵃ / (eᵃ + eᵇ)) = ln(1 + eᵇ⁻ᵃ)"""

import numpy as np

from autolm import primitive


@primitive(domain=((-30, 30),))
def surprise(a, b):
    p = 1 / (1 + np.exp(b - a))  # of the first word
    q = 1 / (1 + np.exp(a - b))  # of the second

    def backward(grad):
        return grad * p, grad * q

    return np.log(1 + np.exp(b - a)), backward
