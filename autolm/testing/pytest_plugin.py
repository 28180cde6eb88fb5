"""The pytest plugin: the fixture and marker `autolm` check a gradient in a test.

A test fails with the report of the check as its assertion, and is skipped if a kernel needs a
device that this machine lacks. The plugin imports the checks when the fixture is used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from autolm.testing.check_report import Report

SECONDS_HELP = "CPU seconds to search each operation that the fixture `autolm` checks"
MARKER = (
    "autolm(**options): options of the checks in this test, such as max_examples, domain or seconds"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--autolm-seconds`."""
    group = parser.getgroup("autolm", "checks of gradients")
    group.addoption("--autolm-seconds", type=float, metavar="SECONDS", help=SECONDS_HELP)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker `autolm`."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def autolm(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Return a function that checks the gradient of an operation.

    It takes an operation as `autolm.testing.check_op` does, or a function of PyTorch or JAX with
    example arguments as `check_function` does, and options of these. Options of the marker `autolm`
    apply to all checks of a test; ``--autolm-seconds`` is the default of `seconds`.

    Returns
    -------
    Callable[..., Report]
        ``autolm(op, *examples, **options)``. It raises `GradientError` if the gradient is wrong.

    Examples
    --------
    ::

        def test_square(autolm):
            autolm(square)

        @pytest.mark.autolm(max_examples=50)
        def test_kernel(autolm):
            autolm(MyFunction, torch.randn(4, 3))
    """
    defaults: dict[str, Any] = {"seconds": request.config.getoption("autolm_seconds")}
    for marker in reversed(list(request.node.iter_markers("autolm"))):
        defaults |= marker.kwargs

    def check(op: Any, *examples: Any, **options: Any) -> Report:
        __tracebackhide__ = True
        from autolm.testing.check_report import GradientError

        try:
            return _check(op, examples, defaults | options)
        except GradientError as error:
            raise GradientError(error.report) from None  # the frames of the check are hidden
        except ValueError as error:
            if "no such device" in str(error):
                pytest.skip(str(error))
            raise

    return check


def _check(op: Any, examples: tuple[Any, ...], options: dict[str, Any]) -> Report:
    """Check an operation with the function for its library."""
    __tracebackhide__ = True
    if _is_of_torch(op, examples):
        from autolm.testing import torch

        return torch.check_function(op, *examples, **_for_kernels(options))
    if _is_of_jax(op, examples):
        from autolm.testing import jax

        return jax.check_function(op, *examples, **_for_kernels(options))
    from autolm.testing.operation_checks import check_op

    if examples:
        raise TypeError("autolm: examples must be tensors of PyTorch or arrays of JAX")
    return check_op(op, **options)


def _for_kernels(options: dict[str, Any]) -> dict[str, Any]:
    """Rename `max_examples` to the option of `check_function`."""
    return {("examples_count" if k == "max_examples" else k): v for k, v in options.items()}


def _is_of_torch(op: Any, examples: tuple[Any, ...]) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    is_function = isinstance(op, type) and issubclass(op, torch.autograd.Function)
    return is_function or any(isinstance(x, torch.Tensor) for x in examples)


def _is_of_jax(op: Any, examples: tuple[Any, ...]) -> bool:
    jax = sys.modules.get("jax")
    if jax is None:
        return False
    is_rule = isinstance(op, jax.custom_vjp | jax.custom_jvp)
    return is_rule or any(isinstance(x, jax.Array) for x in examples)
