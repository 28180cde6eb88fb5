"""L = −ln(eᵃ / (eᵃ + eᵇ)) = ln(1 + eᵇ⁻ᵃ)"""

import numpy as np

from autolm import primitive


@primitive(domain=((-30, 30),))
def surprise(a, b):
    q = 1 / (1 + np.exp(a - b))  # of the second word; p − 1 is −q

    def backward(grad):
        return -grad * q, grad * q

    return np.log(1 + np.exp(b - a)), backward
