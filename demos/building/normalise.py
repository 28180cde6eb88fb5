from math import sqrt


def layer_norm(x, gamma, beta, eps=1e-5):
    return x  # …


def backward(x, gamma, upstream, eps=1e-5):
    return x, gamma, upstream  # …
