from autolm import primitive


@primitive
def my_mul(a, b):
    def backward(grad):
        return grad * a, grad * b

    return a * b, backward
