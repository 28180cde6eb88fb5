"""Leaves are copied and pickled as any object is; results, which hold a function, are refused."""

import copy
import pickle

import numpy as np
import pytest

from autolm import Module, Tensor, Value, ops

WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "leaf", [Value(2.0, "w"), Value(2.0, "w", requires_grad=False), Tensor(2, name="w")]
)
def test_copy_of_a_leaf_is_another_leaf_with_the_same_data_name_and_gradient(leaf, way):
    if leaf.requires_grad:
        (leaf * 3).backward()
    twin = WAYS[way](leaf)
    assert twin is not leaf and twin.parents == ()
    assert (float(twin.data), twin.name, twin.requires_grad) == (2.0, "w", leaf.requires_grad)
    assert float(twin.grad or 0) == float(leaf.grad or 0)
    if leaf.requires_grad:
        before = float(leaf.grad)
        (twin * 5).backward()
        assert (float(leaf.grad), float(twin.grad)) == (before, before + 5)
    leaf.zero_grad()


def test_integers_of_a_list_serve_as_an_index_in_a_copy_too():
    index = pickle.loads(pickle.dumps(copy.deepcopy(Tensor([2, 0]))))
    assert Tensor([5.0, 6.0, 7.0])[index].data.tolist() == [7, 5]


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_leaves_of_a_deep_copy_share_no_memory_with_the_original(way):
    x = Tensor([1.0, 2.0])
    (x * x).sum().backward()
    twin, same = WAYS[way]([x, x])
    assert twin is same
    assert not np.shares_memory(twin.data, x.data)
    assert not np.shares_memory(twin.grad, x.grad)


class Scale(Module):
    def __init__(self):
        self.factor = Tensor([2.0, 3.0])

    def forward(self, x):
        return self.factor * x


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_copy_of_a_module_is_trained_by_itself(way):
    model = Scale()
    twin = WAYS[way](model)
    twin(Tensor([1.0, 1.0])).sum().backward()
    assert [p.has_grad for p in (*model.parameters(), *twin.parameters())] == [False, True]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("result", [Value(2.0) * 3, ops.mul(Tensor([1.0]), 3)])
def test_copying_or_pickling_a_result_says_what_to_do(result, way):
    for holder in (result,) if way == "copy" else (result, [result], {"loss": result}):
        with pytest.raises(TypeError) as raised:
            WAYS[way](holder)
        assert str(raised.value) == (
            "the result of mul cannot be copied or pickled, because its backward rule is a "
            "function: use its .data, or copy the leaves and compute it again"
        )


@pytest.mark.parametrize("way", WAYS)
def test_result_without_a_gradient_is_a_leaf_and_can_be_copied(way):
    result = WAYS[way](Tensor([1.0], requires_grad=False) * 3)
    assert result.data.tolist() == [3]
