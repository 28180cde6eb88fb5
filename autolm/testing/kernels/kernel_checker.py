"""Check a kernel: one `check_function` and one `check_gradient` for all libraries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import settings

from autolm.testing.call import Call
from autolm.testing.check_report import Report
from autolm.testing.kernels.kernel import Kernel
from autolm.testing.kernels.kernel_subject import subject_of
from autolm.testing.law_runner import examine, examine_call
from autolm.testing.laws.law import Law
from autolm.testing.operation_checks import report_of
from autolm.testing.operation_runner import OperationError
from autolm.testing.profiles import EXAMPLES
from autolm.testing.subject import upstream_for

PRECISIONS = ("float32", "float16", "bfloat16")


def _precisions(kernel: Kernel, dtypes: Sequence[Any] | None, caller: str) -> tuple[str, ...]:
    """Return the names of the precisions to test: `dtypes`, or all that the forward accepts."""
    if dtypes is not None and not isinstance(dtypes, tuple | list):
        raise TypeError(f"{caller}: dtypes must be a list of dtypes, not {dtypes!r}")
    named = [_name_of(dtype) for dtype in (PRECISIONS if dtypes is None else dtypes)]
    for name in named:
        if name not in (*PRECISIONS, "float64"):
            raise ValueError(f"{caller}: dtypes must be of {', '.join(PRECISIONS)}; not {name}")
    arrays = [np.asarray(slot.value, dtype=float) for slot in kernel.operands]
    return tuple(
        name
        for name in named
        if name not in ("float64", _name_of(kernel.dtype))
        and (dtypes is not None or kernel.takes([kernel.cast(x, name) for x in arrays]))
    )


def _name_of(dtype: Any) -> str:
    """Return what PyTorch, JAX and NumPy all call a dtype."""
    named = getattr(dtype, "__name__", None) or getattr(dtype, "name", None) or str(dtype)
    return str(named).removeprefix("torch.")


def _chosen(laws: Sequence[Law], names: Sequence[str] | None, caller: str) -> list[Law]:
    """Return the laws of these names, the first in any case; all, if none is named."""
    if names is None:
        return list(laws)
    by_name = {law.name: law for law in laws}
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{caller}: laws must be a list of names, not {names!r}")
    for name in names:
        if name not in by_name:
            raise ValueError(f"{caller}: no law is called {name!r}; there are {', '.join(by_name)}")
    return [law for law in laws if law.name in names]


@dataclass(frozen=True)
class KernelChecker:
    """The checks of one library's functions."""

    kernel: type[Kernel]
    laws: tuple[Law, ...]

    def check_function(
        self,
        F: Callable[..., Any],
        *examples: Any,
        domain: Any = None,
        shapes: Sequence[Any] | None = None,
        broadcast: bool = False,
        dtypes: Sequence[Any] | None = None,
        order: int = 1,
        vmap: bool = False,
        reference: Callable[..., Any] | None = None,
        laws: Sequence[str] | None = None,
        examples_count: int | None = None,
        seconds: float | None = None,
    ) -> Report:
        """Property-test the gradient of a function, and diagnose what is wrong with it.

        Parameters
        ----------
        F
            A `torch.autograd.Function`, a `jax.custom_vjp` or `jax.custom_jvp`, or any callable of
            tensors that returns one or several.
        *examples
            Arguments of one call: tensors (in JAX also trees of arrays) and other values. Tensors
            of floating point are differentiated; all others are held constant. Long axes are
            shortened for the search.
        domain
            The open interval ``(low, high)`` to sample inputs from, or one for each that is
            differentiated; by default the reals, or the range of the examples if results are not
            finite.
        shapes
            More calls: each a shape for every input that is differentiated.
        broadcast
            Whether the function takes inputs of any shapes that broadcast.
        dtypes
            Further precisions to test; by default float32, float16 and bfloat16, if accepted.
        order
            2 to test that the backward can be differentiated too.
        vmap
            Whether to test it under `vmap`.
        reference
            A plain function with the same result: results and gradients are compared with it.
        laws
            The names of the laws to try; by default, all.
        examples_count
            For each law; by default, that of the hypothesis profile.
        seconds
            Go on with more examples until this much time of the processor is spent.

        Returns
        -------
        Report
            The verdict, the digits, and the outcome of each law.

        Raises
        ------
        GradientError
            If a law is broken. Its message is the report: counterexample, diagnosis, program.
        ValueError, TypeError
            If it cannot be called with the examples, or an argument is not valid.
        """
        caller = "check_function"
        with self.kernel.isolated():
            kernel = self._prepared(F, examples, caller)
            # In another dtype the same random state gives other numbers: another function.
            precisions = () if kernel.is_random else _precisions(kernel, dtypes, caller)
            compared = reference
            if reference is not None:
                compared = self.kernel.of(reference, examples, caller, "reference")
                compared.prepare()
            subject = subject_of(
                kernel,
                domain=domain,
                shapes=shapes or (),
                broadcast=broadcast,
                order=order,
                vmap=vmap,
                reference=compared,
                precisions=precisions,
            )
            if examples_count is None and settings.get_current_profile_name() == "default":
                examples_count = EXAMPLES["dev"]  # no test suite has chosen a profile
            chosen = _chosen(self.laws, laws, caller)
            outcomes = examine(subject, examples_count, chosen, seconds)
            return report_of(subject, outcomes).require()

    def check_gradient(
        self, F: Callable[..., Any], *arguments: Any, upstream: Any = None
    ) -> Report:
        """Check the gradient of a function for one call.

        Parameters
        ----------
        F
            As for `check_function`.
        *arguments
            Arguments of the call; tensors are computed in float64.
        upstream
            ∂L/∂result; by default, distinct numbers.

        Raises
        ------
        GradientError
            If a law that applies to single calls is broken.
        """
        with self.kernel.isolated():
            kernel = self._prepared(F, arguments, "check_gradient")
            subject = subject_of(kernel)
            call = Call(*subject.examples, **kernel.fixed)
            with suppress(OperationError):  # a forward that fails is for the laws to report
                shape = subject.run(call.copy())[0].shape
                call.upstream = upstream_for(shape)
                if upstream is not None:
                    plain = isinstance(upstream, np.ndarray | float | int | list | tuple)
                    gradient = upstream if plain else kernel.numbers(upstream)
                    call.upstream = np.array(np.broadcast_to(np.asarray(gradient, float), shape))
            return report_of(subject, examine_call(subject, call, self.laws)).require()

    def _prepared(self, F: Any, examples: Sequence[Any], caller: str) -> Kernel:
        kernel = self.kernel.of(F, examples, caller)
        if not kernel.operands:
            noun = self.kernel.noun
            raise TypeError(f"{caller}: give examples with at least one {noun} of floating point")
        kernel.prepare()
        return kernel
