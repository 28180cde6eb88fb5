import autolm

EXPRESSIONS = {
    "a + b": lambda a, b: a + b,
    "a * b": lambda a, b: a * b,
    "a.tanh()": lambda a, b: a.tanh(),
    "a * b + a": lambda a, b: a * b + a,
    "a + a": lambda a, b: a + a,
    "a * a * a": lambda a, b: a * a * a,
    "(a * b + b).tanh() * a": lambda a, b: (a * b + b).tanh() * a,
    "c = a * b; c * c + c": lambda a, b: (lambda c: c * c + c)(a * b),
}


def cases(answer):
    for text, function in EXPRESSIONS.items():
        operands, true = ([kind(0.7), kind(-1.3)] for kind in (answer["Value"], autolm.Value))
        results = [function(*operands), function(*true)]
        for result in results:
            result.backward()
        yield f"{text}: data", results[0].data, results[1].data
        yield f"{text}: a.grad, b.grad", [x.grad for x in operands], [x.grad for x in true]
