"""y = w·x + b"""

from autolm import primitive


@primitive
def affine(w, x, b):
    def backward(grad):
        return grad * x, grad * w, grad

    return w * x + b, backward
