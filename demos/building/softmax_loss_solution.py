from math import exp, log


def softmax(z):
    largest = max(z)
    e = [exp(x - largest) for x in z]
    return [x / sum(e) for x in e]


def loss(z, target):
    largest = max(z)
    return largest + log(sum(exp(x - largest) for x in z)) - z[target]


def gradient(z, target):
    return [p - (i == target) for i, p in enumerate(softmax(z))]
