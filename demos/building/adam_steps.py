from math import sqrt


def adam(theta, gradients, rate=0.01, beta1=0.9, beta2=0.999, eps=1e-8):
    path = []
    for t, g in enumerate(gradients, 1):
        theta -= rate * g  # …
        path.append(theta)
    return path
