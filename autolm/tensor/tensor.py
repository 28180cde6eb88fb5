"""Tensor: a NumPy array in a computation graph.

Its operators and methods are in `operators.py` and `methods.py`, the operations in `autolm.ops`.
This file has what they share: it converts operands, records a result as a node, and fits each
contribution of a backward rule to its operand.
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
from autolm.outside.message import message
from autolm.tensor.change_detection import (
    CapturedArrays,
    capture_inputs,
    capture_result,
    replace_array,
    require_unchanged,
)
from autolm.tensor.expansion import expand
from autolm.tensor.fitting import (
    convert,
    fit,
    fits,
    has_dtype,
    read,
    read_operand,
    require_plain_array,
)
from autolm.tensor.numpy_functions import array_of
from autolm.tensor.operators import Operators
from autolm.tensor.quiet import is_quiet, quiet, quietly

Array = NDArray[Any]
# Attributes that are not copied, because their state changes by design.
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
        An array, which is not copied; numbers and lists of them, which become float64 (integers can
        still be used as an index); or a Tensor, whose data the new leaf shares.
    requires_grad
        Whether gradients are computed for it; by default, for floating point data.
    name
        A label for pictures and messages.
    dtype
        Converts the data.

    Notes
    -----
    `x.data`, `x.detach()` and, for one element, `float(x)` continue without a gradient. A NumPy
    function either records an operation or has no gradient; other functions, and `np.asarray(x)`,
    raise TypeError if a gradient would be lost. `==` compares elements.

    Raises
    ------
    TypeError
        If the data is not numbers, such as a list of Tensors (`ops.stack` joins them), or is a
        subclass of ndarray, such as a masked array; if integers should require a gradient; or if
        the name is not a str.

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
        "captured",
        "parents",
        "requires_grad",
    )
    computed = ("_array", "captured", "backward_rule")
    computing = quiet
    parents: tuple[Tensor, ...]
    _array: Array
    _lists_integers: bool  # whether the data was Python integers, which became floats
    captured: CapturedArrays | None  # arrays that must not change before the backward pass

    def __init__(
        self,
        data: ArrayLike | Tensor,
        requires_grad: bool | None = None,
        *,
        name: str = "",
        dtype: DTypeLike | None = None,
    ) -> None:
        if isinstance(data, Tensor):
            raw, keeps_dtype, lists_integers = data.data, True, data._lists_integers
        else:
            raw, keeps_dtype = read(data, "Tensor: data"), has_dtype(data)
            lists_integers = not keeps_dtype and (raw.dtype.kind in "iu" or not raw.size)
        array = convert(raw, keeps_dtype, dtype)
        if not (requires_grad is None or requires_grad is True or requires_grad is False):
            read_bool("Tensor", "requires_grad", requires_grad)
        floating = array.dtype.kind == "f"
        if requires_grad and not floating:
            raise TypeError(
                message(
                    "Tensor: {dtype} data cannot require a gradient; convert it with "
                    "dtype=float, or leave requires_grad out",
                    dtype=array.dtype,
                )
            )
        self._fill(array, floating if requires_grad is None else requires_grad, note_here())
        self._lists_integers = lists_integers and dtype is None
        if name != "":  # the setter checks the type
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
        """Set every slot: of a result if it has parents, otherwise of a leaf."""
        self._array, self.requires_grad, self.gradient = array, requires_grad, None
        self.op, self.parents, self.backward_rule = op, parents, rule
        self.attributes = {} if attributes is None else attributes
        self.order = next_order() if parents else 0
        self.note = note
        self.captured, self._lists_integers = None, False

    # The interface of a node

    @classmethod
    def record(
        cls, op: Primitive, operands: tuple[Any, ...], attributes: Mapping[str, Any]
    ) -> Tensor:
        """Run a primitive on Tensors, arrays or numbers, and return its result as a node."""
        parents, attributes, copies = _read_call(op, operands, attributes)
        array, rule = _run(op, [parent._array for parent in parents], attributes)
        node: Tensor = object.__new__(cls)
        state = current_recording()
        note = None if state is None else state.note_here()
        if (state is None or state.enabled) and _any_requires_grad(parents):
            if array.dtype.kind != "f":
                raise TypeError(
                    message(
                        "{name}: the result is {dtype}, which cannot require a gradient as its "
                        "operands do; let it return floats",
                        name=op.name,
                        dtype=array.dtype,
                    )
                )
            node._fill(array, True, note, op, parents, rule, attributes)
            node.captured = capture_inputs(node, copies.values())
        elif state is not None and state.constants and state.enabled:
            node._fill(array, False, note, op, parents, rule, attributes)
        else:
            node._fill(array, False, note)
        return node

    def recompute(self) -> None:
        """Run the operation again on the current data of its operands."""
        operands = (self.parents,) if self.op.joins else self.parents
        with recording(enabled=True):
            again = Tensor.record(self.op, operands, self.attributes)
        for slot in self.computed:
            setattr(self, slot, getattr(again, slot))

    def contributions(self, upstream: Array) -> tuple[Any, ...]:
        """Apply the backward rule, and fit each contribution to its operand."""
        require_unchanged(self)
        # A sum of 0-d arrays is a NumPy scalar, so it is converted back to an array.
        returned = self._apply_rule(np.asarray(upstream))
        if not isinstance(returned, (tuple, list)) or len(returned) != len(self.parents):
            raise ValueError(
                f"{describe(self)}: the backward rule must return a tuple of {len(self.parents)}, "
                f"one contribution per operand; it returned {_kind(returned)}"
            )
        return tuple(map(self._fitted, returned, self.parents, count()))

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
                message(
                    "{x}: the contribution to operand {operand} is a {kind}; a rule "
                    "computes with arrays: use its .data",
                    x=describe(self),
                    operand=operand,
                    kind=type(contribution).__name__,
                )
            )
        try:
            return fit(contribution, parent._array)
        except (TypeError, ValueError) as error:
            raise type(error)(
                message(
                    "{x}: the contribution to operand {operand} {error}",
                    x=describe(self),
                    operand=operand,
                    error=error,
                )
            ) from None

    def backward(self, grad: Any = None, *, retain_grads: bool | None = None) -> None:
        """Compute ∂self/∂leaf for every leaf under this node, by the chain rule.

        Gradients of leaves accumulate over calls. If an exception is raised, no gradient changes.

        Parameters
        ----------
        grad
            ∂L/∂self, an array of this shape; by default 1, which only a Tensor of one element
            allows.
        retain_grads
            Whether results, too, hold their gradient of this call; by default they do not.

        Raises
        ------
        RuntimeError
            If nothing requires a gradient, or an array was changed in place after its use.
        ValueError
            If `grad` has another shape, or is missing and this Tensor has several elements.

        Examples
        --------
        >>> x = Tensor([1.0, 2.0])
        >>> (x * x).sum().backward()
        >>> x.grad
        array([2., 4.])
        """
        (watching_pass() or backward)(self, grad, retain_grads)

    def steps(self, grad: Any = None, *, retain_grads: bool | None = None) -> Iterator[Step]:
        """Run the same pass one operation at a time; the gradients are stored at its end."""
        return quietly(steps(self, grad, retain_grads))

    def as_gradient(self, grad: Any) -> Array:
        """Return a copy of a gradient in this shape and dtype; None is 1, for one element."""
        if grad is None:
            if self._array.size != 1:
                raise ValueError(
                    message(
                        "backward: the root has shape {shape}, and only a single number has a "
                        "gradient by itself; take .sum() or .mean() first, or give grad=",
                        shape=self.shape,
                    )
                )
            return np.ones_like(self._array)
        if fits(grad, self._array):
            return grad.copy()
        if self._array.dtype.kind != "f":
            raise TypeError(message("{dtype} data have no gradient", dtype=self.dtype))
        raw = read(grad._array if isinstance(grad, Tensor) else grad, "the gradient")
        array = raw.astype(self.dtype)
        if array.shape != self.shape:
            raise ValueError(
                message(
                    "the gradient has shape {shape}, and the data {shape2}",
                    shape=array.shape,
                    shape2=self.shape,
                )
            )
        return array

    def to_values(self, *, zoom: bool = False) -> Array:
        """Expand the graph under this node into a graph of Values.

        Parameters
        ----------
        zoom
            Whether to expand only this node, with its parents as leaves.

        Returns
        -------
        ndarray
            Values, in an object array of this shape.
        """
        return expand(self, zoom=read_bool("to_values", "zoom", zoom))[self]

    # Data

    @property
    def data(self) -> Array:
        """The array. Assign a new one instead of writing into it while a graph uses it."""
        if self.parents:  # a leaf is fingerprinted when an operation uses it
            capture_result(self)
        return self._array

    @data.setter
    def data(self, data: ArrayLike) -> None:
        array: Any = data if fits(data, self._array) else self._read_data(data)
        if array.shape != self.shape:
            raise ValueError(
                message(
                    "data: the new array is {shape} and the old one {shape2}; for another "
                    "shape make another Tensor",
                    shape=array.shape,
                    shape2=self.shape,
                )
            )
        if array is not self._array:  # they are the same after `x.data += 1`, a change in place
            replace_array(self, array)

    def _read_data(self, data: ArrayLike | Tensor) -> Array:
        array = data.data if isinstance(data, Tensor) else read(data, "data")
        if not np.can_cast(array.dtype, self.dtype, "same_kind"):
            raise TypeError(
                message(
                    "data: {dtype} numbers do not fit into {dtype2}",
                    dtype=array.dtype,
                    dtype2=self.dtype,
                )
            )
        return array.astype(self.dtype, copy=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._array.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._array.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the elements."""
        return self._array.dtype

    def numpy(self) -> Array:
        """Return the array, without a graph; the same as `data`."""
        return self.data

    def item(self) -> float:
        """Return the only element as a Python number; ValueError if there are several."""
        return self._one("item()").item()

    def _one(self, asking: str, error: type[Exception] = ValueError) -> Array:
        """Return the array if it has exactly one element."""
        if self._array.size != 1:
            raise error(
                message(
                    "{asking} of a Tensor of shape {shape}: only one element is a number; "
                    "index it, or reduce it with .sum(), .mean() or .any() of x.data",
                    asking=asking,
                    shape=self.shape,
                )
            )
        return self.data

    def detach(self) -> Tensor:
        """Return a constant with the same data."""
        return Tensor(self, requires_grad=False, name=self.name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return the data for `np.asarray(t)`; TypeError if a gradient would be lost."""
        return array_of(self, self.data, dtype, copy)

    def __index__(self) -> int:
        """Return the only element, an integer, as an int for `range(n)` or `letters[i]`."""
        positions = self.as_positions()
        if positions.size != 1 or positions.dtype.kind not in "iu":
            raise TypeError(
                f"a Tensor of shape {self.shape} and dtype {self.dtype} is not an integer; "
                ".data has its numbers"
            )
        return int(positions.item())

    def as_positions(self) -> Array:
        """Return the data as an index; data made of Python integers becomes integers again."""
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
            raise TypeError(message("len(x): a Tensor of shape () is a number and has no length"))
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.ndim:
            raise TypeError(
                message("iter(x): a Tensor of shape () is a number, and none goes through it")
            )
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


record = Tensor.record  # called by every primitive


def compose(op: Composed, operands: tuple[Any, ...], attributes: Mapping[str, Any]) -> Any:
    """Run a composed operation on Tensors, and return its result."""
    required = len(op.operands) - len(op.optional)
    present = (*operands[:required], *(o for o in operands[required:] if o is not None))
    parents, attributes, _ = _read_call(op, present, attributes)
    if len(present) == len(operands):
        operands = parents
    else:
        remaining = iter(parents)
        operands = tuple(None if o is None else next(remaining) for o in operands)
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
    """Convert every operand to a Tensor, and copy the attributes that a program could change.

    Return the operands, all attributes, and the copied attributes alone.
    """
    if op.joins and len(operands) == 1:
        operands = tuple(operands[0])
    parents = operands if _are_tensors(operands) else _as_tensors(operands, op)
    copies = {
        name: _copied(value, op, name)
        for name, value in attributes.items()
        if type(value) not in BASIC
    }
    return parents, {**attributes, **copies} if copies else attributes, copies


def _run(op: Primitive, arrays: list[Array], attributes: Mapping[str, Any]) -> tuple[Any, Any]:
    """Run the forward function of a primitive; an error names the operation and the shapes."""
    if not is_quiet():
        with quiet():
            return _run(op, arrays, attributes)
    try:
        returned = op.forward(*arrays, **attributes)
    except ValueError as error:
        if str(error).startswith(op.name):
            raise
        shapes = " and ".join(str(array.shape) for array in arrays)
        raise ValueError(
            message("{name} of {shapes}: {error}", name=op.name, shapes=shapes, error=error)
        ) from None
    if type(returned) is not tuple or len(returned) != 2 or not callable(returned[1]):
        raise TypeError(
            message(
                "{name}: must return (result, backward), the array and its closure; it "
                "returned {kind}",
                name=op.name,
                kind=type(returned).__name__,
            )
        )
    result, rule = returned
    if type(result) is np.ndarray and result.dtype.kind == "f":
        return result, rule
    return read(result, f"{op.name}: the result"), rule


def _copied(value: Any, op: ArrayOperation, name: str) -> Any:
    """Copy an attribute that a program could change later, such as a list or an array."""
    if isinstance(value, list | tuple):
        copies = [item if type(item) in BASIC else _copied(item, op, name) for item in value]
        make = list if isinstance(value, list) else getattr(value, "_make", type(value))
        return make(copies)  # a named tuple is built by _make
    if isinstance(value, IMMUTABLE):
        return value
    if isinstance(value, set):
        return set(value)
    if isinstance(value, dict):
        return {key: _copied(item, op, name) for key, item in value.items()}
    if isinstance(value, Node):
        positions = value.as_positions() if isinstance(value, Tensor) else None
        if value.requires_grad and (positions is None or positions.dtype.kind == "f"):
            places = ", ".join((*op.operands, *op.places))
            order = f"; the order is {op.name}({places})" if name in op.places else ""
            raise TypeError(
                message(
                    "{name}: {name2} gets no gradient, and a {kind} was given that "
                    "requires one; give its .data, or for integers a Tensor with "
                    "dtype=int{order}",
                    name=op.name,
                    name2=name,
                    kind=type(value).__name__,
                    order=order,
                )
            )
        return value.data if positions is None else positions
    if isinstance(value, np.ndarray):
        require_plain_array(value, f"{op.name}: {name}")
        return value.copy()
    if hasattr(value, "__array__") or isinstance(value, bytearray | memoryview | PythonArray):
        return np.array(value)
    if callable(value) or isinstance(value, SOURCES):
        return value
    try:
        return deepcopy(value)
    except Exception:
        raise TypeError(
            message(
                "{name}: {name2} is a {kind}, which cannot be copied; if it changed "
                "before the backward pass, the gradient would be wrong",
                name=op.name,
                name2=name,
                kind=type(value).__name__,
            )
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
        else Tensor(read_operand(operand, dtype, f"{op.name}: an operand"), False)
        for operand in operands
    )
