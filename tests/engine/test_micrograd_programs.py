"""Programs in the style of micrograd and of microgpt run unchanged but for the import."""

import math
import random
from itertools import pairwise

import numpy as np
import pytest

from autolm import Value


class Neuron:
    def __init__(self, inputs, nonlinear=True):
        self.w = [Value(random.uniform(-1, 1)) for _ in range(inputs)]
        self.b = Value(0)
        self.nonlinear = nonlinear

    def __call__(self, x):
        activation = sum((wi * xi for wi, xi in zip(self.w, x, strict=True)), self.b)
        return activation.relu() if self.nonlinear else activation


class MLP:
    def __init__(self, *sizes):
        self.layers = [
            [Neuron(inputs, nonlinear=outputs != 1) for _ in range(outputs)]
            for inputs, outputs in pairwise(sizes)
        ]

    def __call__(self, x):
        for layer in self.layers:
            x = [neuron(x) for neuron in layer]
        return x[0] if len(x) == 1 else x

    def parameters(self):
        return [p for layer in self.layers for neuron in layer for p in (*neuron.w, neuron.b)]

    def zero_grad(self):
        for p in self.parameters():
            p.grad = 0


def test_published_gradients_of_micrograds_example():
    """The figures of its README, whose expression is this when its assignments are unrolled."""
    a, b = Value(-4.0), Value(2.0)
    c = 3 * a + 4 * b + 3
    d = 12 * (a * b + b**3) + 4 * (a + b).relu() + (b - a).relu()
    e = c - d
    g = e**2 / 2.0
    g += 10.0 / e**2
    g.backward()
    assert f"{g.data:.4f} {a.grad:.4f} {b.grad:.4f}" == "24.7041 138.8338 645.5773"


def test_published_gradients_of_the_lectures_neuron():
    x1, x2, w1, w2 = Value(2.0), Value(0.0), Value(-3.0), Value(1.0)
    o = (x1 * w1 + x2 * w2 + 6.8813735870195432).tanh()
    o.backward()
    assert round(o.data, 4) == 0.7071
    assert [round(v.grad, 4) for v in (x1, w1, x2, w2)] == [-1.5, 1.0, 0.5, 0.0]


def test_tanh_spelled_with_exp_has_the_same_gradient():
    n, m = Value(0.8813735870195432), Value(0.8813735870195432)
    e = (2 * n).exp()
    ((e - 1) / (e + 1)).backward()
    m.tanh().backward()
    assert n.grad == pytest.approx(m.grad, rel=1e-12)


def test_binary_classifier_learns_with_svm_loss_on_numpy_labels():
    random.seed(1337)
    rng = np.random.default_rng(1337)
    xs = rng.normal(size=(40, 2))
    ys = np.where((xs**2).sum(axis=1) > 1.5, 1, -1)
    model = MLP(2, 8, 1)
    for k in range(40):
        inputs = [list(map(Value, row)) for row in xs]
        scores = list(map(model, inputs))
        losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(ys, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        reg_loss = 1e-4 * sum(p * p for p in model.parameters())
        total_loss = data_loss + reg_loss
        right = [(yi > 0) == (s.data > 0) for yi, s in zip(ys, scores, strict=True)]
        model.zero_grad()
        total_loss.backward()
        for p in model.parameters():
            p.data -= (1.0 - 0.9 * k / 100) * p.grad
    assert sum(right) / len(right) >= 0.95


def test_bigram_model_has_the_textbook_gradient_and_reaches_the_entropy():
    random.seed(42)
    tokens = ["abcd".index(character) for character in "abacabad"]
    pairs = list(pairwise(tokens))
    weights = [[Value(random.gauss(0, 0.08)) for _ in range(4)] for _ in range(4)]
    parameters = [p for row in weights for p in row]

    def softmax(logits):
        largest = max(value.data for value in logits)
        exps = [(value - largest).exp() for value in logits]
        total = sum(exps)
        return [e / total for e in exps]

    history = []
    for _ in range(60):
        losses = [-softmax(weights[token])[target].log() for token, target in pairs]
        loss = (1 / len(losses)) * sum(losses)
        loss.backward()
        expected = np.zeros((4, 4))
        for token, target in pairs:
            exps = np.exp([value.data for value in weights[token]])
            expected[token] += (exps / exps.sum() - np.eye(4)[target]) / len(pairs)
        assert [p.grad for p in parameters] == pytest.approx(expected.ravel(), abs=1e-12)
        for p in parameters:
            p.data -= 5.0 * p.grad
            p.grad = 0
        history.append(loss.data)
    entropy = 4 / 7 * math.log(2) * 1.5  # b, c, b, d follow the four a; only a follows the others
    assert entropy < history[-1] < entropy + 0.02 < history[0]


def test_rms_norm_by_a_negative_power_has_unit_size():
    x = [Value(number) for number in (1.0, -2.0, 3.0)]
    scale = (sum(xi * xi for xi in x) / len(x) + 1e-5) ** -0.5
    assert sum((xi * scale).data ** 2 for xi in x) == pytest.approx(3, rel=1e-5)
