from autolm import Value


def true(tokens, size, steps, rate):
    scores = [[Value(0.0) for _ in range(size)] for _ in range(size)]
    losses = []
    for _ in range(steps):
        pair_losses = []
        for a, b in zip(tokens, tokens[1:]):
            pair_losses.append(Value.sum([s.exp() for s in scores[a]]).log() - scores[a][b])
        loss = Value.sum(pair_losses) / len(pair_losses)
        for row in scores:
            for s in row:
                s.grad = 0.0
        loss.backward()
        losses.append(loss.data)
        for row in scores:
            for s in row:
                s.data -= rate * s.grad
    return losses, [[s.data for s in row] for row in scores]


def cases(answer):
    for tokens, size, steps, rate in (
        ([0, 1, 0, 1, 2], 3, 1, 1.0),
        ([0, 1, 0, 1, 2], 3, 4, 1.0),
        ([2, 0, 1, 1, 3, 2, 0, 3], 4, 5, 0.5),
    ):
        result = answer["train"](list(tokens), size, steps, rate)
        text = f"train({tokens}, {size}, {steps}, {rate})"
        losses, scores = true(tokens, size, steps, rate)
        yield f"{text}[0]", result[0], losses
        yield f"{text}[1]", result[1], scores
