"""y = a − (a + b + c) / 3"""

from autolm import primitive


@primitive
def centred(a, b, c):
    def backward(grad):
        return grad, grad * 0, grad * 0

    return a - (a + b + c) / 3, backward
