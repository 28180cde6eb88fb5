"""Networks of Values: what they compute, their parameters, and that they load no NumPy."""

import random

import pytest

from autolm import Value
from autolm.nn.scalar import MLP, Layer, Neuron


def test_neuron_is_a_weighted_sum_and_a_bias_cut_off_below_zero():
    for nonlin, sign, expected in ((True, 1, 4.5), (True, -1, 0.0), (False, -1, -4.5)):
        neuron = Neuron(2, nonlin=nonlin)
        neuron.w, neuron.b = [Value(sign * 2.0), Value(sign * -1.0)], Value(sign * 0.5)
        assert neuron([Value(3.0), 2.0]).data == expected


def test_layers_but_the_last_are_cut_off_and_a_single_output_is_no_list():
    model = MLP(3, [4, 5, 1])
    kinds = [{neuron.nonlin for neuron in layer.neurons} for layer in model.layers]
    assert kinds == [{True}, {True}, {False}]
    assert isinstance(model([1.0, 2.0, 3.0]), Value)
    assert len(MLP(3, [4, 2])([1.0, 2.0, 3.0])) == 2


def test_parameters_are_the_weights_then_the_bias_neuron_by_neuron():
    layer = Layer(2, 3)
    expected = [p for neuron in layer.neurons for p in (*neuron.w, neuron.b)]
    assert all(a is b for a, b in zip(layer.parameters(), expected, strict=True))
    assert len(MLP(2, [16, 16, 1]).parameters()) == 337


def test_a_seed_gives_weights_between_minus_one_and_one_drawn_one_by_one():
    random.seed(1337)
    drawn = [random.uniform(-1, 1) for _ in range(6)]
    random.seed(1337)
    layer = Layer(3, 2)
    assert [w.data for neuron in layer.neurons for w in neuron.w] == drawn
    assert [neuron.b.data for neuron in layer.neurons] == [0.0, 0.0]


def test_zero_grad_clears_every_parameter():
    model = MLP(2, [3, 1])
    model([1.0, -1.0]).backward()
    assert any(p.grad for p in model.parameters())
    model.zero_grad()
    assert [p.grad for p in model.parameters()] == [0.0] * len(model.parameters())


def test_a_wrong_number_of_inputs_is_told():
    with pytest.raises(ValueError, match="Neuron: 3 inputs for 2 weights"):
        Neuron(2)([1.0, 2.0, 3.0])


def test_parts_read_as_what_they_are():
    assert repr(MLP(2, [2, 1])) == (
        "MLP of [Layer of [ReLUNeuron(2), ReLUNeuron(2)], Layer of [LinearNeuron(2)]]"
    )
