from math import exp, log


def softmax(z):
    e = [exp(x - max(z)) for x in z]
    return [x / sum(e) for x in e]


def train(tokens, size, steps, rate):
    scores = [[0.0] * size for _ in range(size)]
    losses = []
    pairs = list(zip(tokens, tokens[1:]))
    for _ in range(steps):
        loss, gradient = 0.0, [[0.0] * size for _ in range(size)]
        for a, b in pairs:
            p = softmax(scores[a])
            loss -= log(p[b]) / len(pairs)
            for i in range(size):
                gradient[a][i] += (p[i] - (i == b)) / len(pairs)
        losses.append(loss)
        for a in range(size):
            for i in range(size):
                scores[a][i] -= rate * gradient[a][i]
    return losses, scores
