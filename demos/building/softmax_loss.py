from math import exp, log


def softmax(z):
    return z  # …


def loss(z, target):
    return 0.0  # …


def gradient(z, target):
    return z  # …
