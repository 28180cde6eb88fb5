"""A kernel under test: shapes and numbers of its calls, and the options of a check.

Calls are derived from the examples of the user, with other numbers and other lengths of axes.
Lengths that are equal in an example change together. Sizes that the forward refuses are left out,
and listed in the report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from autolm.ops.array_operation import Case
from autolm.ops.primitive import Primitive
from autolm.outside.terminal import words_of
from autolm.tensor.tensor import Tensor
from autolm.testing import ridders
from autolm.testing.call import Call
from autolm.testing.kernels.kernel import Kernel
from autolm.testing.operation_runner import OperationError
from autolm.testing.strategies import REALS, Kind, Shape, choices, read_domain
from autolm.testing.subject import Subject, upstream_for, upstreams
from autolm.testing.verdict import SINGLE, largest

Array = NDArray[Any]
Domains = tuple[tuple[float, float] | None, ...]

SMALL = 24  # elements of an operand that is drawn, number by number
SMALL_LENGTHS = (2, 3, 4, 5, 6, 7)  # what long axes become, each another
LONG = 131  # length of an axis beyond a common block size
MOST_OF_LONG = 600  # elements of an operand with such an axis
COARSE_STEP = 2.0**-26  # a step that double precision resolves, and single precision does not
COARSE = 2.0**-36  # relative noise of a result that double precision cannot have
NEAR = 1e-2  # distance from the examples, if no other numbers are accepted


@dataclass(repr=False, frozen=True)
class KernelSubject(Subject):
    """A kernel and how it may be called."""

    other_sizes: tuple[Case, ...] = ()  # the shapes of the examples with other lengths
    examples: tuple[Array, ...] = ()  # the operands of the user's call
    near: bool = False  # whether only numbers near the examples are accepted
    order: int = 1
    vmap: bool = False
    reference: Kernel | None = None
    precisions: tuple[str, ...] = ()  # lower precisions to test

    @property
    def kernel(self) -> Kernel:
        """The kernel under test."""
        kernel = self.op.forward
        assert isinstance(kernel, Kernel)
        return kernel

    def lengths_of_results(self, call: Call) -> tuple[int, ...]:
        """Return the length of each of several results, from one more run."""
        results = self.kernel.run(call.inputs, call.attributes).results
        return tuple(result.size for result in results) if len(results) > 1 else ()

    def with_evidence(self) -> KernelSubject:
        """Return the same with small calls of other sizes."""
        more = [case for case in self.other_sizes if not _is_large(case) and _has_all(case)]
        return replace(self, cases=(*self.cases, *more))

    def hint(self, error: Exception) -> str:
        """Advise nothing: the examples are the declaration."""
        return ""

    def node(self, call: Call, leaves: Sequence[Tensor] | None = None) -> Tensor:
        """Record the call in a graph, with its attributes bound: they may have any names."""
        copy = call.copy()
        self.run(copy.copy())  # which raises errors for users
        forward = partial(self.kernel, **call.attributes)
        return Primitive(forward, self.op.name)(*(leaves or map(Tensor, copy.inputs)))

    def program(self, call: Call) -> str:
        """Write a statement that checks the call."""
        words = [
            self.kernel.written(x) for x in self.kernel.arguments(call.inputs, call.attributes)
        ]
        if call.upstream is not None and len(self.kernel.differentiable or "1") == 1:
            words.append(f"upstream={self.kernel.written(call.upstream)}")
        return f"check_gradient({', '.join([self.op.name, *words])})"

    def calls(
        self, kind: Kind = "generic", *, stretched: bool = True, edge: bool = False
    ) -> st.SearchStrategy[Call]:
        """Draw calls; large operands by one seed, and near the examples if that is required."""
        if self.elementwise or not (self.near or any(map(_is_large, self.cases))):
            return super().calls(kind, stretched=stretched, edge=edge)
        return _calls(self, kind)


def _has_all(case: Case) -> bool:
    return all(n > 1 for shape in case.shapes for n in shape)


def _is_large(case: Case) -> bool:
    return any(math.prod(shape) > SMALL for shape in _shapes_of(case))


@st.composite
def _calls(draw: st.DrawFn, subject: KernelSubject, kind: Kind) -> Call:
    case = draw(st.sampled_from(subject.cases))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    call = Call(*numbers_for(subject, case, kind, rng), **case.attributes)
    try:
        result = subject.run(call.copy())[0]
    except OperationError:
        return call  # the law that runs it reports it
    if math.prod(result.shape) > SMALL:
        call.upstream = rng.permutation(upstream_for(result.shape).reshape(-1)).reshape(
            result.shape
        )
    else:
        call.upstream = draw(upstreams(result.shape))
    return call


def numbers_for(
    subject: KernelSubject, case: Case, kind: Kind, rng: np.random.Generator
) -> list[Array]:
    """Choose numbers of one kind for the operands of a case."""
    if subject.near:
        return [x + NEAR * rng.uniform(-1, 1, x.shape) for x in subject.examples]
    arrays = []
    for shape, domain in zip(case.shapes, subject.domains, strict=True):
        size = math.prod(shape)
        grid = np.array(choices(kind, domain or REALS, min(size, 64)), dtype=float)
        chosen = rng.choice(grid, size)
        if kind == "generic":
            chosen *= 1 + 1e-3 * rng.random(size)  # so that no two are equal
        arrays.append(chosen.reshape(shape))
    return arrays


def subject_of(
    kernel: Kernel,
    *,
    domain: Any = None,
    shapes: Sequence[Sequence[Shape]] = (),
    broadcast: bool = False,
    **options: Any,
) -> KernelSubject:
    """Derive the calls of a kernel from the arguments of one call."""
    if options.get("order", 1) not in (1, 2):
        raise ValueError(f"{kernel.__name__}: order must be 1 or 2, not {options['order']!r}")
    examples = tuple(np.asarray(slot.value, dtype=float) for slot in kernel.operands)
    names = tuple(slot.name for slot in kernel.operands)
    example_case = Case(tuple(x.shape for x in examples), kernel.fixed)
    _require_a_run(kernel, examples)
    subject = KernelSubject(
        *(Primitive(kernel, kernel.__name__), names, (REALS,) * len(names), (example_case,), ()),
        *({}, ()),
        has_strategy=False,
        examples=examples,
        **options,
    )
    subject = replace(subject, cases=(_made_small(subject, example_case),))
    subject = _with_numbers(subject, domain)
    subject = replace(subject, slack=_slack(subject))
    kernel.is_coarse = subject.slack > 1
    more = [
        Case(_read_shapes(kernel.__name__, names, call_shapes), kernel.fixed)
        for call_shapes in shapes
    ]
    if broadcast:
        return replace(subject, cases=(), attributes=kernel.fixed)
    sizes, refused = _other_sizes(subject)
    return replace(
        subject,
        cases=(*subject.cases, *more),
        other_sizes=tuple(sizes),
        note=f"it refuses {', '.join(refused)}" if refused else "",
    )


def _require_a_run(kernel: Kernel, examples: Sequence[Array]) -> None:
    try:
        kernel.run(examples, {})
    except Exception as error:
        message = f"{type(error).__name__}: {words_of(error).partition(chr(10))[0]}"
        absent = kernel.lacks(error)
        why = f"it needs {absent} ({message})" if absent else message
        raise ValueError(
            f"{kernel.__name__} cannot be called with these examples: {why}"
        ) from error


def _read_shapes(name: str, names: Sequence[str], shapes: Any) -> tuple[Shape, ...]:
    listed = shapes if isinstance(shapes, tuple | list) else ()
    call_shapes = tuple(
        tuple(shape) if isinstance(shape, tuple | list) else None for shape in listed
    )
    if len(call_shapes) != len(names) or None in call_shapes:
        raise ValueError(
            f"{name}: shapes must be a list of calls, each a shape for {', '.join(names)}; "
            f"not {shapes!r}"
        )
    return call_shapes  # type: ignore[return-value]


def lengths_of(case: Case) -> list[int]:
    """List the lengths in a call, of operands and constant arrays, longest first."""
    return sorted({n for shape in _shapes_of(case) for n in shape}, reverse=True)


def _shapes_of(case: Case) -> list[Shape]:
    """List the shapes of all arrays in a call, operands and constants."""
    fixed = [x.shape for x in case.attributes.values() if isinstance(x, np.ndarray)]
    return [*case.shapes, *fixed]


def resized(case: Case, lengths: Mapping[int, int]) -> Case:
    """Replace lengths of axes in all arrays; constant arrays are repeated or cut."""
    shapes = tuple(tuple(lengths.get(n, n) for n in shape) for shape in case.shapes)
    fixed = {
        name: _repeated(x, tuple(lengths.get(n, n) for n in x.shape))
        if isinstance(x, np.ndarray)
        else x
        for name, x in case.attributes.items()
    }
    return Case(shapes, fixed)


def _repeated(array: Array, shape: Shape) -> Array:
    for axis, n in enumerate(shape):
        if array.shape[axis] != n:
            places = np.arange(n) % max(array.shape[axis], 1)
            array = array.take(places, axis=axis) if array.shape[axis] else np.zeros(shape)
    return array


def _made_small(subject: KernelSubject, case: Case) -> Case:
    """Shorten long axes, if the forward accepts that."""
    if not _is_large(case):
        return case
    lengths = [n for n in lengths_of(case) if n > 1][::-1]
    if len(lengths) > len(SMALL_LENGTHS):
        return case
    small = resized(case, dict(zip(lengths, SMALL_LENGTHS, strict=False)))
    return small if _takes(subject, small) else case


def _takes(subject: KernelSubject, case: Case, seed: int = 0) -> bool:
    """Whether the forward runs on a case."""
    try:
        subject.kernel.values(
            numbers_for(subject, case, "generic", np.random.default_rng(seed)), case.attributes
        )
    except Exception:  # any error of a forward that refuses a shape
        return False
    return True


def _is_finite(subject: KernelSubject, case: Case) -> bool:
    """Whether results are finite, for several draws from the domains."""
    for seed in range(4):
        inputs = numbers_for(subject, case, "generic", np.random.default_rng(seed))
        try:
            results = subject.kernel.values(inputs, case.attributes)
        except Exception:
            return False
        if not all(np.all(np.isfinite(result)) for result in results):
            return False
    return True


def _with_numbers(subject: KernelSubject, domain: Any) -> KernelSubject:
    """Choose the domains: those given, all reals, or intervals around the examples."""
    names, case = subject.operands, subject.cases[0]
    if domain is not None:
        several = isinstance(domain, tuple | list) and not all(map(np.isscalar, domain))
        domains = [
            read_domain("domain", interval) for interval in (domain if several else [domain])
        ]
        if len(domains) not in (1, len(names)):
            count = f"{len(domains)} domains for {len(names)} operands"
            raise ValueError(f"{subject.op.name}: {count}; give one for each, or one for all")
        return replace(subject, domains=tuple(domains) * (len(names) if len(domains) == 1 else 1))
    around = tuple(map(interval_around, subject.examples))
    for domains_tried in (subject.domains, around):
        tried = replace(subject, domains=domains_tried)
        if _is_finite(tried, case):
            return tried
    example_case = Case(tuple(x.shape for x in subject.examples), subject.kernel.fixed)
    return replace(subject, domains=around, cases=(example_case,), near=True)


def interval_around(x: Array) -> tuple[float, float]:
    """Return the range of an example, a little wider if it is a point."""
    low, high = (float(np.min(x)), float(np.max(x))) if x.size else (-1.0, 1.0)
    room = 0.05 * max(abs(low), abs(high), 0.1) if high - low < 1e-3 else 0.0
    return low - room, high + room


def _other_sizes(subject: KernelSubject) -> tuple[list[Case], list[str]]:
    """Change each length to one more, 1, 0 and a long one; list the cases, and the refused ones."""
    accepted: list[Case] = []
    refused: list[str] = []
    if subject.near:
        return [], ["other numbers than those near the examples, so other sizes are not tried"]
    case = subject.cases[0]
    batch = max(case.shapes, key=len)[:1]
    for n in lengths_of(case):
        for other in (n + 1, 1, 0, LONG):
            if n <= 1 or (other == 0 and (n,) != batch):
                continue  # an axis of length 1 may broadcast; only a batch may be empty
            changed = resized(case, {n: other})
            if other == LONG and any(math.prod(s) > MOST_OF_LONG for s in _shapes_of(changed)):
                continue
            if _takes(subject, changed):
                accepted.append(changed)
            elif other != LONG:
                refused.append(f"length {other} in place of {n}")
    return accepted, refused


def _slack(subject: KernelSubject) -> float:
    """Return the factor on tolerances: large for a kernel that computes in single precision."""
    case = subject.cases[0]
    point = numbers_for(subject, case, "generic", np.random.default_rng(1))

    def function(*arrays: Array) -> Array:
        doubles = [x.astype(float) for x in arrays]
        values = subject.kernel.values(doubles, case.attributes)
        return np.concatenate([np.ravel(value).astype(float) for value in values])

    with np.errstate(all="ignore"):
        direction = [np.ones(x.shape) for x in point]
        rough = ridders.noise(function, point, direction, COARSE_STEP)
        size = largest(function(*point))
    finite = rough[np.isfinite(rough)]
    return SINGLE if largest(finite) > COARSE * max(size, 1.0) else 1.0
