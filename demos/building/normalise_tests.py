from autolm import Value

EXAMPLES = (
    ([1.0, 2.0, 3.0, 6.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, -1.0, 0.5]),
    ([0.5, -1.0, 2.0], [2.0, 0.5, -1.0], [0.1, 0.2, 0.3], [0.3, -0.7, 1.1]),
)


def cases(answer):
    for x, gamma, beta, upstream in EXAMPLES:
        values, g, b = ([Value(a) for a in row] for row in (x, gamma, beta))
        mean = Value.sum(values) / len(x)
        sigma = (Value.sum((a - mean) ** 2 for a in values) / len(x) + 1e-5).sqrt()
        y = [c * (a - mean) / sigma + d for a, c, d in zip(values, g, b)]
        Value.sum(a * u for a, u in zip(y, upstream)).backward()
        result = answer["layer_norm"](list(x), list(gamma), list(beta))
        yield f"layer_norm({x}, {gamma}, {beta})", result, [a.data for a in y]
        true = [[a.grad for a in row] for row in (values, g, b)]
        result = answer["backward"](list(x), list(gamma), list(upstream))
        yield f"backward({x}, {gamma}, {upstream})", result, true
