"""L = (w·x − y)² + 0.05·w²"""

from autolm import primitive


@primitive
def decayed_loss(w, x, y):
    error = w * x - y

    def backward(grad):
        return grad * (2 * error * x + 0.1 * w), grad * 2 * error * w, -grad * 2 * error

    return error**2 + 0.05 * w**2, backward
