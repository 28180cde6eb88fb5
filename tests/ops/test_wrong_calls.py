"""Calls that mean nothing: each is refused by the operation, in its words, naming the argument.

The table is made from the operations themselves: each attribute and each operand, with each of a
list of values of the wrong kind or size. What NumPy has a result for may have that result.
"""

import inspect
import math
import re
import warnings
from contextlib import contextmanager

import numpy as np
import pytest

from autolm import Tensor, Value, ops
from tests.calls import arity
from tests.ops.test_small_shapes import ORACLES, end_to_end

ATTRIBUTE_VALUES = {
    "a text": "a",
    "None": None,
    "nan": math.nan,
    "inf": math.inf,
    "a float": 1.5,
    "a bool": True,
    "a huge int": 10**400,
    "an int too large for an index": 2**62,
    "a negative int": -7,
    "a list of nothing": [],
    "a list of floats": [0.5, 1.5],
    "a ragged list": [[0], [0, 1]],
    "a dict": {},
    "an object": object(),
    "bytes": b"a",
    "a complex number": 1j,
    "an array of floats": np.array([0.5, 1.5]),
    "a Tensor": Tensor([0.5]),
    "a Value": Value(0.5),
}
OPERAND_VALUES = {
    "a text": "a",
    "None": None,
    "a ragged list": [[0.0], [0.0, 1.0]],
    "a dict": {},
    "an object": object(),
    "bytes": b"a",
    "a complex number": 1j,
    "an array of texts": np.array(["a", "b"]),
    "an array of objects": np.array([object()]),
    "a Value": Value(0.5),
}
# The index of x[index] is read in a file of its own, and tried in the tests of that.
OPERATIONS = [op for op in ops.OPERATIONS if op is not ops.getitem]
each_operation = pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)


@contextmanager
def noted(word):
    """Say at a failure of which value it was; a test for each takes four times as long."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"of {word}")
        raise


def right_call(op):
    shapes, attributes = op.cases[0] if op.cases else (((2,),) * arity(op), {})
    arrays = [
        np.ones(shape, bool if d is None else float)
        for shape, d in zip(shapes, domains(op, len(shapes)), strict=True)
    ]
    return arrays, dict(attributes)


def domains(op, count):
    return op.domain * count if len(op.domain) == 1 else op.domain


def attributes_of(op):
    parameters = inspect.signature(op.forward).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]


def is_in_our_words(error, op, argument):
    assert isinstance(error, TypeError | ValueError | IndexError)
    message = str(error)
    assert re.match(rf"{op.name}( of .*)?: ", message), message
    assert re.search(rf"\b{argument}\b", message), message
    assert "\n" not in message


def in_one(results):
    return end_to_end(results) if isinstance(results, tuple | list) else results


def refused_or_numpys(op, arrays, attributes, argument):
    operands = [arrays] if op.joins else arrays
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            y = in_one(op(*operands, **attributes))
        except Exception as error:
            is_in_our_words(error, op, argument)
            return
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        defaults = {n: p.default for n, p in inspect.signature(op.forward).parameters.items()}
        settings_ = {name: attributes.get(name, defaults[name]) for name in attributes_of(op)}
        if isinstance(attributes[argument], list) and argument in ("axis", "shape", "axes"):
            settings_[argument] = tuple(attributes[argument])
        expected = MEANINGS.get(op, ORACLES[op].numpy)(*arrays, **settings_)
    np.testing.assert_allclose(y.data, expected, rtol=1e-12)


# Where a value is right after all, and the oracle of small shapes does not know the attribute.
MEANINGS = {
    ops.dropout: lambda a, rate, seed: (
        a * (np.random.default_rng(seed).random(a.shape) >= rate) / (1 - rate)
    ),
    ops.cross_entropy: lambda logits, targets, **how: ORACLES[ops.cross_entropy].numpy(
        logits, np.asarray(targets)
    ),
    ops.norm: lambda a, ord, axis, keepdims: np.linalg.vector_norm(
        a, ord=ord, axis=axis, keepdims=keepdims
    ),
}
TOLD = [(op, name) for op in OPERATIONS for name in attributes_of(op)]


@pytest.mark.parametrize(("op", "name"), TOLD, ids=lambda each: getattr(each, "name", each))
def test_an_attribute_that_means_nothing_is_named(op, name):
    for word, value in ATTRIBUTE_VALUES.items():
        arrays, attributes = right_call(op)
        with noted(word):
            refused_or_numpys(op, arrays, {**attributes, name: value}, name)


@each_operation
def test_an_operand_that_is_no_array_is_named(op):
    names = [
        p
        for p, kind in inspect.signature(op.forward).parameters.items()
        if kind.kind is kind.POSITIONAL_ONLY
    ]
    for word, value in OPERAND_VALUES.items():
        arrays, attributes = right_call(op)
        for i in range(len(arrays)):
            wrong = [*arrays[:i], value, *arrays[i + 1 :]]
            with noted(word):
                with pytest.raises((TypeError, ValueError)) as caught:
                    op(*([wrong] if op.joins else wrong), **attributes)
                is_in_our_words(caught.value, op, names[i] if names else f"operand {i}")


@each_operation
def test_an_unknown_keyword_is_named(op):
    arrays, attributes = right_call(op)
    with pytest.raises(TypeError) as caught:
        op(*arrays, **attributes, axsi=0)
    is_in_our_words(caught.value, op, "axsi")


@each_operation
def test_operands_too_many_too_few_and_by_name_are_refused(op):
    arrays, attributes = right_call(op)
    if op.joins:
        with pytest.raises(ValueError) as caught:
            op([], **attributes)
        is_in_our_words(caught.value, op, "array")
        with pytest.raises(TypeError) as caught:
            op(3, **attributes)
        is_in_our_words(caught.value, op, "arrays")
        return
    names = [*inspect.signature(op.forward).parameters][: len(arrays)]
    with pytest.raises(TypeError) as caught:
        op(*arrays, *[None] * len((*op.optional, *op.places)), None)
    count = len(arrays) + len((*op.optional, *op.places)) + 1
    is_in_our_words(caught.value, op, f"not {count}|name what comes after")
    if inspect.signature(op.forward).parameters[names[-1]].default is inspect.Parameter.empty:
        with pytest.raises(TypeError) as caught:
            op(*arrays[:-1], **attributes)
        is_in_our_words(caught.value, op, names[-1])
    with pytest.raises(TypeError) as caught:
        op(*arrays[:-1], **attributes, **{names[-1]: Tensor(arrays[-1])})
    is_in_our_words(caught.value, op, names[-1])


@pytest.mark.parametrize(("op", "name"), TOLD, ids=lambda each: getattr(each, "name", each))
def test_an_attribute_that_is_needed_and_missing_is_named(op, name):
    arrays, attributes = right_call(op)
    if inspect.signature(op.forward).parameters[name].default is inspect.Parameter.empty:
        del attributes[name]
        with pytest.raises(TypeError) as caught:
            op(*arrays, **attributes)
        is_in_our_words(caught.value, op, name)


@each_operation
def test_operands_whose_shapes_do_not_go_together_are_named_with_them(op):
    arrays, attributes = right_call(op)
    if len(arrays) > 1:
        arrays[-1] = np.ones((7, 5, 7))
        with pytest.raises(ValueError) as caught:
            op(*arrays, **attributes)
        is_in_our_words(caught.value, op, re.escape(str(arrays[-1].shape))[2:-2])


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64"])
@each_operation
def test_whole_numbers_are_taken_as_numbers_or_refused(op, dtype):
    arrays, attributes = right_call(op)
    whole = [a if a.dtype == bool else np.full(a.shape, 3).astype(dtype) for a in arrays]
    try:
        y = in_one(op(*([whole] if op.joins else whole), **attributes))
    except TypeError as error:
        table = op is ops.embedding and str(error).startswith(
            "embedding: weight must be floats, not"
        )
        assert table or (dtype == "bool" and re.match(f"{op.name}: a is bool", str(error)))
        return
    floats = [a if a.dtype == bool else a.astype(float) for a in whole]
    expected = in_one(op(*([floats] if op.joins else floats), **attributes))
    if y.dtype.kind == "f":
        np.testing.assert_allclose(y.data, expected.data, rtol=2e-2 if dtype != "int64" else 1e-12)
