from math import exp, sqrt


def attention(q, k, v):
    output = []
    for t in range(len(q)):
        scores = [sum(a * b for a, b in zip(q[t], key)) / sqrt(len(key)) for key in k[: t + 1]]
        e = [exp(s - max(scores)) for s in scores]
        weights = [x / sum(e) for x in e]
        output.append([sum(w * row[c] for w, row in zip(weights, v)) for c in range(len(v[0]))])
    return output
