"""The methods of a Tensor: its operations, by their records, in NumPy's and PyTorch's words."""

import inspect

import numpy as np
import pytest

from autolm import Tensor, ops
from autolm.tensor import methods
from autolm.tensor.operators import ABSENT
from tests.tensor import stub_of_methods


def test_the_stub_says_what_the_records_say():
    written = stub_of_methods.PATH.read_text("utf-8")
    assert written == stub_of_methods.stub(), "run python -m tests.tensor.stub_of_methods"


def test_every_operation_that_begins_with_an_array_is_a_method_with_its_words():
    for op in ops.OPERATIONS:
        if op.operands[:1] == ("a",) and op is not ops.getitem:
            method = getattr(Tensor, op.name)
            assert op in methods.WRITTEN_OUT or inspect.getdoc(method) == inspect.getdoc(op)


MATRIX = [[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]]
CALLS = [
    (lambda x: x.view(3, 2), lambda a: a.reshape(3, 2)),
    (lambda x: x.view(-1), lambda a: a.reshape(-1)),
    (lambda x: x.flatten(), lambda a: a.flatten()),
    (lambda x: x.unsqueeze(1), lambda a: a[:, None]),
    (lambda x: x.unsqueeze(-1).squeeze(-1), lambda a: a),
    (lambda x: x.permute(1, 0), lambda a: a.T),
    (lambda x: x.permute((1, 0)), lambda a: a.T),
    (lambda x: x.permute(0, 1), lambda a: a),
    (lambda x: x.clip(min=1.5), lambda a: a.clip(min=1.5)),
    (lambda x: x.clip(max=4.5, min=1.5), lambda a: a.clip(1.5, 4.5)),
    (lambda x: x.clip(a_min=1.5, a_max=4.5), lambda a: a.clip(1.5, 4.5)),
    (lambda x: x.astype(np.float32), lambda a: a),
    (lambda x: x.clone(), lambda a: a),
    (lambda x: +x, lambda a: a),
    (lambda x: x.pow(2), lambda a: a**2),
    (lambda x: x.add(1).sub(2).mul(3).div(4).neg(), lambda a: (a - 1) * -0.75),
    (lambda x: x.matmul(x.T), lambda a: a @ a.T),
    (lambda x: x.std(0), lambda a: a.std(0)),
    (lambda x: x.std(correction=1), lambda a: a.std(ddof=1)),
    (lambda x: x.var(0, correction=1), lambda a: a.var(0, ddof=1)),
    (lambda x: x.prod(1), lambda a: a.prod(1)),
    (lambda x: x.cumsum(0), lambda a: a.cumsum(0)),
    (lambda x: x.norm(), np.linalg.norm),
    (lambda x: x.norm(1, 0), lambda a: abs(a).sum(0)),
    (lambda x: x.norm(p=2, dim=1), lambda a: np.linalg.norm(a, axis=1)),
    (lambda x: x.flip(1), lambda a: a[:, ::-1]),
    (lambda x: x.flip(dims=(0, 1)), lambda a: a[::-1, ::-1]),
    (lambda x: x.roll(1, 0), lambda a: a[::-1]),
    (lambda x: x.roll(shifts=1, dims=0), lambda a: a[::-1]),
    (lambda x: x.split(indices_or_sections=3, axis=1)[1], lambda a: a[:, 1:2]),
    (lambda x: x.split(split_size_or_sections=2, dim=1)[1], lambda a: a[:, 2:]),
    (lambda x: x.chunk(2, 1)[0], lambda a: a[:, :2]),
    (lambda x: x.sort(1)[0], lambda a: np.sort(a, 1)),
    (lambda x: x.topk(2)[0], lambda a: np.sort(a, 1)[:, :0:-1]),
    (lambda x: x.gather(1, x.argmax(1, keepdims=True)), lambda a: a.max(1, keepdims=True)),
    (lambda x: x.tril(), np.tril),
    (lambda x: x.triu(diagonal=1), lambda a: np.triu(a, 1)),
]


@pytest.mark.parametrize(("ours", "numpys"), CALLS)
def test_methods_give_what_numpy_gives_and_keep_the_gradient(ours, numpys):
    x, a = Tensor(MATRIX), np.array(MATRIX)
    y = ours(x)
    np.testing.assert_allclose(y.data, numpys(a), rtol=1e-12)
    upstream = np.random.default_rng(0).normal(size=y.shape).astype(y.dtype)
    y.backward(upstream)
    direction, step = np.random.default_rng(1).normal(size=a.shape), 1e-6
    ahead, behind = (np.asarray(numpys(a + sign * step * direction)) for sign in (1, -1))
    slope = (upstream * (ahead - behind)).sum() / (2 * step)
    np.testing.assert_allclose((x.grad * direction).sum(), slope, rtol=1e-6, atol=1e-6)
    assert x.grad.dtype == x.dtype


def test_a_narrower_type_rounds_and_its_gradient_comes_back_in_the_wide_one():
    x = Tensor([1 / 3, 2.0])
    y = x.astype("float32")
    (y * y).sum().backward()
    assert (y.dtype, x.grad.dtype) == (np.float32, np.float64)
    assert x.grad.tolist() == [float(np.float32(1 / 3) * 2), 4.0]
    with pytest.raises(TypeError, match=r"^astype: the result is int64, which cannot require a"):
        x.astype(int)
    assert Tensor([1.5], requires_grad=False).astype(int).data.tolist() == [1]


def test_a_clone_is_another_node_of_the_same_type():
    for data in (np.float32([1, 2]), np.array([True]), np.arange(3)):
        x = Tensor(data)
        assert x.clone() is not x
        assert x.clone().dtype == data.dtype


def test_places_and_numbers_are_plain():
    x = Tensor(MATRIX)
    assert (x.argmax(), x.argmin()) == (4, 3)
    assert x.argmax(1).tolist() == [0, 1]
    assert x.argmin(axis=0, keepdims=True).tolist() == [[1, 0, 0]]
    assert x.argmin(dim=0, keepdim=True).tolist() == [[1, 0, 0]]
    assert x.argsort().tolist() == [[1, 2, 0], [0, 2, 1]]
    assert x.argsort(dim=1, descending=True).tolist() == [[0, 2, 1], [1, 2, 0]]
    assert x.argsort(None).tolist() == np.argsort(MATRIX, None).tolist()
    assert x.max(1).data.tolist() == [3, 5]
    assert x.tolist() == MATRIX
    assert Tensor(3.0).tolist() == 3.0
    assert (int(Tensor(2.7)), int(Tensor([[-3]]))) == (2, -3)
    with pytest.raises(TypeError, match=r"^int\(x\) of a Tensor of shape \(2, 3\)"):
        int(x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: x.split(2), "split: .*indices_or_sections=.*split_size_or_sections="),
        (lambda x: x.pad((1, 2)), "pad: pad_width must be .* for each axis .*in its own way"),
        (lambda x: x.transpose(0, 1), "transpose.*NumPy leaves it as it is"),
        (lambda x: x.permute(0), r"permute of \(2, 3\): give every axis"),
        (lambda x: x.argmax(2), r"argmax: axis 2 is out of range for \(2, 3\)"),
        (lambda x: x.argmin("a"), "argmin: axis must be an int, not 'a'"),
        (lambda x: x.argmax(keepdims=1), "argmax: keepdims must be True or False, not 1"),
        (lambda x: x.argsort(-3), r"argsort: axis -3 is out of range for \(2, 3\)"),
        (lambda x: x.argmax(up=1), "argmax: there is no argument 'up'; it takes axis, keepdims"),
        (lambda x: x.clip(min=0, low=1), "clip: min= is another spelling of low="),
        (lambda x: x.argmax(0, dim=0), ".*argmax.* multiple values for argument 'axis'"),
        (lambda x: x.squeeze(0), r"squeeze: a is \(2, 3\): axis=0 is not of length 1"),
        (lambda x: x.gather(0, [[0]]), r"gather: index is \(1, 1\) and a is \(2, 3\)"),
        (lambda x: x.gather(1, [[3], [0]]), "gather: index 3 is out of range for axis 1"),
        (lambda x: x.sum().cumsum(0), r"cumsum: a is \(\): NumPy makes it a row, and PyTorch"),
        (lambda x: x.topk(4), r"topk: k is 4, and a is \(2, 3\) along axis -1"),
    ],
)
def test_what_numpy_and_pytorch_read_differently_or_not_at_all_is_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        call(Tensor(MATRIX))


@pytest.mark.parametrize("name", ABSENT)
def test_what_pytorchs_users_look_for_in_vain_says_what_to_do(name):
    x = Tensor([1.0])
    with pytest.raises(AttributeError, match=f"^'Tensor' object has no attribute '{name}'; ") as e:
        getattr(x, name)
    assert ABSENT[name] in str(e.value)
    assert not hasattr(x, name)


WRITTEN = {
    name: hint.removeprefix("write ").partition(", or ")[0]
    for name, hint in ABSENT.items()
    if hint.startswith("write ")
}


@pytest.mark.parametrize(("name", "code"), WRITTEN.items())
def test_what_is_to_be_written_instead_runs(name, code):
    x, y = Tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor(1.0) * 2
    given = {"x": x, "y": y, "np": np, "Tensor": Tensor, "data": [1.0], "axis": 0, "counts": 2}
    given |= {"low": 0, "high": 1, "shape": (2, 2), "index": [0], "condition": x > 2}
    given |= {"einsum": ops.einsum, "where": ops.where}
    exec(code.replace("x @ y", "x @ x"), given)


def test_another_name_is_absent_as_everywhere():
    with pytest.raises(AttributeError, match=r"^'Tensor' object has no attribute 'summ'$"):
        _ = Tensor([1.0]).summ
