from math import tanh


class Value:
    def __init__(self, data, parents=(), rule=None):
        self.data, self.grad = data, 0.0
        self.parents, self.rule = parents, rule  # rule(∂L/∂self) → (∂L/∂parent, …)

    def __add__(self, other):
        return Value(self.data + other.data, (self, other), lambda grad: (grad, grad))

    def __mul__(self, other):
        a, b = self.data, other.data
        return Value(a * b, (self, other), lambda grad: (grad * b, grad * a))

    def tanh(self):
        y = tanh(self.data)
        return Value(y, (self,), lambda grad: (grad * (1 - y * y),))

    def backward(self):
        order, visited = [], set()

        def visit(node):
            if node not in visited:
                visited.add(node)
                for parent in node.parents:
                    visit(parent)
                order.append(node)

        visit(self)
        self.grad = 1.0
        for node in reversed(order):
            if node.rule:
                for parent, contribution in zip(node.parents, node.rule(node.grad)):
                    parent.grad += contribution
