from autolm import Value


def cases(answer):
    for z in ([1.0, 0.5, 3.0, -1.0], [0.0, 0.0], [2.0, -2.0, 0.5]):
        values = [Value(x) for x in z]
        e = [x.exp() for x in values]
        p = [x / Value.sum(e) for x in e]
        true = -p[1].log()
        true.backward()
        yield f"softmax({z})", answer["softmax"](list(z)), [x.data for x in p]
        yield f"loss({z}, 1)", answer["loss"](list(z), 1), true.data
        yield f"gradient({z}, 1)", answer["gradient"](list(z), 1), [x.grad for x in values]
    large = [1000.0, 0.0]
    yield f"softmax({large})", answer["softmax"](list(large)), [1.0, 0.0]
    yield f"loss({large}, 1)", answer["loss"](list(large), 1), 1000.0
    yield f"gradient({large}, 1)", answer["gradient"](list(large), 1), [1.0, -1.0]
