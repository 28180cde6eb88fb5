from math import sqrt


def true(theta, gradients, rate, beta1, beta2, eps):
    path, one, two = [], 0.0, 0.0
    for count, gradient in enumerate(gradients, 1):
        one += (1 - beta1) * (gradient - one)
        two += (1 - beta2) * (gradient**2 - two)
        spread = sqrt(two / (1 - beta2**count)) + eps
        theta -= rate * one / (1 - beta1**count) / spread
        path.append(theta)
    return path


def cases(answer):
    for theta, gradients in ((1.0, [0.1, 0.3, -0.2]), (-2.0, [5000.0]), (0.0, [1.0] * 5)):
        for betas in ((0.9, 0.999), (0.5, 0.8)):
            result = answer["adam"](theta, list(gradients), 0.01, *betas)
            text = f"adam({theta}, {gradients}, 0.01, {betas[0]}, {betas[1]})"
            yield text, result, true(theta, gradients, 0.01, *betas, 1e-8)
