"""y = w·x + w²"""

from autolm import primitive


@primitive
def two_paths(w, x):
    def backward(grad):
        return grad * x, grad * w

    return w * x + w**2, backward
