"""Prove a kernel: choose its laws, try them, and report as of any operation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from hypothesis import settings

from autolm.testing.call import Call
from autolm.testing.checking_operations import report_of
from autolm.testing.kernels.subject import KernelSubject
from autolm.testing.laws.law import Law
from autolm.testing.profiles import EXAMPLES
from autolm.testing.report import Report
from autolm.testing.running import examine, examine_call
from autolm.testing.under_test import OperationError, upstream_for


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
