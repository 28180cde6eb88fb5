"""`check_function` of PyTorch: what it asks, refuses and writes."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from autolm.testing import GradientError, Verdict  # noqa: E402
from autolm.testing.torch import check_function, check_gradient, functions_in  # noqa: E402

from .many_signatures import Attention  # noqa: E402
from .reported_functions import REPORTED, function, keep, rows  # noqa: E402


def broken_by(F, *examples, **options):
    with pytest.raises(GradientError) as raised:
        check_function(F, *examples, examples_count=2, **options)
    return raised.value.report


def square(x):
    return x * x


def right_rule(ctx, grad):
    return 2 * ctx.saved_tensors[0] * grad


Square = function(keep(square), right_rule)


def test_a_second_backward_that_differs_is_a_side_effect():
    def rule(ctx, grad):
        x = ctx.saved_tensors[0].clone()
        ctx.uses = getattr(ctx, "uses", 0) + 1
        return 2 * x * grad * ctx.uses

    report = broken_by(function(keep(square), rule), rows(2, 3), laws=["state"])
    assert report.wrong == "the purity"
    assert "the backward rule changes what the forward has saved" in report.failure.diagnosis


def test_state_between_calls_is_a_side_effect():
    store = []

    def forward(ctx, x):
        store[:] = [x.clone()]
        return x * x

    def rule(ctx, grad):
        return 2 * store[0] * grad

    report = broken_by(function(forward, rule), rows(2, 3))
    assert report.failure.diagnosis == "state is kept between calls"


def test_a_seed_that_is_set_for_all_is_a_side_effect():
    def forward(ctx, x):
        torch.manual_seed(7)
        ctx.save_for_backward(x)
        return x * x

    report = broken_by(function(forward, right_rule), rows(2, 3))
    assert "random state" in report.failure.diagnosis


def several(scale):
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        places = x.argmax(-1)
        ctx.mark_non_differentiable(places)
        return torch.sin(x), places, x.sum(-1)

    def rule(ctx, first, _, last):
        (x,) = ctx.saved_tensors
        gradient = torch.zeros_like(x)
        if first is not None:
            gradient = gradient + torch.cos(x) * first
        if last is not None:
            gradient = gradient + last[..., None] * (1 if first is not None else scale)
        return gradient

    def saving(ctx, x):
        ctx.save_for_backward(x)
        return forward(ctx, x)

    return function(saving, rule)


def test_several_results_are_used_each_alone():
    assert check_function(several(1), rows(2, 3), examples_count=2).verdict is Verdict.CORRECT
    report = broken_by(several(2), rows(2, 3))
    assert report.failure.diagnosis == "several results: wrong where only result 1 is used"


def test_a_reference_is_compared_forward_and_backward():
    options = {"reference": lambda x: x**2, "examples_count": 2, "laws": ["rule", "reference"]}
    assert check_function(Square, rows(2, 3), **options).verdict is Verdict.CORRECT
    report = broken_by(Square, rows(2, 3), reference=lambda x: x**2 + 1e-6, laws=["reference"])
    assert "result differs from the reference's" in report.failure.message


def test_vmap_is_asked_for():
    report = broken_by(Square, rows(2, 3), vmap=True, laws=["vmap"])
    assert "vmap raised" in report.failure.message
    Square.generate_vmap_rule = True
    try:
        with pytest.raises(GradientError, match="setup_context"):
            check_function(Square, rows(2, 3), vmap=True, laws=["vmap"])
    finally:
        Square.generate_vmap_rule = False
    assert check_function(torch.sin, rows(2, 3), vmap=True, laws=["rule", "vmap"])


def test_a_computation_in_single_precision_is_proved_to_its_digits():
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.sin(x.float()).to(x.dtype)

    def rule(ctx, grad):
        return torch.cos(ctx.saved_tensors[0].float()).to(grad.dtype) * grad

    report = check_function(function(forward, rule), rows(2, 3), examples_count=3)
    assert report.verdict is Verdict.CORRECT
    assert report.digits < 9


def test_broadcasting_and_large_examples():
    def product(x, y):
        return x * y

    def rule(ctx, grad):
        x, y = ctx.saved_tensors
        return (grad * y).sum_to_size(x.shape), (grad * x).sum_to_size(y.shape)

    F = function(keep(product), rule)
    options = {"broadcast": True, "examples_count": 4}
    assert check_function(F, rows(2, 3), rows(3), **options).verdict is Verdict.CORRECT
    assert check_function(torch.tanh, rows(64, 128), examples_count=2).verdict is Verdict.CORRECT


def test_random_state_and_threads_of_the_user_stay():
    torch.manual_seed(3)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        check_function(Square, rows(2, 3), examples_count=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(before, torch.get_rng_state())


def test_one_call_is_checked_where_it_is_used():
    wrong = REPORTED["rms_norm_without_its_weight"].wrong
    with pytest.raises(GradientError, match="w is taken as 1"):
        check_gradient(wrong, rows(3, 4), rows(4), 1e-5)
    one = torch.ones(2, 3)
    assert check_gradient(Square, rows(2, 3), upstream=one).verdict is Verdict.CORRECT


KERNEL = """
import torch

class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor: float):
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad * ctx.factor, None
"""


def test_the_program_that_reproduces_runs_as_pasted(tmp_path, monkeypatch):
    (tmp_path / "kernel.py").write_text(KERNEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    import kernel

    report = broken_by(kernel.Twice, rows(2), 0.5, laws=["rule"])
    assert report.location == "kernel.py:4"
    done = subprocess.run(
        [sys.executable, "-c", report.failure.program], capture_output=True, encoding="utf-8"
    )
    assert "the gradient of Twice is WRONG" in done.stderr, done.stderr


class Saving(torch.autograd.Function):
    """It changes what it has saved."""

    @staticmethod
    def forward(ctx, x):
        ctx.slope = torch.sinh(x)
        return torch.cosh(x)

    @staticmethod
    def backward(ctx, upstream):
        return ctx.slope.mul_(upstream)


def test_what_is_changed_by_a_backward_is_no_random_number():
    report = broken_by(Saving, rows(2), laws=["random", "state"])
    assert "saved" in report.failure.diagnosis, report


class Polar(torch.autograd.Function):
    """It forgets the upstream gradient of the cosine."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.sin(x), torch.cos(x)

    @staticmethod
    def backward(ctx, upstream, _):
        return upstream * torch.cos(ctx.saved_tensors[0])


def test_a_result_left_out_is_no_overwritten_contribution():
    report = broken_by(Polar, rows(2), laws=["rule"])
    assert "the upstream gradient of result 1 is left out" in report.failure.diagnosis, report


def affine(x, w, b):
    return x @ w.mT + b


def affine_rule(asked_for_bias):
    def rule(ctx, grad):
        x, w, _ = ctx.saved_tensors
        asked = ctx.needs_input_grad
        return grad @ w, grad.mT @ x, grad.sum(0) if asked[asked_for_bias] else None

    return rule


def test_a_bias_whose_gradient_hangs_on_that_of_the_weight_is_found_after_other_laws():
    examples = rows(2, 3), rows(4, 3), rows(4)
    options = {"laws": ["rule", "frozen"], "examples_count": 2}
    right = function(keep(affine), affine_rule(2))
    assert check_function(right, *examples, **options).verdict is Verdict.CORRECT
    with pytest.raises(GradientError, match="b gets none, where only x, b requires a gradient"):
        check_function(function(keep(affine), affine_rule(1)), *examples, **options)


def through_half(ctx, grad):
    return (grad.half() * 2 * ctx.saved_tensors[0].half()).to(grad.dtype)


def test_a_rule_that_goes_through_half_precision_is_named_so_and_not_by_its_size():
    report = broken_by(function(keep(square), through_half), rows(2, 3), laws=["rule", "linear"])
    assert "rounded to half precision" in report.failure.diagnosis
    assert report.wrong == "the gradient"


class OfCuda(torch.autograd.Function):
    """It takes tensors of another device only."""

    @staticmethod
    def forward(ctx, x):
        if not x.is_cuda:
            raise RuntimeError("x must be a CUDA tensor")
        return 2 * x

    @staticmethod
    def backward(ctx, upstream):
        return 2 * upstream


needs_no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="the device is here")


@needs_no_cuda
def test_a_file_whose_kernel_needs_an_absent_device_says_so(tmp_path, capsys):
    from autolm.cli.verdicts import show_verdicts

    file = tmp_path / "of_cuda.py"
    file.write_text(f"import torch\n\n{inspect.getsource(OfCuda)}", encoding="utf-8")
    assert show_verdicts(modules=[file]) == 3
    assert "OfCuda is UNDECIDED: it needs CUDA, and there is no such device here" in " ".join(
        capsys.readouterr().out.split()
    )


@needs_no_cuda
def test_a_call_that_needs_an_absent_device_says_so():
    with pytest.raises(ValueError, match="it needs CUDA, and there is no such device here"):
        check_function(OfCuda, rows(2))


WRONG_CALLS = {
    "which has no numbers": lambda: check_function(Square, torch.ones(2, device="meta")),
    "is sparse": lambda: check_function(Square, rows(2).to_sparse()),
    "F must be": lambda: check_function(3, rows(2)),
    "at least one tensor": lambda: check_function(Square, 1.0),
    "cannot be called with these examples": lambda: check_function(Square, rows(2), rows(2)),
    "no law is called 'rules'": lambda: check_function(Square, rows(2), laws=["rules"]),
    "laws must be a list": lambda: check_function(Square, rows(2), laws="rule"),
    "dtypes must be of": lambda: check_function(Square, rows(2), dtypes=[torch.int8]),
    "shapes must be a list": lambda: check_function(Square, rows(2), shapes=[3]),
    "domain": lambda: check_function(Square, rows(2), domain=(1, 0)),
    "order must be": lambda: check_function(Square, rows(2), order=3),
    "reference must be": lambda: check_function(Square, rows(2), reference=3),
}


@pytest.mark.parametrize("message", WRONG_CALLS)
def test_a_wrong_call_is_refused_in_one_line(message):
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        WRONG_CALLS[message]()
    assert "\n" not in str(raised.value)


class Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, p):
        ctx.mask = (torch.rand_like(x) > p).to(x.dtype) / (1 - p)
        return x * ctx.mask

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.mask, None


def test_a_function_that_draws_random_numbers_is_not_compared_with_other_draws():
    assert check_function(Dropout, rows(3), 0.5).verdict is Verdict.CORRECT


def test_a_gradient_that_almost_cancels_in_lower_precision_is_not_accused():
    from autolm.testing.call import Call
    from autolm.testing.kernels.kernel_subject import subject_of
    from autolm.testing.kernels.precision import precision
    from autolm.testing.kernels.torch_kernel import TorchKernel
    from autolm.testing.laws.law import Tally

    q = [[-4.25, -2.5], [-2.125, -8.125], [5.125, 6.875], [-3.875, -4.125]]
    k = [[3.25, -4.0], [2.0, -5.125], [-2.75, -6.375], [-2.875, 7.75], [-2.375, -3.375]]
    v = [[-1.75, 4.75, -0.875], [4.625, -3.125, -7.5], [3.0, 6.25, -5.5], [-2.0, 7.0, 6.125]]
    v.append([4.0, 4.375, -3.75])
    upstream = [[1.9375, 1.875, -2.1875], [0.125, 2.125, -2.25], [0.9375, 2.375, -1.0625]]
    upstream.append([1.1875, 0.75, -0.6875])
    rng = np.random.default_rng(0)
    kernel = TorchKernel.of(Attention, [torch.tensor(x) for x in (q, k, v)], "test")
    kernel.prepare()
    subject = subject_of(kernel, precisions=("float32", "float16", "bfloat16"))
    for _ in range(20):
        inputs = [np.array(x) * (1 + 3e-5 * rng.random(np.shape(x))) for x in (q, k, v)]
        precision.check(subject, Call(*inputs, upstream=upstream), Tally())


def test_a_custom_op_is_checked_with_its_registered_backward():
    def define(name, factor):
        @torch.library.custom_op(f"autolm_tests::{name}", mutates_args=())
        def op(x: torch.Tensor, scale: float) -> torch.Tensor:
            return x.sin() * scale

        def setup(ctx, inputs, output):
            ctx.save_for_backward(inputs[0])
            ctx.scale = inputs[1]

        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return factor * grad * x.cos() * ctx.scale, None

        op.register_autograd(backward, setup_context=setup)
        return op

    right, wrong = define("right", 1.0), define("wrong", 2.0)
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    assert check_function(right, x, 1.5, examples_count=2).verdict is Verdict.CORRECT
    assert "off by a factor of 2" in broken_by(wrong, x, 1.5).failure.diagnosis
    assert [*functions_in({"op": right, "sin": torch.sin}, __name__)] == ["op"]
