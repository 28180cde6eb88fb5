from math import sqrt


def normal(x, eps):
    mean = sum(x) / len(x)
    sigma = sqrt(sum((a - mean) ** 2 for a in x) / len(x) + eps)
    return [(a - mean) / sigma for a in x], sigma


def layer_norm(x, gamma, beta, eps=1e-5):
    x_hat, _ = normal(x, eps)
    return [g * a + b for g, a, b in zip(gamma, x_hat, beta)]


def backward(x, gamma, upstream, eps=1e-5):
    x_hat, sigma = normal(x, eps)
    h = [g * u for g, u in zip(gamma, upstream)]
    mean_h = sum(h) / len(h)
    mean_hx = sum(a * b for a, b in zip(h, x_hat)) / len(h)
    of_x = [(a - mean_h - b * mean_hx) / sigma for a, b in zip(h, x_hat)]
    return of_x, [u * b for u, b in zip(upstream, x_hat)], list(upstream)
