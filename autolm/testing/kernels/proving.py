"""Prove a kernel: choose its laws, try them, and report as of any operation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from hypothesis import settings

from autolm.testing.call import Call
from autolm.testing.checking_operations import report_of
from autolm.testing.kernels.kernel import Kernel
from autolm.testing.kernels.subject import KernelSubject
from autolm.testing.laws.law import Law
from autolm.testing.profiles import EXAMPLES
from autolm.testing.report import Report
from autolm.testing.running import examine, examine_call
from autolm.testing.runs import OperationError
from autolm.testing.subject import upstream_for

PRECISIONS = ("float32", "float16", "bfloat16")


def chosen_precisions(kernel: Kernel, dtypes: Sequence[Any] | None, caller: str) -> tuple[str, ...]:
    """Return the names of the precisions to try: those told, or those that the forward takes."""
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


def chosen_laws(laws: Sequence[Law], names: Sequence[str] | None, caller: str) -> list[Law]:
    """Return the laws of these names, the first in any case; all, if none is named."""
    if names is None:
        return list(laws)
    known = {law.name: law for law in laws}
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{caller}: laws must be a list of names, not {names!r}")
    for name in names:
        if name not in known:
            raise ValueError(f"{caller}: no law is called {name!r}; there are {', '.join(known)}")
    return [law for law in laws if law.name in names]


def prove(subject: KernelSubject, laws: Sequence[Law], examples_count: int | None = None) -> Report:
    """Try the laws on calls like the examples, and conclude."""
    if examples_count is None and settings.get_current_profile_name() == "default":
        examples_count = EXAMPLES["dev"]  # where no test suite says how long to search
    return report_of(subject, examine(subject, examples_count, laws))


def prove_call(subject: KernelSubject, laws: Sequence[Law], upstream: object = None) -> Report:
    """Try the laws on the very call that the examples are."""
    call = Call(*subject.examples, **subject.kernel.fixed)
    with suppress(OperationError):  # a forward that fails is for the laws to report
        result = subject.run(call.copy())[0]
        call.upstream = (
            upstream_for(result.shape)
            if upstream is None
            else np.array(np.broadcast_to(np.asarray(upstream, dtype=float), result.shape))
        )
    return report_of(subject, examine_call(subject, call, laws))
