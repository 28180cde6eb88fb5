from math import exp, sqrt


def attention(q, k, v):
    output = []
    for t in range(len(q)):
        output.append(v[t])  # …
    return output
