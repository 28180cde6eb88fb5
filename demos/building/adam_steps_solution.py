from math import sqrt


def adam(theta, gradients, rate=0.01, beta1=0.9, beta2=0.999, eps=1e-8):
    path = []
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        theta -= rate * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)
        path.append(theta)
    return path
