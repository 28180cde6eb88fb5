"""Kernels of JAX: a `custom_vjp`, a `custom_jvp`, or any function of arrays.

Arguments may be trees; their leaves are the operands. Checks run inside `jax.enable_x64`, where
arrays may be of float64.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.outside.arguments import quote
from autolm.testing.call import literal
from autolm.testing.dual_numbers import Dual
from autolm.testing.kernels.kernel import Attributes, Kernel, Slot, library

Array = NDArray[Any]


class JaxRun:
    """One run of a function, with its vector-Jacobian product."""

    def __init__(
        self, results: Sequence[Any], pull: Callable[[Any], Any], requires_grad: Sequence[bool]
    ) -> None:
        self.results = [np.asarray(result) for result in results]
        self._dtypes = [result.dtype for result in results]
        self._pull, self._requires_grad = pull, requires_grad

    def pull(self, upstreams: Sequence[Array | None]) -> list[Array | None]:
        """Return the gradient of each operand; an upstream of None is zeros."""
        jnp = library("jax").numpy
        cotangents = [
            jnp.asarray(np.zeros(result.shape) if u is None else u, dtype)
            for result, dtype, u in zip(self.results, self._dtypes, upstreams, strict=True)
        ]
        gradients = iter(self._pull(cotangents))
        return [np.asarray(next(gradients)) if yes else None for yes in self._requires_grad]


class JaxKernel(Kernel):
    """A function of arrays of JAX."""

    noun = "array"
    home = "autolm.testing.jax"
    prelude = "import numpy as np"
    is_single_by_default = True  # new arrays are of float64 only inside of checks

    def __init__(self, function: Any, name: str, slots: Sequence[Slot], tree: Any) -> None:
        super().__init__(function, name, slots)
        self.tree = tree  # how the slots make up the arguments
        self.dtype = "float64"
        self.compiled = True  # whether it runs under jit, which is faster
        # Without its rule: what remains is a plain function, which JAX can differentiate.
        self.body = getattr(function, "fun", function)
        self._functions: dict[Any, Callable[..., Any]] = {}

    @classmethod
    def of(
        cls, function: Any, examples: Sequence[Any], caller: str, argument: str = "F"
    ) -> JaxKernel:
        """Read a function, and the arguments with which it is called."""
        jax = library("jax")
        if not callable(function):
            text = quote(function)
            raise TypeError(f"{caller}: {argument} must be a function of arrays, not {text}")
        leaves, tree = jax.tree_util.tree_flatten_with_path(tuple(examples), _is_none)
        try:
            names = list(inspect.signature(function).parameters)
        except (TypeError, ValueError):
            names = []
        slots = []
        for path, leaf in leaves:
            place = path[0].idx
            name = names[place] if place < len(names) else f"argument{place}"
            name += jax.tree_util.keystr(path[1:])
            is_array = isinstance(leaf, jax.Array | np.ndarray)
            floats = is_array and jax.numpy.issubdtype(leaf.dtype, jax.numpy.floating)
            value = np.asarray(leaf, dtype=_plain(leaf)) if is_array else leaf
            slots.append(Slot(name, bool(floats), value))
        name = getattr(function, "__name__", type(function).__name__)
        return cls(function, name if name.isidentifier() else "function", slots, tree)

    @classmethod
    def isolated(cls) -> AbstractContextManager[Any]:
        """Return a context in which arrays may be of float64."""
        context: AbstractContextManager[Any] = library("jax").enable_x64(True)
        return context

    def prepare(self) -> None:
        """Find out whether the function can be compiled."""
        arrays = [np.asarray(slot.value, dtype=float) for slot in self.operands]
        try:
            self.values(arrays, {})
        except Exception:  # such as a branch on a number
            self.compiled = False

    def takes(self, operands: Sequence[Any]) -> bool:
        """Whether the forward runs on such operands."""
        try:
            self.run(operands, {})
        except Exception:
            return False
        return True

    def _called(self, function: Any, attributes: Attributes) -> Callable[..., list[Any]]:
        """Return a function of the operands alone that lists the results of floating point."""
        jax = library("jax")

        def results(*operands: Any) -> list[Any]:
            arguments = jax.tree_util.tree_unflatten(
                self.tree, self.arguments(operands, attributes)
            )
            leaves = jax.tree_util.tree_leaves(function(*arguments))
            real_results = [i for i, each in enumerate(leaves) if not _is_discrete(each)]
            if not real_results:
                raise TypeError("no result holds real numbers, so there is nothing to prove")
            self.differentiable = tuple(real_results)
            return [leaves[i] for i in real_results]

        return results

    def numbers(self, tensor: Any) -> Array:
        """Return the numbers of an array."""
        return np.asarray(tensor, dtype=_plain(tensor))

    def cast(self, array: Array, precision: str) -> Any:
        """Make an array of another precision."""
        return library("jax").numpy.asarray(array, precision)

    def epsilon(self, precision: str) -> tuple[float, float]:
        """Return the rounding of a precision, and its largest number."""
        limits = library("jax").numpy.finfo(precision)
        return float(limits.eps), float(limits.max)

    def run(
        self,
        arrays: Sequence[Any],
        attributes: Attributes,
        requires_grad: Sequence[bool] | None = None,
    ) -> JaxRun:
        """Run the function on arrays of any precision."""
        jnp = library("jax").numpy
        requires_grad = tuple([True] * len(arrays) if requires_grad is None else requires_grad)
        arrays_by_id = {id(x): jnp.asarray(x) for x in arrays}
        operands = [arrays_by_id[id(x)] for x in arrays]
        results = self._function_of(attributes)(*operands)
        gradients = self._function_of(attributes, requires_grad)
        return JaxRun(results, lambda cotangents: gradients(cotangents, *operands), requires_grad)

    def values(self, arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
        """Run it without a gradient."""
        return [np.asarray(result) for result in self._function_of(attributes)(*arrays)]

    def _function_of(
        self, attributes: Attributes, requires_grad: tuple[bool, ...] | None = None
    ) -> Callable[..., Any]:
        """Return the forward, or the required gradients; compiled if possible."""
        key = (requires_grad, *((name, _identity(value)) for name, value in attributes.items()))
        if key not in self._functions:
            whole = self._called(self.function, attributes)
            plain = whole if requires_grad is None else _gradients_of(whole, requires_grad)
            self._functions[key] = library("jax").jit(plain) if self.compiled else plain
        return self._functions[key]

    def along(self, arrays: Sequence[Any], attributes: Attributes) -> list[Dual]:
        """Push a derivative through the function without its rule."""
        jax = library("jax")
        points = [x.value if isinstance(x, Dual) else np.asarray(x) for x in arrays]
        tangents = [x.tangent if isinstance(x, Dual) else np.zeros(np.shape(x)) for x in arrays]
        body = self._called(self.body, attributes)
        results, tangents_of_results = jax.jvp(body, tuple(points), tuple(tangents))
        return [
            Dual(np.asarray(result), np.asarray(tangent))
            for result, tangent in zip(results, tangents_of_results, strict=True)
        ]

    def batched(self, operands: Sequence[Array], upstream: Array, attributes: Attributes) -> Any:
        """Run it under `jax.vmap`."""
        jax = library("jax")
        whole = self._called(self.function, attributes)

        def row(*tensors: Any) -> Any:
            results = whole(*tensors)
            return _joined(results)

        together, pull = jax.vjp(jax.vmap(row), *map(jax.numpy.asarray, operands))
        gradients = pull(jax.numpy.asarray(upstream))
        return np.asarray(together), [np.asarray(gradient) for gradient in gradients]

    def gradient_as_function(self) -> JaxGradient:
        """Return the function that gives its gradient."""
        return JaxGradient(self)

    def written(self, value: Any) -> str:
        """Write a value as an expression of a program."""
        if not isinstance(value, np.ndarray):
            return literal(value)
        listed = literal(value)
        return listed if listed.startswith("np.") else f"np.array({listed})"


class JaxGradient(JaxKernel):
    """The gradient of a kernel as a function of its operands and of the upstream gradient."""

    def __init__(self, kernel: JaxKernel) -> None:
        jax = library("jax")
        of = [slot for slot in kernel.slots if slot.is_operand]
        rest = [slot for slot in kernel.slots if not slot.is_operand]
        slots = [*of, Slot("upstream", True, None), *rest]

        def gradient_of(function: Any) -> Callable[..., Any]:
            def gradient(*arguments: Any) -> Any:
                fixed = dict(zip([s.name for s in rest], arguments[len(of) + 1 :], strict=True))
                whole = kernel._called(function, fixed)
                operands, upstream = arguments[: len(of)], arguments[len(of)]
                return jax.vjp(lambda *arrays: _joined(whole(*arrays)), *operands)[1](upstream)

            return gradient

        tree = jax.tree_util.tree_structure((0,) * len(slots))
        super().__init__(gradient_of(kernel.function), kernel.__name__, slots, tree)
        self.body = gradient_of(kernel.body)
        self.compiled = kernel.compiled


def _gradients_of(whole: Callable[..., Any], requires_grad: tuple[bool, ...]) -> Callable[..., Any]:
    """Return a function of upstreams and operands that computes the required gradients."""

    def gradients(cotangents: Any, *operands: Any) -> Any:
        def of_required(*some: Any) -> Any:
            remaining = iter(some)
            return whole(
                *(
                    next(remaining) if yes else x
                    for x, yes in zip(operands, requires_grad, strict=True)
                )
            )

        free = [x for x, yes in zip(operands, requires_grad, strict=True) if yes]
        return library("jax").vjp(of_required, *free)[1](cotangents)

    return gradients


def _identity(value: Any) -> Any:
    """Return a key for the value of a constant."""
    return (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else repr(value)


def _joined(results: Sequence[Any]) -> Any:
    """Concatenate several results, as `concatenated` does."""
    jnp = library("jax").numpy
    if len(results) == 1:
        return results[0]
    return jnp.concatenate([result.reshape(-1) for result in results])


def _is_none(value: Any) -> bool:
    return value is None


def _is_discrete(value: Any) -> bool:
    jnp = library("jax").numpy
    return not jnp.issubdtype(jnp.result_type(value), jnp.inexact)


def _plain(array: Any) -> Any:
    """Return the dtype in which NumPy can hold the numbers of an array."""
    return np.float32 if str(array.dtype) in ("bfloat16", "float16") else array.dtype
