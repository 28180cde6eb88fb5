"""Kernels of PyTorch: a `torch.autograd.Function`, or any callable of tensors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.outside.arguments import quote
from autolm.testing.call import literal
from autolm.testing.dual_numbers import Dual
from autolm.testing.kernels.kernel import Attributes, Kernel, Slot, library

Array = NDArray[Any]

OTHER_SEED = 91  # set before the backward of a forward that draws random numbers


class TorchRun:
    """One run of a function, with the graph that PyTorch recorded."""

    def __init__(self, kernel: TorchKernel, leaves: Sequence[Any], results: Sequence[Any]) -> None:
        self.kernel, self.leaves, self.tensors = kernel, leaves, list(results)
        self.results = [kernel.numbers(result) for result in results]

    def pull(
        self, upstreams: Sequence[Any], seed: bool = True, create_graph: bool = False
    ) -> list[Array | None]:
        """Return the gradient of each operand; a result whose upstream is None is not used.

        If the forward is random, the backward runs under another random state. To create a graph of
        the backward is to run it with grad mode on.
        """
        torch = library("torch")
        pairs = [
            (result, u if isinstance(u, torch.Tensor) else self.kernel.tensor(u, like=result))
            for result, u in zip(self.tensors, upstreams, strict=True)
            if u is not None and result.requires_grad
        ]
        distinct = [leaf for leaf in dict.fromkeys(self.leaves) if leaf.requires_grad]
        if not pairs or not distinct:
            return [None] * len(self.leaves)
        if self.kernel.is_random and seed:
            torch.default_generator.manual_seed(OTHER_SEED)
        results, sent = zip(*pairs, strict=True)
        found = torch.autograd.grad(
            results, distinct, sent, retain_graph=True, create_graph=create_graph, allow_unused=True
        )
        by_leaf = dict(zip(distinct, found, strict=True))
        gradients: list[Array | None] = []
        for leaf in self.leaves:  # the first use of a repeated operand gets the sum
            gradient = by_leaf.pop(leaf, None)
            gradients.append(None if gradient is None else self.kernel.numbers(gradient))
        return gradients


class TorchKernel(Kernel):
    """A function of tensors of PyTorch."""

    noun = "tensor"
    home = "autolm.testing.torch"
    prelude = "import torch"

    def __init__(self, function: Any, name: str, slots: Sequence[Slot], device: Any) -> None:
        super().__init__(function, name, slots)
        torch = library("torch")
        self.device = device
        self.dtype = torch.float64  # of the check
        self.in_place = False  # whether it changes an input and declares it (mark_dirty)
        self.refusal: Exception | None = None  # the last error of the forward
        is_function = isinstance(function, type) and issubclass(function, torch.autograd.Function)
        self.apply = function.apply if is_function else function
        self.body = self._forward_alone if is_function else implementation_of(function)

    @classmethod
    def of(
        cls, function: Any, examples: Sequence[Any], caller: str, argument: str = "F"
    ) -> TorchKernel:
        """Read a function, and the arguments with which it is called."""
        torch = library("torch")
        owner = getattr(function, "__self__", None)
        if isinstance(owner, type) and issubclass(owner, torch.autograd.Function):
            function = owner  # it was given as F.apply
        if not callable(function):
            text = quote(function)
            what = "an autograd.Function or a callable"
            raise TypeError(f"{caller}: {argument} must be {what}, not {text}")
        tensors = [x for x in examples if isinstance(x, torch.Tensor)]
        for tensor in tensors:
            _require_numbers(tensor, caller)
        names = argument_names(signature_of(function), len(examples))
        slots = [
            Slot(
                name,
                isinstance(x, torch.Tensor) and x.is_floating_point(),
                x.detach().cpu().to(_plain(x)).numpy() if isinstance(x, torch.Tensor) else x,
            )
            for name, x in zip(names, examples, strict=True)
        ]
        device = tensors[0].device if tensors else torch.device("cpu")
        source = implementation_of(function)
        name = getattr(source, "__name__", type(source).__name__)
        return cls(function, name if name.isidentifier() else "function", slots, device)

    @property
    def source(self) -> Any:
        """The Python function of the forward."""
        if is_custom_op(self.function):
            return inspect.unwrap(implementation_of(self.function))
        return super().source

    @classmethod
    @contextmanager
    def isolated(cls) -> Iterator[None]:
        """Restore random state and threads; use one thread, which is fastest for small arrays."""
        torch = library("torch")
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.random.fork_rng(devices=[]):
                yield
        finally:
            torch.set_num_threads(threads)

    def prepare(self) -> None:
        """Find out the precision, and whether the forward is in place or random."""
        torch = library("torch")
        arrays = [slot.value for slot in self.operands]
        doubles = [np.asarray(x, dtype=float) for x in arrays]
        self.in_place = not self.takes(doubles) and self._takes_copies(doubles)
        if not self.takes(doubles) and self.takes([x.astype(np.float32) for x in doubles]):
            self.dtype = torch.float32  # some kernels accept nothing else
        with torch.random.fork_rng(devices=[]), suppress(Exception):
            torch.default_generator.manual_seed(1)
            before = torch.get_rng_state()
            self.run(doubles, {})
            self.is_random = not torch.equal(before, torch.get_rng_state())

    def takes(self, operands: Sequence[Any]) -> bool:
        """Whether the forward runs on such operands."""
        try:
            self.run(operands, {})
        except Exception as error:  # any error is a refusal
            self.refusal = error
            return False
        return True

    def _takes_copies(self, operands: Sequence[Any]) -> bool:
        self.in_place = True
        return self.takes(operands)

    def lacks(self, error: BaseException) -> str:
        """Name the device that an error of the forward asks for, if it is not here."""
        message = str(error).lower().replace("triton", "cuda")
        for name in ("cuda", "mps", "xpu"):
            if name in message and not getattr(library("torch"), name).is_available():
                return f"{name.upper()}, and there is no such device here"
        return ""

    def numbers(self, tensor: Any) -> Array:
        """Return the numbers of a tensor, sharing its memory if NumPy can read it."""
        tensor = tensor.detach()
        return tensor.to("cpu").to(_plain(tensor)).numpy()

    def tensor(self, array: Array, like: Any = None) -> Any:
        """Make a tensor of an array, sharing its memory if PyTorch can read it."""
        torch = library("torch")
        if not array.flags.writeable or any(step < 0 for step in array.strides):
            array = array.copy()
        tensor = torch.from_numpy(array)
        dtype = tensor.dtype if tensor.dtype in (torch.float64, torch.float32) else None
        if like is not None:
            dtype = like.dtype
        elif array.dtype.kind == "f" and dtype == torch.float64:
            dtype = self.dtype
        return tensor.to(device=self.device, dtype=dtype)

    def cast(self, array: Array, precision: str) -> Any:
        """Make a tensor of another precision."""
        torch = library("torch")
        return self.tensor(array).to(getattr(torch, precision))

    def epsilon(self, precision: str) -> tuple[float, float]:
        """Return the rounding of a precision, and its largest number."""
        torch = library("torch")
        limits = torch.finfo(getattr(torch, precision))
        return limits.eps, limits.max

    def run(
        self,
        arrays: Sequence[Any],
        attributes: Attributes,
        requires_grad: Sequence[bool] | None = None,
    ) -> TorchRun:
        """Run the function on arrays, or on tensors of any layout and precision."""
        torch = library("torch")
        leaf_by_id: dict[int, Any] = {}
        for i, x in enumerate(arrays):
            if id(x) not in leaf_by_id:  # an operand that is used twice is one tensor
                leaf = x if isinstance(x, torch.Tensor) else self.tensor(x)
                floats = leaf.is_floating_point()
                leaf_by_id[id(x)] = leaf.detach().requires_grad_(
                    floats and (requires_grad is None or requires_grad[i])
                )
        leaves = [leaf_by_id[id(x)] for x in arrays]
        inputs = [leaf.clone() for leaf in leaves] if self.in_place else leaves
        results = self.call(self.apply, inputs, attributes)
        return TorchRun(self, leaves, self._with_gradients(results))

    def call(
        self, function: Any, tensors: Sequence[Any], attributes: Attributes, seed: bool = True
    ) -> list[Any]:
        """Call a function with operands and constants; return the tensors among its results."""
        torch = library("torch")
        arguments = [
            self.tensor(value) if isinstance(value, np.ndarray) else value
            for value in self.arguments(tensors, attributes)
        ]
        if self.is_random and seed:
            torch.default_generator.manual_seed(0)
        result = function(*arguments)
        several = result if isinstance(result, tuple | list) else [result]
        results = [each for each in several if isinstance(each, torch.Tensor)]
        if not results:
            raise TypeError(f"it returned {quote(result)}, where a tensor is needed")
        return results

    def _with_gradients(self, results: Sequence[Any]) -> list[Any]:
        """Return the results that require a gradient; all of floating point, if none does."""
        if self.differentiable is None:
            floats = [i for i, each in enumerate(results) if each.is_floating_point()]
            self.differentiable = tuple(i for i in floats if results[i].requires_grad) or tuple(
                floats
            )
            if not self.differentiable:
                raise TypeError("no result holds real numbers, so there is nothing to prove")
        return [results[i] for i in self.differentiable]

    def values(self, arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
        """Run the function without a gradient."""
        with library("torch").no_grad():
            tensors = [self.tensor(x) for x in arrays]
            inputs = [t.clone() for t in tensors] if self.in_place else tensors
            results = self.call(self.apply, inputs, attributes)
        return [self.numbers(results[i]) for i in self.differentiable or range(len(results))]

    def along(self, arrays: Sequence[Any], attributes: Attributes) -> list[Dual]:
        """Push a derivative through the forward by PyTorch's forward mode."""
        torch = library("torch")
        forward_ad = torch.autograd.forward_ad
        with torch.no_grad(), forward_ad.dual_level():
            duals = [
                forward_ad.make_dual(self.tensor(x.value), self.tensor(x.tangent))
                if isinstance(x, Dual)
                else self.tensor(np.asarray(x))
                for x in arrays
            ]
            inputs = [each.clone() for each in duals] if self.in_place else duals
            results = self.call(self.body, inputs, attributes)
            parts = [
                forward_ad.unpack_dual(results[i])
                for i in self.differentiable or range(len(results))
            ]
        return [Dual(self.numbers(p), 0.0 if t is None else self.numbers(t)) for p, t in parts]

    def _forward_alone(self, *arguments: Any) -> Any:
        """Run the forward of a Function outside of autograd, with a stub context."""
        torch = library("torch")
        needs = tuple(isinstance(x, torch.Tensor) and x.is_floating_point() for x in arguments)
        return forward_with(self.function, Context(needs), arguments)

    def batched(self, operands: Sequence[Array], upstream: Array, attributes: Attributes) -> Any:
        """Run the function under `torch.func.vmap`."""
        torch = library("torch")
        leaves = [self.tensor(x).requires_grad_() for x in operands]

        def concatenated_results(*tensors: Any) -> Any:
            results = self.call(self.apply, tensors, attributes)
            differentiable = [results[i] for i in self.differentiable or ()]
            return (
                differentiable[0]
                if len(differentiable) == 1
                else torch.cat([each.reshape(-1) for each in differentiable])
            )

        together = torch.func.vmap(concatenated_results, randomness="same")(*leaves)
        gradients = torch.autograd.grad(together, leaves, self.tensor(upstream), allow_unused=True)
        return self.numbers(together), [
            np.zeros(x.shape) if a is None else self.numbers(a)
            for a, x in zip(gradients, operands, strict=True)
        ]

    def gradient_as_function(self) -> TorchGradient:
        """Return the function that gives its gradient."""
        return TorchGradient(self)

    def written(self, value: Any) -> str:
        """Write a value as an expression of a program."""
        if not isinstance(value, np.ndarray):
            return literal(value)
        if not value.size:
            return f"torch.zeros({value.shape}, dtype=torch.{value.dtype})"
        listed = (
            literal(value.tolist()).replace("np.inf", "torch.inf").replace("np.nan", "torch.nan")
        )
        return f"torch.tensor({listed}, dtype=torch.{value.dtype})"


class TorchGradient(TorchKernel):
    """The gradient of a kernel as a function of its operands and of the upstream gradient."""

    def __init__(self, kernel: TorchKernel) -> None:
        of = [slot for slot in kernel.slots if slot.is_operand]
        rest = [slot for slot in kernel.slots if not slot.is_operand]
        slots = [*of, Slot("upstream", True, None), *rest]
        super().__init__(kernel.function, kernel.__name__, slots, kernel.device)
        self.first, self.is_random, self.in_place = kernel, kernel.is_random, kernel.in_place
        self.dtype = kernel.dtype
        self.differentiable = tuple(range(len(of)))
        self.apply = self._gradient
        self.body = self._backward_alone
        self.names = [slot.name for slot in rest]

    def _parts(self, arguments: Sequence[Any]) -> tuple[Sequence[Any], Any, dict[str, Any]]:
        """Split arguments into operands, upstream gradient and constants."""
        count = len(self.first.operands)
        rest = dict(zip(self.names, arguments[count + 1 :], strict=True))
        return arguments[:count], arguments[count], rest

    def _gradient(self, *arguments: Any) -> Any:
        torch = library("torch")
        operands, upstream, rest = self._parts(arguments)
        with torch.enable_grad():
            leaves = [x if x.requires_grad else x.detach().requires_grad_() for x in operands]
            copies = [x.clone() for x in leaves] if self.in_place else leaves
            results = self.first.call(self.first.apply, copies, rest)
            upstreams = self._like(results, upstream)
            differentiable = [results[i] for i in self.first.differentiable or ()]
            gradients = torch.autograd.grad(
                differentiable, leaves, upstreams, create_graph=True, allow_unused=True
            )
        return [
            torch.zeros_like(leaf) if gradient is None else gradient
            for gradient, leaf in zip(gradients, leaves, strict=True)
        ]

    def _like(self, results: Sequence[Any], upstream: Any) -> list[Any]:
        differentiable = [results[i] for i in self.first.differentiable or ()]
        if len(differentiable) == 1:
            return [upstream]
        sizes = [each.numel() for each in differentiable]
        return [
            part.reshape(each.shape)
            for part, each in zip(upstream.split(sizes), differentiable, strict=True)
        ]

    def _backward_alone(self, *arguments: Any) -> Any:
        """Run forward and backward of a Function outside of autograd."""
        torch = library("torch")
        function = self.first.function
        if self.first.apply is function:
            raise TypeError("only a Function has a backward that can be run alone")
        operands, upstream, rest = self._parts(arguments)
        whole = self.first.arguments(
            operands,
            {k: self.tensor(v) if isinstance(v, np.ndarray) else v for k, v in rest.items()},
        )
        context = Context(tuple(slot.is_operand for slot in self.first.slots))
        output = forward_with(function, context, whole)
        several = output if isinstance(output, tuple | list) else [output]
        upstreams = iter(self._like([x for x in several if isinstance(x, torch.Tensor)], upstream))
        differentiable = self.first.differentiable or ()
        grads = [next(upstreams) if i in differentiable else None for i in range(len(several))]
        gradients = function.backward(context, *grads)
        several = gradients if isinstance(gradients, tuple | list) else [gradients]
        return [
            torch.zeros_like(whole[i]) if several[i] is None else several[i]
            for i, slot in enumerate(self.first.slots)
            if slot.is_operand
        ]


class Context(SimpleNamespace):
    """A stub of `ctx`, for a forward that runs outside of autograd."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        super().__init__()
        self.needs_input_grad = needs_input_grad
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Save tensors."""
        self.saved_tensors = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Ignore tensors for a forward mode of the user."""

    def mark_dirty(self, *tensors: Any) -> None:
        """Ignore which inputs are changed in place."""

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Ignore which results have no gradient: that is known from the real run."""

    def set_materialize_grads(self, value: bool) -> None:
        """Ignore whether a missing upstream gradient is None or zeros."""


def is_custom_op(function: Any) -> bool:
    """Whether a function was defined by `torch.library.custom_op`."""
    return isinstance(function, library("torch").library.CustomOpDef)


def has_backward(function: Any) -> bool:
    """Whether a custom op has a backward that `register_autograd` registered."""
    return is_custom_op(function) and function._backward_fn is not None


def implementation_of(function: Any) -> Any:
    """Return the Python function of a custom op; any other function unchanged."""
    return function._init_fn if is_custom_op(function) else function


def has_setup(function: Any) -> bool:
    """Whether a Function has a `setup_context`."""
    base = library("torch").autograd.Function
    return getattr(function, "setup_context", None) is not base.setup_context


def forward_with(function: Any, context: Context, arguments: Sequence[Any]) -> Any:
    """Run the forward of a Function with a given context."""
    if not has_setup(function):
        return function.forward(context, *arguments)
    output = function.forward(*arguments)
    function.setup_context(context, tuple(arguments), output)
    return output


def argument_names(signature: inspect.Signature | None, count: int) -> list[str]:
    """Return the names of the first `count` arguments; number them without a signature."""
    names: list[str] = []
    for parameter in signature.parameters.values() if signature else ():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
        elif parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}{i}" for i in range(count - len(names))]
    names += [f"argument{i}" for i in range(len(names), count)]
    return [name + "_" if name in ("upstream", "self") else name for name in names[:count]]


def signature_of(function: Any) -> inspect.Signature | None:
    """Return the signature of a function without `ctx`; None if it cannot be read."""
    torch = library("torch")
    is_function = isinstance(function, type) and issubclass(function, torch.autograd.Function)
    try:
        forward = function.forward if is_function else implementation_of(function)
        signature = inspect.signature(forward)
    except (TypeError, ValueError):
        return None
    parameters = list(signature.parameters.values())
    if is_function and not has_setup(function):
        parameters = parameters[1:]  # ctx
    return signature.replace(parameters=parameters)


def _require_numbers(tensor: Any, caller: str) -> None:
    """Refuse meta tensors and sparse tensors."""
    if tensor.is_meta:
        raise ValueError(
            f"{caller}: an example is a meta tensor, which has no numbers; give others"
        )
    if tensor.layout is not library("torch").strided:
        raise ValueError(f"{caller}: an example is sparse; give dense ones: tensor.to_dense()")


def _plain(tensor: Any) -> Any:
    """Return the dtype in which NumPy can hold a tensor's numbers."""
    torch = library("torch")
    return torch.float32 if tensor.dtype in (torch.bfloat16, torch.float16) else tensor.dtype
