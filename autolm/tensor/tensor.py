"""An array in a computation graph: NumPy's arithmetic, PyTorch's habits, and a memory of its past.

A Tensor wraps a NumPy array. Its operators and methods stand in `operators.py`, one line each, and
what they do in `ops`. This file holds what all of them share: how operands are read, how a node is
recorded, and how contributions are fitted to the operands that they belong to.
"""

from __future__ import annotations

from array import array as PythonArray
from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import count
from random import Random
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from autolm.engine.backprop import Step, backward, steps
from autolm.engine.graph import Node, describe, next_order
from autolm.engine.recording import Note, current_recording, note_here, recording
from autolm.engine.watching import watching_pass
from autolm.ops.array_operation import ArrayOperation
from autolm.ops.composed import Composed
from autolm.ops.primitive import Primitive
from autolm.outside.arguments import read_bool
from autolm.tensor.expansion import expand
from autolm.tensor.fitting import (
    convert,
    fit,
    fits,
    following,
    has_dtype,
    read,
    require_plain_array,
)
from autolm.tensor.guard import Guard, guard_of, hand_out, replace_array, require_unchanged
from autolm.tensor.numpy_functions import array_of
from autolm.tensor.operators import Operators
from autolm.tensor.quiet import is_quiet, quiet, quietly

Array = NDArray[Any]
# Their state changes by design, as that of a file; what is drawn from them was drawn.
SOURCES = (np.random.Generator, np.random.RandomState, Random, ModuleType)
IMMUTABLE = (
    *(int, float, complex, str, bytes, range, slice, type, type(None), type(...)),
    *(np.generic, np.dtype),
)
BASIC = frozenset((int, float, bool, str, slice, type(None), type(...)))  # most of IMMUTABLE


class Tensor(Operators, Node):
    """An array that remembers how it was computed.

    Parameters
    ----------
    data
        An array, kept as it is and not copied; numbers and lists of them, which become float64 (but
        integers still serve as an index); or a Tensor, whose data a new leaf gets.
    requires_grad
        Whether gradients are computed for it; by default, for floating point data.
    name
        A label for pictures and messages.
    dtype
        Converts the data.

    Notes
    -----
    `x.data` and `x.detach()` go on without a gradient, and so does `float(x)` of one element.
    NumPy's functions record a gradient or have none; the others, and `np.asarray(x)`, are refused
    where a gradient would be lost. `==` compares elements.

    Raises
    ------
    TypeError
        For data that is not numbers, such as a list of Tensors (`ops.stack` joins them), for a
        subclass of an array, such as one with a mask, for integers that should require a
        gradient, and for a name that is no text.

    Examples
    --------
    >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> (x @ x).sum().backward()
    >>> x.grad
    array([[ 7., 11.],
           [ 9., 13.]])
    """

    __slots__ = (
        "_array",
        "_lists_integers",
        "attributes",
        "backward_rule",
        "guard",
        "parents",
        "requires_grad",
    )
    computed = ("_array", "guard", "backward_rule")
    computing = quiet
    parents: tuple[Tensor, ...]
    _array: Array
    _lists_integers: bool  # made of Python's integers, which became floats
    guard: Guard | None  # what others could change while a gradient needs it

    def __init__(
        self,
        data: ArrayLike | Tensor,
        requires_grad: bool | None = None,
        *,
        name: str = "",
        dtype: DTypeLike | None = None,
    ) -> None:
        if isinstance(data, Tensor):
            given, keeps_dtype, lists_integers = data.data, True, data._lists_integers
        else:
            given, keeps_dtype = read(data, "Tensor: data"), has_dtype(data)
            lists_integers = not keeps_dtype and (given.dtype.kind in "iu" or not given.size)
        array = convert(given, keeps_dtype, dtype)
        if not (requires_grad is None or requires_grad is True or requires_grad is False):
            read_bool("Tensor", "requires_grad", requires_grad)
        floating = array.dtype.kind == "f"
        if requires_grad and not floating:
            raise TypeError(
                f"Tensor: {array.dtype} data cannot require a gradient; convert it with "
                "dtype=float, or leave requires_grad out"
            )
        self._fill(array, floating if requires_grad is None else requires_grad, note_here())
        self._lists_integers = lists_integers and dtype is None
        if name != "":  # what is no text is refused there
            self.name = name

    def _fill(
        self,
        array: Array,
        requires_grad: bool,
        note: Note | None,
        op: Any = None,
        parents: tuple[Any, ...] = (),
        rule: Any = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Make this a node, with the moment's note: a result of an operation, or else a leaf."""
        self._array, self.requires_grad, self.gradient = array, requires_grad, None
        self.op, self.parents, self.backward_rule = op, parents, rule
        self.attributes = {} if attributes is None else attributes
        self.order = next_order() if parents else 0
        self.note = note
        self.guard, self._lists_integers = None, False

    # What the engine asks of a node

    @classmethod
    def record(
        cls, op: Primitive, operands: tuple[Any, ...], attributes: Mapping[str, Any]
    ) -> Tensor:
        """Run a primitive on Tensors, arrays or numbers, and return its result as a node."""
        parents, attributes, owned = _read_call(op, operands, attributes)
        array, rule = _run(op, [parent._array for parent in parents], attributes)
        node: Tensor = object.__new__(cls)
        moment = current_recording()  # asked once: this is done for every node
        note = None if moment is None else moment.note_here()
        if (moment is None or moment.enabled) and _any_requires_grad(parents):
            if array.dtype.kind != "f":
                raise TypeError(
                    f"{op.name}: the result is {array.dtype}, which cannot require a gradient as "
                    "its operands do; let it return floats"
                )
            node._fill(array, True, note, op, parents, rule, attributes)
            node.guard = guard_of(node, owned.values())
        elif moment is not None and moment.constants and moment.enabled:
            node._fill(array, False, note, op, parents, rule, attributes)
        else:
            node._fill(array, False, note)
        return node

    def recompute(self) -> None:
        """Run the operation once more, on what its operands hold now."""
        operands = (self.parents,) if self.op.joins else self.parents
        with recording(enabled=True):
            again = Tensor.record(self.op, operands, self.attributes)
        for slot in self.computed:
            setattr(self, slot, getattr(again, slot))

    def contributions(self, upstream: Array) -> tuple[Any, ...]:
        """Apply the backward rule, and fit each contribution to its operand."""
        require_unchanged(self)
        sent = self._apply_rule(np.asarray(upstream))  # a sum of numbers is no array
        if not isinstance(sent, (tuple, list)) or len(sent) != len(self.parents):
            raise ValueError(
                f"{describe(self)}: the backward rule must return a tuple of {len(self.parents)}, "
                f"one contribution per operand; it returned {_kind(sent)}"
            )
        return tuple(map(self._fitted, sent, self.parents, count()))

    def _apply_rule(self, upstream: Array) -> Any:
        if is_quiet():
            return self.backward_rule(upstream)  # type: ignore[misc]
        with quiet():
            return self.backward_rule(upstream)  # type: ignore[misc]

    def _fitted(self, contribution: Any, parent: Any, operand: int) -> Array | None:
        if not parent.requires_grad:
            return None
        if fits(contribution, parent._array):
            return contribution
        if isinstance(contribution, Node):
            raise TypeError(
                f"{describe(self)}: the contribution to operand {operand} is a "
                f"{type(contribution).__name__}; a rule computes with arrays: use its .data"
            )
        try:
            return fit(contribution, parent._array)
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"{describe(self)}: the contribution to operand {operand} {error}"
            ) from None

    def backward(self, grad: Any = None, *, retain_grads: bool | None = None) -> None:
        """Compute ∂self/∂leaf for every leaf under this node, by the chain rule.

        Leaves accumulate over calls; with `retain_grads` results hold the gradient of the latest.
        `grad` is ∂L/∂self: 1 if left out, which only a single number may. An error leaves every
        gradient as it was.
        """
        (watching_pass() or backward)(self, grad, retain_grads)

    def steps(self, grad: Any = None, *, retain_grads: bool | None = None) -> Iterator[Step]:
        """Walk that same pass one operation at a time; the gradients are set at its end."""
        return quietly(steps(self, grad, retain_grads))

    def as_gradient(self, grad: Any) -> Array:
        """Return a copy of a gradient, of this shape and dtype; None stands for a scalar's 1."""
        if grad is None:
            if self._array.size != 1:
                raise ValueError(
                    f"backward: the root has shape {self.shape}, and only a single number has a "
                    "gradient by itself; take .sum() or .mean() first, or give grad="
                )
            return np.ones_like(self._array)
        if fits(grad, self._array):
            return grad.copy()
        if self._array.dtype.kind != "f":
            raise TypeError(f"{self.dtype} data have no gradient")
        given = read(grad._array if isinstance(grad, Tensor) else grad, "the gradient")
        array = given.astype(self.dtype)
        if array.shape != self.shape:
            raise ValueError(f"the gradient has shape {array.shape}, and the data {self.shape}")
        return array

    def to_values(self, *, zoom: bool = False) -> Array:
        """Expand the graph under this node into Values: an object array of this shape.

        With `zoom` this node alone is expanded, and its parents become leaves.
        """
        return expand(self, zoom=read_bool("to_values", "zoom", zoom))[self]

    # Data

    @property
    def data(self) -> Array:
        """The array itself; assign a new one rather than writing into it while a graph needs it."""
        if self.parents:  # what is written into a leaf is seen by what uses it
            hand_out(self)
        return self._array

    @data.setter
    def data(self, data: ArrayLike) -> None:
        array: Any = data if fits(data, self._array) else self._read_data(data)
        if array.shape != self.shape:
            raise ValueError(
                f"data: the new array is {array.shape} and the old one {self.shape}; "
                "for another shape make another Tensor"
            )
        if array is not self._array:  # it is after `x.data += 1`, which is a change in place
            replace_array(self, array)

    def _read_data(self, data: ArrayLike | Tensor) -> Array:
        given = data.data if isinstance(data, Tensor) else read(data, "data")
        if not np.can_cast(given.dtype, self.dtype, "same_kind"):
            raise TypeError(f"data: {given.dtype} numbers do not fit into {self.dtype}")
        return given.astype(self.dtype, copy=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self._array.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._array.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an element."""
        return self._array.dtype

    def numpy(self) -> Array:
        """Return the array, without its past."""
        return self.data

    def item(self) -> float:
        """Return the only element as a Python number."""
        return self._one("item()").item()

    def _one(self, asking: str, error: type[Exception] = ValueError) -> Array:
        """Return the array if it has one element, which alone is a number."""
        if self._array.size != 1:
            raise error(
                f"{asking} of a Tensor of shape {self.shape}: only one element is a number; "
                "index it, or reduce it with .sum(), .mean() or .any() of x.data"
            )
        return self.data

    def detach(self) -> Tensor:
        """Return the same data as a constant."""
        return Tensor(self, requires_grad=False, name=self.name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return the data for `np.asarray(t)`; refused if a gradient would be lost."""
        return array_of(self, self.data, dtype, copy)

    def __index__(self) -> int:
        """Return the only element, an integer, as Python's own; as in `range(n)`, `letters[i]`."""
        positions = self.as_positions()
        if positions.size != 1 or positions.dtype.kind not in "iu":
            raise TypeError(
                f"a Tensor of shape {self.shape} and dtype {self.dtype} is no integer; "
                ".data has its numbers"
            )
        return int(positions.item())

    def as_positions(self) -> Array:
        """Return the data as an index takes them: integers stay so that lists of Python's were."""
        if self._lists_integers and np.array_equal(self._array, np.trunc(self._array)):
            return self.data.astype(np.intp)
        return self.data.copy()

    def __float__(self) -> float:
        return float(self._one("float(x)", TypeError).item())

    def __int__(self) -> int:
        return int(self._one("int(x)", TypeError).item())

    def __bool__(self) -> bool:
        return bool(self._one("bool(x), such as in `if x:`,").item())

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("len(x): a Tensor of shape () is a number and has no length")
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.ndim:
            raise TypeError("iter(x): a Tensor of shape () is a number, and none goes through it")
        return (self[i] for i in range(len(self._array)))

    def __format__(self, spec: str) -> str:
        return format(self._one(f"format(x, {spec!r})").item(), spec) if spec else repr(self)

    def __repr__(self) -> str:
        from autolm.walking.wording import show

        small = self.size <= 20
        text = np.array2string(self._array, separator=", ") if small else show(self._array)
        text += "" if self.dtype == np.float64 else f", dtype={self.dtype}"
        text += f", grad={show(self.gradient)}" if self.has_grad else ""
        text += f", name={self.name!r}" if self.name else ""
        return f"Tensor({text}, op={self.op.name})" if self.op else f"Tensor({text})"


record = Tensor.record  # what a primitive makes when it is called


def compose(op: Composed, operands: tuple[Any, ...], attributes: Mapping[str, Any]) -> Any:
    """Run an operation that is composed of others, on Tensors, and return what it makes of them."""
    needed = len(op.operands) - len(op.optional)
    there = (*operands[:needed], *(o for o in operands[needed:] if o is not None))
    parents, attributes, _ = _read_call(op, there, attributes)
    if len(there) == len(operands):
        operands = parents
    else:
        given = iter(parents)
        operands = tuple(None if o is None else next(given) for o in operands)
    try:
        with quiet():
            return op.forward(*operands, **attributes)
    except (TypeError, ValueError) as error:
        if str(error).startswith(op.name) or type(error) not in (TypeError, ValueError):
            raise
        raise type(error)(f"{op.name}: {error}") from None


def _read_call(
    op: ArrayOperation, operands: tuple[Any, ...], attributes: Mapping[str, Any]
) -> tuple[tuple[Tensor, ...], Mapping[str, Any], Mapping[str, Any]]:
    """Make every operand a Tensor, and attributes what nobody else can change.

    Those that had to be made so are returned again, as the last.
    """
    if op.joins and len(operands) == 1:
        operands = tuple(operands[0])
    parents = operands if _are_tensors(operands) else _as_tensors(operands, op)
    owned = {
        name: _owned(told, op, name) for name, told in attributes.items() if type(told) not in BASIC
    }
    return parents, {**attributes, **owned} if owned else attributes, owned


def _run(op: Primitive, arrays: list[Array], attributes: Mapping[str, Any]) -> tuple[Any, Any]:
    """Run the forward of a primitive; what it raises names the operation and the shapes."""
    if not is_quiet():
        with quiet():
            return _run(op, arrays, attributes)
    try:
        returned = op.forward(*arrays, **attributes)
    except ValueError as error:
        if str(error).startswith(op.name):
            raise
        shapes = " and ".join(str(array.shape) for array in arrays)
        raise ValueError(f"{op.name} of {shapes}: {error}") from None
    if type(returned) is not tuple or len(returned) != 2 or not callable(returned[1]):
        raise TypeError(
            f"{op.name}: must return (result, backward), the array and its closure; "
            f"it returned {type(returned).__name__}"
        )
    result, rule = returned
    if type(result) is np.ndarray and result.dtype.kind == "f":
        return result, rule
    return read(result, f"{op.name}: the result"), rule


def _owned(told: Any, op: ArrayOperation, name: str) -> Any:
    """Return an attribute as nobody else can change it: lists and arrays are copied."""
    if isinstance(told, list | tuple):
        copies = [each if type(each) in BASIC else _owned(each, op, name) for each in told]
        make = list if isinstance(told, list) else getattr(told, "_make", type(told))
        return make(copies)  # a named tuple has its own way
    if isinstance(told, IMMUTABLE):
        return told
    if isinstance(told, set):
        return set(told)
    if isinstance(told, dict):
        return {key: _owned(each, op, name) for key, each in told.items()}
    if isinstance(told, Node):
        positions = told.as_positions() if isinstance(told, Tensor) else None
        if told.requires_grad and (positions is None or positions.dtype.kind == "f"):
            places = ", ".join((*op.operands, *op.places))
            order = f"; the order is {op.name}({places})" if name in op.places else ""
            raise TypeError(
                f"{op.name}: {name} gets no gradient, and a {type(told).__name__} was given that "
                f"requires one; give its .data, or for integers a Tensor with dtype=int{order}"
            )
        return told.data if positions is None else positions
    if isinstance(told, np.ndarray):
        require_plain_array(told, f"{op.name}: {name}")
        return told.copy()
    if hasattr(told, "__array__") or isinstance(told, bytearray | memoryview | PythonArray):
        return np.array(told)
    if callable(told) or isinstance(told, SOURCES):
        return told
    try:
        return deepcopy(told)
    except Exception:
        raise TypeError(
            f"{op.name}: {name} is a {type(told).__name__}, which cannot be copied; if it changed "
            "before the backward pass, the gradient would be wrong"
        ) from None


def _kind(returned: Any) -> str:
    return f"{len(returned)}" if isinstance(returned, tuple | list) else type(returned).__name__


def _are_tensors(operands: tuple[Any, ...]) -> bool:
    for operand in operands:  # noqa: SIM110  (a third of the time of all(), for every operation)
        if not isinstance(operand, Tensor):
            return False
    return True


def _any_requires_grad(nodes: tuple[Tensor, ...]) -> bool:
    for node in nodes:  # noqa: SIM110  (as above)
        if node.requires_grad:
            return True
    return False


def _as_tensors(operands: tuple[Any, ...], op: ArrayOperation) -> tuple[Tensor, ...]:
    """Make every operand a Tensor: Python numbers and lists follow the dtype of the others."""
    arrays = [o._array if isinstance(o, Tensor) else o for o in operands]
    typed = [
        a.dtype for a in arrays if isinstance(a, np.ndarray | np.generic) and a.dtype.kind == "f"
    ]
    dtype = np.result_type(*typed) if typed else np.dtype(np.float64)
    return tuple(
        operand
        if isinstance(operand, Tensor)
        else Tensor(following(operand, dtype, f"{op.name}: an operand"), False)
        for operand in operands
    )
