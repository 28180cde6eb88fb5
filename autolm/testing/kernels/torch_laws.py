"""Laws of PyTorch's functions: memory layouts, random state, uninitialised memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.testing.call import Call
from autolm.testing.kernels.kernel import library, split_like
from autolm.testing.kernels.kernel_laws import (
    attempt,
    base_gradient,
    copies,
    differing,
    filled,
    of_examples,
    pull,
    require_same,
)
from autolm.testing.kernels.kernel_subject import KernelSubject
from autolm.testing.kernels.torch_kernel import TorchKernel
from autolm.testing.laws.law import Law, Tally, broken
from autolm.testing.laws.purity import impure

Array = NDArray[Any]
Layout = Callable[[Any], Any]  # makes an equal tensor in another memory layout
SEEDS = (5, 6)


def torch_kernel(subject: KernelSubject) -> TorchKernel:
    """Return the kernel under test with its own type."""
    kernel = subject.kernel
    assert isinstance(kernel, TorchKernel)
    return kernel


def layouts_of(tensor: Any) -> Iterator[tuple[str, Layout]]:
    """List memory layouts of a tensor other than contiguous, by name."""
    if not tensor.ndim:
        return
    if tensor.ndim > 1:
        yield "transposed", _with_axes_in_memory(tuple(range(tensor.ndim))[::-1])
    if tensor.ndim == 4:
        yield "of channels last", _with_axes_in_memory((0, 2, 3, 1))
    if tensor.ndim == 3:
        for axes in list(permutations(range(3)))[1:-1]:
            yield f"with axes {axes} in memory", _with_axes_in_memory(axes)
    yield "strided", _strided
    yield "sliced", _sliced


def _with_axes_in_memory(axes: tuple[int, ...]) -> Layout:
    back = tuple(int(i) for i in np.argsort(axes))
    return lambda tensor: tensor.permute(axes).contiguous().permute(back)


def _strided(tensor: Any) -> Any:
    """Make every second element of a larger tensor."""
    wide = tensor.new_full((*tensor.shape, 2), 7.0)
    wide[..., 0] = tensor
    return wide[..., 0]


def _sliced(tensor: Any) -> Any:
    """Make a slice from the middle of a larger tensor."""
    wide = tensor.new_full(tuple(n + 2 for n in tensor.shape), 7.0)
    inner = tuple(slice(1, n + 1) for n in tensor.shape)
    wide[inner] = tensor
    return wide[inner]


def _check_upstreams(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Pass upstream gradients in every layout."""
    kernel = torch_kernel(subject)
    run = attempt("the forward", kernel.run, call.inputs, call.attributes)
    parts = [
        kernel.tensor(np.array(part, order="C"), like=result)
        for part, result in zip(
            split_like(call.given_upstream, run.results), run.tensors, strict=True
        )
    ]
    ways: list[tuple[str, list[Any], list[Any]]] = []
    for name, layout in layouts_of(max(parts, key=lambda part: part.ndim)):
        ways.append((name, parts, [_laid(part, name, layout) for part in parts]))
    for name, expanded in (
        ("expanded, as sum().backward() sends it", [_expanded(part) for part in parts]),
        ("expanded along its first axis", [_expanded_first(part) for part in parts]),
    ):
        ways.append((name, [each.contiguous() for each in expanded], expanded))
    for name, plain, laid_out in ways:
        expected = pull(run, [tensor.clone() for tensor in plain])
        where = f"for an upstream gradient that is {name}"
        actual = pull(run, laid_out, where)
        _require_same(subject, call, actual, expected, where, "upstream", tally)


def _laid(tensor: Any, name: str, layout: Layout) -> Any:
    return layout(tensor) if name in dict(layouts_of(tensor)) else tensor.clone()


def _expanded(tensor: Any) -> Any:
    return tensor.reshape(-1)[:1].reshape(()).expand(tensor.shape) if tensor.numel() else tensor


def _expanded_first(tensor: Any) -> Any:
    return tensor[:1].expand(tensor.shape) if tensor.ndim and tensor.numel() else tensor


def _check_inputs(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Pass operands in every layout, one alone and all together."""
    kernel = torch_kernel(subject)
    expected, _ = base_gradient(subject, call)
    names = subject.names_of(call)
    plain = [kernel.tensor(x.copy()) for x in call.inputs]
    _check_expanded(subject, call, tally)
    chosen = [(name, [i]) for i, name in enumerate(names)]
    chosen += [("all", list(range(len(names))))] * (len(names) > 1)
    for who, indices in chosen:
        most = max((plain[i] for i in indices), key=lambda tensor: tensor.ndim)
        for name, layout in layouts_of(most):
            tensors = [
                _laid(x, name, layout) if i in indices else x.clone() for i, x in enumerate(plain)
            ]
            try:
                run = kernel.run(tensors, call.attributes)
            except Exception:  # it refuses this layout
                tally.exercised["refused layout"] += 1
                continue
            parts = split_like(call.given_upstream.copy(), run.results)
            where = f"where {who} is {name}" if who != "all" else f"where all inputs are {name}"
            actual = pull(run, parts, where)
            _require_same(subject, call, actual, expected, where, "input", tally)


def _check_expanded(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Compare a repeated first row, copied in memory and expanded by a stride of 0."""
    kernel = torch_kernel(subject)
    for i, name in enumerate(subject.names_of(call)):
        if not call.inputs[i].ndim or not call.inputs[i].size:
            continue
        first = call.inputs[i][:1]
        rows = [np.broadcast_to(first, x.shape) if j == i else x for j, x in enumerate(call.inputs)]
        repeated = Call(*(x.copy() for x in rows), **call.attributes)
        repeated.upstream = call.given_upstream
        tensors = [kernel.tensor(x.copy()) for x in repeated.inputs]
        tensors[i] = kernel.tensor(first.copy()).expand(tensors[i].shape)
        try:
            expected, _ = base_gradient(subject, repeated)
            run = kernel.run(tensors, call.attributes)
        except Exception:  # it refuses these numbers or this layout
            continue
        parts = split_like(call.given_upstream.copy(), run.results)
        where = f"where {name} is expanded"
        actual = pull(run, parts, where)
        _require_same(subject, repeated, actual, expected, where, "input", tally)


def _require_same(
    subject: KernelSubject,
    call: Call,
    actual: Sequence[Array | None],
    expected: Sequence[Array | None],
    where: str,
    what: str,
    tally: Tally,
) -> None:
    whole = filled(expected, call)
    _, scale = base_gradient(subject, call)
    rows = differing(subject, call, actual, whole, scale)
    if rows:
        message = f"the gradient of {rows[0].operand} is another {where}"
        diagnosis = f"layout: wrong {where}, while a contiguous {what} gives what it should"
        raise broken(subject, call, message, diagnosis, rows)
    tally.exercised[f"{what} of another layout"] += 1


def _check_random_state(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Run the backward under two random states; require that a call does not set the seed."""
    kernel, torch = torch_kernel(subject), library("torch")
    run = attempt("the forward", kernel.run, call.inputs, call.attributes)
    parts = split_like(call.given_upstream.copy(), run.results)
    gradients = []
    for seed in (*SEEDS, SEEDS[0]):
        torch.default_generator.manual_seed(seed)
        gradient = attempt("the backward rule", run.pull, copies(parts), False)
        gradients.append(filled(gradient, call))
    _, scale = base_gradient(subject, call)
    rows = differing(subject, call, gradients[1], gradients[0], scale)
    # Where it is another a second time in the same state, something else is kept between calls.
    if rows and not differing(subject, call, gradients[2], gradients[0], scale):
        message = "the gradient depends on the random state at the backward"
        cause = "random state: the backward rule draws random numbers of its own"
        raise impure(subject, call, message, cause, rows)
    states = []
    for seed in SEEDS:
        torch.default_generator.manual_seed(seed)
        tensors = [kernel.tensor(x.copy()) for x in call.inputs]
        kernel.call(kernel.apply, tensors, call.attributes, seed=False)
        states.append(torch.get_rng_state())
    if torch.equal(*states):
        message = "it sets the random state of the whole program"
        cause = "random state: PyTorch's generator is seeded, on which others rely"
        raise impure(subject, call, message, cause)
    tally.exercised["random state"] += 1


def _check_memory(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Fill fresh memory with NaN, and require that none reaches a result."""
    torch = library("torch")
    expected, _ = base_gradient(subject, call)
    if not all(np.all(np.isfinite(x)) for x in expected):
        return
    mode, filled = torch.get_deterministic_debug_mode(), torch.utils.deterministic
    before = filled.fill_uninitialized_memory
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.set_deterministic_debug_mode("warn")
            filled.fill_uninitialized_memory = True
            run = subject.kernel.run(call.inputs, call.attributes)
            gradients = run.pull(split_like(call.given_upstream.copy(), run.results))
        except Exception:  # it does not run in this mode
            return
        finally:
            torch.set_deterministic_debug_mode(mode)
            filled.fill_uninitialized_memory = before
    for what, arrays in (("result", run.results), ("gradient", gradients)):
        if any(a is not None and np.isnan(a).any() for a in arrays):
            message = f"memory that was never written comes out in the {what}"
            cause = "uninitialised memory: what torch.empty gives is used before it is written"
            raise impure(subject, call, message, cause)
    tally.exercised["fresh memory"] += 1


def _check_surroundings(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Run it under each global setting that leaves its result the same."""
    expected, scale = base_gradient(subject, call)
    run = attempt("the forward", torch_kernel(subject).run, call.inputs, call.attributes)
    for where, setting in _settings().items():
        try:
            with setting():
                other = subject.kernel.run(call.inputs, call.attributes)
                actual = other.pull(split_like(call.given_upstream.copy(), other.results))
        except Exception:  # it refuses this setting, and is not silent about it
            continue
        if all(np.array_equal(a, b) for a, b in zip(run.results, other.results, strict=True)):
            message, cause = f"{{}} gets another gradient {where}", f"surroundings: wrong {where}"
            require_same(subject, call, actual, expected, scale, message, cause)
            tally.exercised[where] += 1
    upstreams = split_like(call.given_upstream.copy(), run.results)
    with ThreadPoolExecutor(1) as threads:
        elsewhere = threads.submit(pull, run, copies(upstreams)).result()
    pulled = {"where the backward runs in another thread": elsewhere}
    with suppress(Exception):  # a backward that cannot be differentiated
        pulled["where the backward creates a graph"] = run.pull(
            copies(upstreams), create_graph=True
        )
    for where, actual in pulled.items():
        message, cause = f"{{}} gets another gradient {where}", f"surroundings: wrong {where}"
        require_same(subject, call, actual, expected, scale, message, cause)


def _settings() -> dict[str, Callable[[], AbstractContextManager[Any]]]:
    """Return PyTorch's global settings that must not matter to float64, by a clause."""
    torch = library("torch")

    @contextmanager
    def other_default() -> Iterator[None]:
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32 if before == torch.float64 else torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(before)

    return {
        "under autocast": lambda: torch.autocast("cpu", torch.bfloat16),
        "with another default dtype": other_default,
    }


surroundings = Law(
    "surroundings",
    "the gradient is the same under autocast, another default dtype and in another thread",
    lambda subject: None if subject.kernel.is_random else of_examples(subject),
    _check_surroundings,
    most=1,
)
upstreams = Law(
    "upstreams",
    "the gradient does not depend on the memory layout of the upstream gradient",
    of_examples,
    _check_upstreams,
    most=2,
)
inputs = Law(
    "inputs",
    "the gradient does not depend on the memory layout of the operands",
    of_examples,
    _check_inputs,
    most=2,
)
random_state = Law(
    "random",
    "the backward draws no random numbers of its own, and nothing seeds the generator",
    of_examples,
    _check_random_state,
    most=1,
)
memory = Law(
    "memory",
    "no memory is used that was never written",
    of_examples,
    _check_memory,
    most=1,
)
