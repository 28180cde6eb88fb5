"""Tensor: what it accepts, its dtypes, its methods against NumPy's, gradients and errors."""

import operator
from collections import UserDict, UserList, deque
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, Value, no_grad, ops, primitive
from autolm.engine.graph import topological_order
from autolm.engine.recording import scope

FLOATS = pytest.mark.parametrize("dtype", ["float32", "float64"])


def array(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 2.0, size=shape)


# Data


@FLOATS
def test_floating_point_data_is_kept_and_requires_a_gradient(dtype):
    data = np.ones((2, 3), dtype)
    x = Tensor(data, name="x")
    assert x.data is data
    assert (x.shape, x.ndim, x.size, x.dtype, len(x), x.name) == ((2, 3), 2, 6, dtype, 2, "x")
    assert x.requires_grad


@pytest.mark.parametrize("data", [np.arange(3), np.array([True, False]), np.int32(2)])
def test_integers_and_booleans_require_no_gradient_and_cannot(data):
    assert not Tensor(data).requires_grad
    with pytest.raises(TypeError, match="data cannot require a gradient; convert it with"):
        Tensor(data, requires_grad=True)
    assert Tensor(data, requires_grad=True, dtype=float).requires_grad


def test_tensor_of_a_tensor_is_a_new_leaf_of_its_data():
    x = Tensor([1.0]) * 2
    y = Tensor(x)
    assert (y.data.tolist(), y.parents) == ([2.0], ())


X = Tensor([1.0, 2.0])
OBJECTS = np.empty(2, object)
OBJECTS[:] = [Value(1.0), Value(2.0)]
TENSORS = np.empty(2, object)
TENSORS[0] = TENSORS[1] = X


class Rows:
    """A sequence of somebody's own."""

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return (X, X)[i]


HOLDERS = {
    "list": [X, X],
    "tuple": (X, X),
    "nested": [[[1.0, 2.0], X]],
    "with numbers": [X.sum(), 1.0],
    "deque": deque([X, X]),
    "sequence": Rows(),
    "Values": [Value(1.0), Value(2.0)],
    "nested Values": [(Value(1.0), 2.0)],
    "array of Values": OBJECTS,
    "array of Tensors": TENSORS,
}
TAKERS = {
    "Tensor": Tensor,
    "Tensor of a dtype": lambda nodes: Tensor(nodes, dtype=float),
    "constant": lambda nodes: Tensor(nodes, requires_grad=False),
    "operand": lambda nodes: ops.add(X, nodes),
    "other operand": lambda nodes: X * nodes,
    "data": lambda nodes: setattr(Tensor([1.0, 2.0]), "data", nodes),
    "grad": lambda nodes: setattr(Tensor([1.0, 2.0]), "grad", nodes),
    "backward": lambda nodes: (X * 1).backward(nodes),
}


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS.keys())
@pytest.mark.parametrize("nodes", HOLDERS.values(), ids=HOLDERS.keys())
def test_nodes_in_a_list_are_refused_with_the_word_for_joining_them(take, nodes):
    with pytest.raises(TypeError, match=r"must be numbers: .*autolm\.ops\.stack"):
        take(nodes)


def test_constants_in_a_list_are_numbers_since_they_have_no_past_to_lose():
    nodes = [X.detach(), X.detach()]
    assert Tensor(nodes).data.tolist() == [X.data.tolist()] * 2


@pytest.mark.parametrize(
    "wrong",
    [
        "1.5",
        ["1.5"],
        1j,
        [1j],
        np.array([1j]),
        np.complex128(1j),
        None,
        [None],
        {1.0},
        {},
        object(),
    ],
)
def test_data_that_is_not_real_numbers_is_refused_whatever_the_dtype_told(wrong):
    for dtype in (None, float, "float32", int):
        with pytest.raises(TypeError, match=r"^Tensor: data must be real numbers, not"):
            Tensor(wrong, dtype=dtype)
    with pytest.raises(TypeError, match=r"^Tensor: data must be real numbers, not complex"):
        Tensor([1.0], dtype=complex)


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"^Tensor: data must be an array; the rows of the list"):
        Tensor([[1.0], [1.0, 2.0]])


@pytest.mark.parametrize("name", [None, 3, ("x",), [Tensor(1.0)], b"x"])
def test_name_that_is_no_text_is_refused(name):
    with pytest.raises(TypeError, match=r"^Tensor: name must be a str, not a "):
        Tensor(1.0, name=name)


WRONG_NUMBERS = [1j, [1j, 1j], np.array([1j, 0]), "ab", ["a", "b"], [None, 1.0], object()]


@pytest.mark.parametrize("wrong", WRONG_NUMBERS)
def test_data_and_gradients_that_are_not_real_numbers_are_refused_and_change_nothing(wrong):
    x = Tensor([1.0, 2.0])
    y = x * 1
    with pytest.raises(TypeError, match=r"^the gradient must be real numbers, not"):
        y.backward(wrong)
    with pytest.raises(TypeError, match=r"^the gradient must be real numbers, not"):
        x.grad = wrong
    with pytest.raises(TypeError, match=r"^data must be real numbers, not"):
        x.data = wrong
    assert (x.data.tolist(), x.grad) == ([1.0, 2.0], None)


@pytest.mark.parametrize("number", [[True, False], [1, 0], np.array([1, 0], np.int8)])
def test_gradients_and_data_of_integers_and_bools_are_taken_as_floats(number):
    x = Tensor([5.0, 5.0])
    (x * 2).backward(number)
    assert x.grad.tolist() == [2.0, 0.0]
    x.grad = x.data = number
    assert x.grad.tolist() == x.data.tolist() == [1.0, 0.0]
    assert x.grad.dtype == x.data.dtype == np.float64


def test_fractions_do_not_go_into_integers():
    x = Tensor(np.array([1, 2]))
    with pytest.raises(TypeError, match=r"^data: float64 numbers do not fit into int64"):
        x.data = [0.5, 1.0]
    with pytest.raises(TypeError, match=r"int64 data have no gradient"):
        x.grad = [0.5, 1.0]
    assert x.data.tolist() == [1, 2]


@FLOATS
def test_new_data_keeps_the_dtype(dtype):
    x = Tensor(np.ones(3, dtype))
    x.data = [1, 2, 3]
    assert x.dtype == dtype


def test_detached_tensor_is_a_constant():
    x = Tensor([1.0, 2.0])
    y = (x * 2).detach()
    assert (y.data.tolist(), y.parents, y.requires_grad) == ([2.0, 4.0], (), False)
    (x * y).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_one_number_reads_as_a_python_number():
    loss = Tensor(1.25)
    assert (float(loss), loss.item(), f"{loss:.4f}", bool(loss)) == (1.25, 1.25, "1.2500", True)


def test_repr_tells_data_dtype_name_and_operation():
    x = Tensor(np.array([1, 2], "float32"), name="x")
    assert repr(x) == "Tensor([1., 2.], dtype=float32, name='x')"
    assert repr(x.exp().sum() * 0) == "Tensor(0., dtype=float32, op=mul)"
    (x * 2).sum().backward()
    assert repr(x) == "Tensor([1., 2.], dtype=float32, grad=2 ‖2.828‖ [2 2], name='x')"


# Dtypes of results


@FLOATS
@pytest.mark.parametrize("number", [2, 2.0, [2.0, 3.0], [2, 3]])
@pytest.mark.parametrize("operation", [operator.add, operator.mul, operator.truediv, operator.pow])
def test_numbers_and_lists_follow_the_dtype_of_the_tensor(operation, number, dtype):
    x = Tensor(np.ones(2, dtype))
    assert operation(x, number).dtype == dtype
    assert operation(number, x).dtype == dtype


def test_mixed_precision_gives_each_operand_a_gradient_of_its_own_dtype():
    x, y = Tensor(np.ones(2, "float32")), Tensor(np.ones(2, "float64"))
    (x * y).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)


# Operators and methods against NumPy

OPERATORS = [
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul),
]
COMPARISONS = [operator.lt, operator.gt]


@pytest.mark.parametrize("operation", OPERATORS)
def test_operator_with_an_array_on_either_side_is_a_tensor(operation):
    a, b = array(3, 3, seed=1), array(3, 3, seed=2)
    expected = operation(a, b)
    for result in (
        operation(Tensor(a), b),
        operation(a, Tensor(b)),
        operation(Tensor(a), Tensor(b)),
    ):
        assert isinstance(result, Tensor)
        np.testing.assert_array_equal(result.data, expected)


@pytest.mark.parametrize("operation", OPERATORS[:-1])
@pytest.mark.parametrize("number", [2, 2.5, np.float64(2.5), np.int64(2)])
def test_operator_with_a_number_on_either_side_is_a_tensor(operation, number):
    a = array(3)
    for result, expected in (
        (operation(Tensor(a), number), operation(a, number)),
        (operation(number, Tensor(a)), operation(number, a)),
    ):
        assert isinstance(result, Tensor)
        np.testing.assert_array_equal(result.data, expected)


@pytest.mark.parametrize("operation", COMPARISONS)
def test_comparison_compares_data(operation):
    a, b = array(3, seed=1), array(3, seed=2)
    for left, right in ((Tensor(a), Tensor(b)), (Tensor(a), b), (a, Tensor(b))):
        np.testing.assert_array_equal(operation(left, right), operation(a, b))


METHODS = {
    **{
        f"{name} {options}": (lambda x, n=name, o=options: getattr(x, n)(**o))
        for name in ("sum", "mean", "max", "min", "var")
        for options in (
            {},
            {"axis": 0},
            {"axis": -1, "keepdims": True},
            {"axis": (0, -1)},
            {"keepdims": True},
        )
    },
    "var ddof": lambda x: x.var(axis=1, ddof=1),
    "reshape": lambda x: x.reshape(4, -1),
    "reshape to a tuple": lambda x: x.reshape((3, 8)),
    "transpose": lambda x: x.transpose(),
    "transpose axes": lambda x: x.transpose(2, 0, 1),
    "transpose by a tuple": lambda x: x.transpose((2, 0, -2)),
    "T": lambda x: x.T,
    "swapaxes": lambda x: x.swapaxes(0, -1),
    "abs": lambda x: abs(-x),
    "clip": lambda x: x.clip(0.7, 1.5),
    "index": lambda x: x[1],
    "slice": lambda x: x[..., ::-2, None],
    "index by arrays": lambda x: x[np.array([1, 0, 1]), :, [0, 2, 2]],
    "index by a mask": lambda x: x[np.arange(24).reshape(2, 3, 4) % 5 == 0],
    "iterate": lambda x: list(x)[1],
    "unpack": lambda x: (lambda first, second: second)(*x),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_method_does_what_numpys_does(method):
    data = array(2, 3, 4)
    result = method(Tensor(data))
    assert isinstance(result, Tensor)
    np.testing.assert_allclose(result.data, method(data), rtol=1e-14)


@pytest.mark.parametrize(
    ("shape", "axes", "message"),
    [
        (
            (2, 3, 4),
            (1, 2),
            "transpose of (2, 3, 4): give every axis in the new order, 3 in all, not (1, 2); "
            "to exchange two: swapaxes(1, 2)",
        ),
        ((2, 3), (1,), "transpose of (2, 3): give every axis in the new order, 2 in all, not (1,)"),
        ((2,), (0, 1), "transpose of (2,): give every axis in the new order, 1 in all, not (0, 1)"),
    ],
)
def test_transpose_of_some_axes_names_what_exchanges_two(shape, axes, message):
    for arguments in (axes, (axes,), ([*axes],)):
        with pytest.raises(ValueError) as caught:
            Tensor(array(*shape)).transpose(*arguments)
        assert str(caught.value) == message


@pytest.mark.parametrize("axes", [(3, 1, 2), (0, 0, 1), (0, 1, -4)])
def test_transpose_by_what_is_no_order_of_the_axes_is_refused(axes):
    with pytest.raises(ValueError, match=r"^transpose"):
        Tensor(array(2, 3, 4)).transpose(*axes)


WITHOUT_ARGUMENTS = (
    "exp log sqrt sin cos tanh sigmoid relu gelu silu softplus leaky_relu erf erfc "
    "logsumexp softmax log_softmax"
)


def test_methods_are_the_operations_of_their_names():
    x = Tensor(array(2, 3))
    for name in WITHOUT_ARGUMENTS.split():
        result, called = getattr(x, name)(), getattr(ops, name)(x)
        assert result.op is called.op
        assert called.op in (getattr(ops, name), ops.mul)  # silu ends in a product
        np.testing.assert_array_equal(result.data, called.data)
        assert getattr(Tensor, name).__doc__ == getattr(ops, name).__doc__
    assert x.masked_fill(x.data > 1, 0.0).op is ops.masked_fill
    assert x.broadcast_to(4, 2, 3).shape == (4, 2, 3)


@pytest.mark.parametrize("function", [np.exp, np.log, np.sqrt, np.sin, np.tanh, np.abs])
def test_numpys_functions_take_tensors(function):
    result = function(Tensor(array(3)))
    assert isinstance(result, Tensor)
    np.testing.assert_array_equal(result.data, function(array(3)))


# Gradients


def test_array_root_needs_a_gradient_to_start_from():
    y = Tensor([1.0, 2.0]) * 2
    with pytest.raises(ValueError, match=r"the root has shape \(2,\).*or give grad="):
        y.backward()
    with pytest.raises(ValueError, match=r"the gradient has shape \(3,\), and the data \(2,\)"):
        y.backward(np.ones(3))


@pytest.mark.parametrize("seed", [[1.0, 2.0], np.array([1, 2]), Tensor([1.0, 2.0])])
def test_gradient_to_start_from_may_be_a_list_an_array_or_a_tensor(seed):
    x = Tensor([5.0, 6.0])
    (x * 3).backward(seed)
    assert x.grad.tolist() == [3.0, 6.0]


def test_root_of_one_element_starts_from_one():
    x = Tensor([[5.0]])
    (x * 3).backward()
    assert x.grad.tolist() == [[3.0]]


def test_gradient_handed_out_is_not_written_into_by_a_second_backward():
    x = Tensor([1.0, 2.0])
    y = (x * x).sum()
    y.backward()
    first = x.grad
    y.backward()
    assert (first.tolist(), x.grad.tolist()) == ([2.0, 4.0], [4.0, 8.0])


def test_leaf_gradients_share_memory_with_nothing():
    a, b, seed = Tensor(np.ones(3)), Tensor(np.ones(3)), np.ones(3)
    y = a + b
    y.backward(seed, retain_grads=True)
    arrays = [a.grad, b.grad, y.grad, seed, a.data, b.data]
    for i, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[:i])


def test_constants_get_no_gradient():
    x, c = Tensor([2.0]), Tensor([3.0], requires_grad=False)
    (x * c * np.ones(1)).sum().backward()
    assert (x.grad.tolist(), c.grad) == ([3.0], None)


def test_operation_on_constants_is_a_constant():
    c = Tensor([3.0], requires_grad=False)
    assert not (c * 2).requires_grad
    assert (c * 2).parents == ()


@given(st.integers(0, 3))
def test_large_broadcast_is_summed_to_each_operands_shape(seed):
    a, b = Tensor(array(4, 1, 3, seed=seed)), Tensor(array(5, 1, seed=seed + 9))
    (a * b).sum().backward()
    np.testing.assert_allclose(a.grad, np.full((4, 1, 3), b.data.sum()), rtol=1e-13)
    np.testing.assert_allclose(b.grad, np.full((5, 1), a.data.sum()), rtol=1e-13)


# Errors name the operation


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Tensor([1.0, 2.0]) + Tensor([1.0, 2.0, 3.0]), r"add: a is \(2,\) and b is \(3,\)"),
        (lambda: Tensor(array(3, 4)) @ Tensor(array(3, 5)), "inner sizes 4 and 3 differ"),
        (
            lambda: Tensor(2.0) @ Tensor([1.0]),
            r"matmul: a is \(\) and b is \(1,\): a number has no rows",
        ),
        (
            lambda: Tensor(array(2, 3)).reshape(4),
            r"reshape: \(2, 3\) has 6 elements, .* fill shape \(4,\)",
        ),
        (
            lambda: ops.stack([Tensor([1.0]), Tensor([1.0, 2.0])]),
            r"stack: operand 0 is \(1,\) and operand 1 is \(2,\)",
        ),
        (
            lambda: ops.embedding(Tensor(array(3, 2)), token_ids=np.array([0, 3])),
            "embedding: token_ids: token id 3 is outside the vocabulary of 3",
        ),
        (
            lambda: ops.cross_entropy(Tensor(array(2, 3)), targets=np.array([0])),
            r"cross_entropy: logits are \(2, 3\), so targets must be \(2,\), not \(1,\)",
        ),
        (lambda: ops.dropout(Tensor([1.0]), rate=1.0, seed=0), "dropout: rate is 1.0"),
    ],
)
def test_wrong_operands_are_an_error_that_names_the_operation(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_token_ids_that_are_not_integers_are_a_type_error():
    with pytest.raises(TypeError, match="embedding: token_ids must be integers, not float64"):
        ops.embedding(Tensor(array(3, 2)), token_ids=np.array([0.0]))


def primitive_that_returns(contributions):
    @primitive(name="broken")
    def broken(a, b):
        return a * b, lambda grad: contributions(grad)

    return broken


@pytest.mark.parametrize(
    ("contributions", "error", "message"),
    [
        (
            lambda g: (g, np.ones(5)),
            ValueError,
            r"operand 1 has shape \(5,\), which does not reduce",
        ),
        (lambda g: (g[:1], g), ValueError, r"operand 0 has shape \(1,\), which does not reduce"),
        (lambda g: (g,), ValueError, "must return a tuple of 2, one .*; it returned 1"),
        (lambda g: (g, g, g), ValueError, "must return a tuple of 2, one .*; it returned 3"),
        (lambda g: g, ValueError, "must return a tuple of 2, one .*; it returned ndarray"),
        (lambda g: None, ValueError, "must return a tuple of 2, one .*; it returned NoneType"),
        (lambda g: (g, None), TypeError, "operand 1 must be an array of real numbers, not None"),
        (lambda g: (g, g * 1j), TypeError, "operand 1 must be an array of real numbers, not comp"),
    ],
)
def test_wrong_contribution_is_an_error_that_names_the_operation(contributions, error, message):
    a, b = Tensor(np.ones(3)), Tensor(np.ones(3))
    y = primitive_that_returns(contributions)(a, b)
    with pytest.raises(error, match=f"^broken 'y': .*{message}"):
        y.backward(np.ones(3))
    assert a.grad is None and b.grad is None


@pytest.mark.parametrize(
    "result",
    [None, "text", 1j, np.array([1j]), ["a"], [None], {1.0}, object(), X, Value(1.0), [X], OBJECTS],
)
@pytest.mark.parametrize("operand", [Tensor([1.0]), Tensor([1.0], requires_grad=False)])
def test_result_that_is_not_real_numbers_is_an_error_that_names_the_operation(operand, result):
    @primitive(name="broken")
    def broken(a):
        return result, lambda grad: (grad,)

    with pytest.raises(TypeError, match=r"^broken: the result"):
        broken(operand)


def test_result_of_integers_is_refused_where_a_gradient_is_required():
    @primitive
    def rounded(a):
        return np.rint(a).astype(int), lambda grad: (grad,)

    with pytest.raises(TypeError, match=r"^rounded: the result is int64, which cannot require"):
        rounded(Tensor([1.5]))
    assert rounded(Tensor([1.5], requires_grad=False)).dtype == int


ATTRIBUTES_OF_NODES = {
    "Tensor": lambda x: ops.masked_fill(x, mask=np.array([True]), value=Tensor(0.5)),
    "in a list": lambda x: ops.embedding(x, token_ids=[Tensor(0.0)]),
    "Value": lambda x: ops.masked_fill(x, mask=np.array([True]), value=Value(1.0)),
}


@pytest.mark.parametrize("call", ATTRIBUTES_OF_NODES.values(), ids=ATTRIBUTES_OF_NODES.keys())
def test_attribute_that_requires_a_gradient_is_refused(call):
    with pytest.raises(TypeError, match=r"gets no gradient.*give its \.data"):
        call(Tensor([[1.0, 2.0]]))


def test_the_array_of_a_tensor_without_a_gradient_is_not_copied():
    x = Tensor([1.0, 2.0])
    assert np.shares_memory(np.asarray(x.detach()), x.data)
    with no_grad():
        assert np.shares_memory(np.asarray(x), x.data)
    assert np.asarray(x.detach(), np.float32).dtype == np.float32
    assert not np.shares_memory(np.array(x.detach(), copy=True), x.data)
    np.testing.assert_allclose(x.detach(), [1.0, 2.0])


def test_contribution_to_a_constant_may_be_none():
    x = Tensor(np.ones(3))
    primitive_that_returns(lambda g: (g, None))(x, np.ones(3)).backward(np.ones(3))
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


def test_no_grad_keeps_nothing_alive():
    x = Tensor([1.0])
    with no_grad():
        y = x * 2
    assert (y.parents, y.attributes, y.backward_rule) == ((), {}, None)


@pytest.mark.parametrize(("n", "k", "m"), [(2, 0, 3), (0, 2, 3), (2, 3, 0)])
def test_products_of_matrices_without_rows_or_columns_have_gradients(n, k, m):
    for batch in ((), (2,)):
        a, b = Tensor(np.ones((*batch, n, k))), Tensor(np.ones((k, m)))
        y = a @ b
        np.testing.assert_array_equal(y.data, a.data @ b.data)
        y.backward(np.ones(y.shape))
        assert (a.grad.shape, b.grad.shape) == (a.shape, b.shape)


COMPARISONS = (operator.eq, operator.ne, operator.lt, operator.gt, operator.le, operator.ge)


@pytest.mark.parametrize("compare", COMPARISONS)
@given(st.integers(0, 9))
def test_comparison_is_of_elements_as_numpys(compare, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 2, (2, 3)) * 1.0, rng.integers(0, 2, 3) * 1.0
    for other in (b, Tensor(b), b.tolist(), 1, np.float64(1)):
        expected = compare(a, b if isinstance(other, Tensor) else other)
        result = compare(Tensor(a), other)
        assert isinstance(result, np.ndarray)
        np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(compare(b, Tensor(a)), compare(b, a))


def test_tensors_are_found_by_identity():
    x, y = Tensor([1.0, 2.0]), Tensor([1.0, 2.0])
    assert {x: 1, y: 2}[y] == 2
    assert len({x, y, x}) == 2
    assert hash(x) != hash(y)


def test_what_cannot_be_compared_is_refused_in_plain_words():
    with pytest.raises(ValueError, match=r"^shapes \(2,\) and \(3,\) of what is compared do not"):
        _ = Tensor([1.0, 2.0]) == np.ones(3)
    with pytest.raises(TypeError, match=r"^a Tensor is compared with numbers, not with str$"):
        _ = Tensor([1.0]) < "a"


AXIS_METHODS = [op for op in ops.OPERATIONS if "axis" in op.words and hasattr(Tensor, op.name)]
# What those need to be told besides, of an array of one row.
NEEDED = {
    ops.roll: {"shift": 1},
    ops.split: {"indices_or_sections": 1},
    ops.chunk: {"chunks": 1},
    ops.gather: {"index": np.zeros((1, 3), int)},
    ops.topk: {"k": 1},
}


@pytest.mark.parametrize("op", AXIS_METHODS, ids=lambda op: op.name)
def test_dim_and_keepdim_are_other_spellings_of_axis_and_keepdims(op):
    x, required = Tensor(array(1, 3)), NEEDED.get(op, {})
    keepdims = "keepdims" in op.words
    theirs = {"dim": 0, "keepdim": True} if keepdims else {"dim": 0}
    ours = {"axis": 0, "keepdims": True} if keepdims else {"axis": 0}
    for call in (getattr(Tensor, op.name), op):
        once, again = call(x, **required, **theirs), call(x, **required, **ours)
        if not isinstance(once, tuple | list):
            once, again = [once], [again]
        assert repr(once[0].attributes) == repr(again[0].attributes)
        np.testing.assert_array_equal(once[0].data, again[0].data)
        with pytest.raises(TypeError, match=f"^{op.name}: dim= is another spelling of axis=; give"):
            call(x, **required, axis=0, dim=0)


def test_transpose_that_numpy_and_pytorch_read_differently_names_both():
    x = Tensor(array(2, 3))
    for axes in ((0, 1), (-2, -1), (0, -1), (-2, 1)):
        with pytest.raises(ValueError, match=r"write transpose\(\(.*\)\) or swapaxes\("):
            x.transpose(*axes)
        assert x.transpose(axes).shape == (2, 3)
    assert x.transpose(1, 0).shape == x.transpose(-1, 0).shape == x.swapaxes(0, 1).shape == (3, 2)


def test_second_place_of_var_which_means_three_things_is_refused():
    with pytest.raises(TypeError, match=r"^var: name what comes after the axis: "):
        Tensor(array(2, 3)).var(0, True)


WRONG = {
    "dtype": (lambda x: Tensor([1.0], dtype="abc"), "Tensor: dtype must be a type of numbers"),
    "switch": (lambda x: Tensor(1.0, requires_grad="False"), "Tensor: requires_grad must be True"),
    "children": (lambda x: Tensor(2.0, (x,)), "Tensor: requires_grad must be True"),
    "unknown word": (lambda x: x.sum(foo=1), "sum: there is no argument 'foo'"),
    "too many": (lambda x: x.gelu(1), "gelu: it takes 1 operand, a, not 2"),
    "missing": (lambda x: x.clip(), "clip: low and high are both None"),
    "twice": (lambda x: x.sum(0, axis=0), "sum: axis is given twice"),
    "mask": (lambda x: x.masked_fill([0.5, 1.0], 0.0), "masked_fill: mask"),
    "bool": (lambda x: bool(x), r"bool\(x\), .* of shape \(2,\)"),
    "float": (lambda x: float(x), r"float\(x\) of a Tensor of shape \(2,\)"),
    "item": (lambda x: x.item(), r"item\(\) of a Tensor of shape \(2,\)"),
    "format": (lambda x: f"{x:.2f}", "format"),
    "len": (lambda x: len(x.sum()), "len"),
    "iter": (lambda x: iter(x.sum()), "iter"),
    "//": (lambda x: x // 2, "x // y of a Tensor"),
    "%": (lambda x: 5 % x, "x % y of a Tensor"),
    "round": (lambda x: round(x), "round"),
    "zoom": (lambda x: (x * 2).to_values(zoom="a"), "to_values: zoom"),
    "retain": (lambda x: x.sum().backward(retain_grads="a"), "backward: retain_grads"),
    "steps": (lambda x: x.sum().steps(retain_grads="a"), "backward: retain_grads"),
    "scope": (lambda x: scope(None), "scope: name must be a str"),
    "order": (lambda x: topological_order("a"), "topological_order: a Value or Tensor"),
    "primitive": (lambda x: primitive(3), "primitive: a function is needed"),
    "name": (lambda x: primitive(name=3), "primitive: name must be a str"),
    "field": (lambda x: primitive(nme="a"), "primitive: there is no field 'nme'"),
    "text of Values": (lambda x: Value.sum(b"x"), "sum: a list of Values"),
    "no Values": (lambda x: Value.dot([1.0], None), "dot: a list of Values"),
    "vecdot": (lambda x: np.vecdot(x, Tensor([2.0])), "np.vecdot of .*one length"),
    "vecdot of a number": (lambda x: np.vecdot(x, 2.0), "np.vecdot of .*one length"),
    "outer": (lambda x: np.linalg.outer(Tensor([[1.0]]), x), "np.linalg.outer of"),
    "tril": (lambda x: np.tril(x.sum()), r"tril: a is \(\); it must be"),
}


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG.keys())
def test_a_call_that_means_nothing_is_refused_in_our_words(call, words):
    with pytest.raises((TypeError, ValueError), match=f"^{words}"):
        call(Tensor([1.0, 2.0]))


@pytest.mark.parametrize("leaf", [Tensor(2.0), Value(2.0)])
def test_plus_x_has_the_gradient_of_x(leaf):
    (+leaf).backward()
    assert leaf.grad == 1.0


def test_a_rule_that_returns_tensors_is_told_to_use_arrays():
    @primitive
    def doubled(a):
        return a * 2, lambda grad: (Tensor(grad) * 2,)

    with pytest.raises(TypeError, match="doubled: the contribution to operand 0 is a Tensor"):
        doubled(Tensor([1.0])).sum().backward()


@dataclass
class Settings:
    factor: list


@pytest.mark.parametrize(
    "make",
    [lambda numbers: Settings(numbers), deque, UserList, lambda numbers: UserDict(factor=numbers)],
    ids=["dataclass", "deque", "UserList", "UserDict"],
)
def test_an_attribute_of_any_kind_changed_afterwards_changes_nothing(make):
    def read(settings):
        if isinstance(settings, Settings):
            return settings.factor[0]
        return settings["factor"][0] if isinstance(settings, UserDict) else settings[0]

    @primitive
    def scaled(a, *, settings):
        return a * read(settings), lambda grad: (grad * read(settings),)

    settings, x = make([2.0]), Tensor([1.0])
    y = scaled(x, settings=settings).sum()
    held = settings
    if isinstance(settings, Settings):
        held = settings.factor
    elif isinstance(settings, UserDict):
        held = settings["factor"]
    held[0] = 9.0
    y.backward()
    assert x.grad.tolist() == [2.0]
