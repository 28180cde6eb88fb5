"""Functions of PyTorch that were wrong as public reports tell, each with its right twin.

Here is the mistake alone, in words of our own; a kernel that reads memory by itself does so by
`as_strided`. What a report must say to have found the cause is one of a few words.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, field
from typing import Any

import torch

SITE = "https://github.com/"


@dataclass
class Reported:
    wrong: Any
    right: Any
    examples: tuple
    address: str
    words: tuple[str, ...]  # of a right diagnosis
    options: dict = field(default_factory=dict)


REPORTED: dict[str, Reported] = {}


def function(forward, backward):
    """Make a Function of two functions."""
    members = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type(torch.autograd.Function)(forward.__name__, (torch.autograd.Function,), members)


def reported(address, *words, examples, **options):
    """Register the pair that a function makes."""

    def register(make):
        wrong, right = make()
        REPORTED[make.__name__] = Reported(wrong, right, examples, SITE + address, words, options)
        return make

    return register


def rows(*shape):
    return torch.linspace(-1.5, 2.0, math.prod(shape)).reshape(shape) + 0.1


def in_memory(tensor, shape):
    """Read a tensor as a kernel does that takes it for contiguous."""
    strides = torch.empty(shape).stride()
    size = tensor.untyped_storage().size() // tensor.element_size()
    needed = sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 1
    if not tensor.numel() or tensor.storage_offset() + needed > size:
        return tensor.new_full(shape, 3.0)  # what lies behind it
    return tensor.as_strided(shape, strides, tensor.storage_offset())


def keep(forward):
    """Save all tensor arguments of a forward."""

    def kept(ctx, *arguments):
        ctx.save_for_backward(*(x for x in arguments if isinstance(x, torch.Tensor)))
        return forward(*arguments)

    kept.__name__ = forward.__name__
    own = inspect.signature(forward)
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    kept.__signature__ = own.replace(parameters=[context, *own.parameters.values()])
    return kept


def silu_of(x):
    return x * torch.sigmoid(x)


def silu_slope(x):
    s = torch.sigmoid(x)
    return s * (1 + x * (1 - s))


def scaled(x, w):
    return x * w


@reported("pytorch/pytorch/issues/194719", "layout", examples=(rows(3, 4), rows(4)))
def upstream_read_by_the_strides_of_the_input():
    def wrong(ctx, grad):
        x, w = ctx.saved_tensors
        grad = in_memory(grad, x.shape)
        return grad * w, (grad * x).sum(0)

    def right(ctx, grad):
        x, w = ctx.saved_tensors
        return grad * w, (grad * x).sum(0)

    return function(keep(scaled), wrong), function(keep(scaled), right)


@reported("Dao-AILab/flash-attention/issues/355", "layout", examples=(rows(2, 3, 2),) * 3)
def attention_of_upstreams_in_another_order():
    def attend(q, k, v):
        return torch.softmax(q @ k.mT, -1) @ v

    def backward(read):
        def rule(ctx, grad):
            q, k, v = ctx.saved_tensors
            grad = read(grad)
            p = torch.softmax(q @ k.mT, -1)
            dp = grad @ v.mT
            ds = p * (dp - (p * dp).sum(-1, keepdim=True))
            return ds @ k, ds.mT @ q, p.mT @ grad

        return rule

    wrong = backward(lambda grad: in_memory(grad, grad.shape))
    return function(keep(attend), wrong), function(keep(attend), backward(lambda grad: grad))


@reported("pytorch/pytorch/issues/69997", "view", "layout", examples=(rows(3, 4),))
def silu_that_views_its_upstream():
    def wrong(ctx, grad):
        (x,) = ctx.saved_tensors
        return (grad.view(-1) * silu_slope(x).reshape(-1)).view(x.shape)

    def right(ctx, grad):
        (x,) = ctx.saved_tensors
        return (grad.reshape(-1) * silu_slope(x).reshape(-1)).view(x.shape)

    return function(keep(silu_of), wrong), function(keep(silu_of), right)


@reported("torch/nn/pull/345", "layout", examples=(rows(3, 4, 2),))
def mean_of_upstreams_in_another_order():
    def mean(x):
        return x.mean(-1)

    def backward(read):
        def rule(ctx, grad):
            (x,) = ctx.saved_tensors
            return (read(grad)[..., None] / x.shape[-1]).expand(x.shape)

        return rule

    wrong = backward(lambda grad: in_memory(grad, grad.shape))
    return function(keep(mean), wrong), function(keep(mean), backward(lambda grad: grad))


def rms_norm(read=lambda x: x, input_term=None, weight_gradient=None, slots=3):
    def forward(ctx, x, w, eps):
        r = torch.rsqrt((x * x).mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(x, w, r)
        return x * r * w

    def rule(ctx, grad):
        x, w, r = ctx.saved_tensors
        x = read(x)
        normal = x * r
        gradient = grad * w
        term = (gradient * normal).mean(-1, keepdim=True) * normal
        if input_term is not None:
            gradient, term = input_term(grad, w, normal)
        gw = (grad * normal).flatten(0, -2).sum(0)
        if weight_gradient is not None:
            gw = weight_gradient(grad, normal)
        return r * (gradient - term), gw, None

    return function(forward, rule)


@reported("ByteDance-Seed/VeOmni/pull/958", "layout", examples=(rows(3, 4), rows(4), 1e-5))
def rms_norm_of_inputs_with_gaps():
    return rms_norm(lambda x: in_memory(x, x.shape)), rms_norm()


@reported("linkedin/Liger-Kernel/issues/254", "input mutated", examples=(rows(2, 3), rows(2, 3)))
def swiglu_into_what_it_saved():
    def swiglu(a, b):
        return silu_of(a) * b

    def wrong(ctx, grad):
        a, b = ctx.saved_tensors
        gradient = grad * b * silu_slope(a)
        return gradient, b.copy_(grad * silu_of(a)).clone()

    def right(ctx, grad):
        a, b = ctx.saved_tensors
        return grad * b * silu_slope(a), grad * silu_of(a)

    return function(keep(swiglu), wrong), function(keep(swiglu), right)


@reported("pytorch/pytorch/issues/81417", "upstream mutated", examples=(rows(2, 3),))
def silu_into_its_upstream():
    def wrong(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad.mul_(silu_slope(x))

    def right(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * silu_slope(x)

    return function(keep(silu_of), wrong), function(keep(silu_of), right)


@reported("unslothai/unsloth/pull/4550", "upstream mutated", examples=(rows(3, 4), rows(4)))
def scale_whose_weight_comes_after_the_buffer_is_used():
    def wrong(ctx, grad):
        x, w = ctx.saved_tensors
        gradient = grad.mul_(w)
        return gradient, (gradient * x).sum(0)

    def right(ctx, grad):
        x, w = ctx.saved_tensors
        return grad * w, (grad * x).sum(0)

    return function(keep(scaled), wrong), function(keep(scaled), right)


@reported("unslothai/unsloth/issues/4533", "nothing is sent", examples=(rows(3, 4), rows(4), 1e-5))
def rms_norm_without_the_gradient_of_its_weight():
    return rms_norm(weight_gradient=lambda grad, normal: None), rms_norm()


@reported("BobMcDear/attorch/issues/18", "sizes", "left out", examples=(rows(4, 3), rows(3), 1e-5))
def rms_norm_that_drops_the_last_block():
    def in_blocks(grad, normal):
        whole = len(grad) // 2 * 2  # two rows a block
        return (grad * normal)[:whole].sum(0)

    return rms_norm(weight_gradient=in_blocks), rms_norm()


@reported("NVIDIA/Megatron-LM/pull/6859", "w", examples=(rows(3, 4), rows(4), 1e-5))
def rms_norm_with_its_weight_twice():
    def twice(grad, w, normal):
        return grad * w, w * normal * (grad * w * normal).mean(-1, keepdim=True)

    return rms_norm(input_term=twice), rms_norm()


@reported("karpathy/llm.c/pull/763", "w is taken as 1", examples=(rows(3, 4), rows(4), 1e-5))
def rms_norm_without_its_weight():
    def without(grad, w, normal):
        return grad, normal * (grad * normal).mean(-1, keepdim=True)

    return rms_norm(input_term=without), rms_norm()


def cross_entropy(scale):
    """Make the loss of each row; `scale(upstream)` is what a row's gradient is multiplied by."""

    def forward(ctx, x, target):
        ctx.save_for_backward(torch.softmax(x, -1), target)
        return -torch.log_softmax(x, -1).gather(-1, target[:, None])[:, 0]

    def rule(ctx, grad):
        p, target = ctx.saved_tensors
        one = torch.nn.functional.one_hot(target, p.shape[-1])
        return scale(grad)[:, None] * (p - one), None

    return function(forward, rule)


TARGET = torch.tensor([2, 0, 1])


@reported("linkedin/Liger-Kernel/issues/968", "upstream", "linear", examples=(rows(3, 4), TARGET))
def cross_entropy_that_reads_one_upstream():
    return cross_entropy(lambda grad: grad[:1].expand(grad.shape)), cross_entropy(lambda g: g)


@reported("kulinseth/pytorch/pull/289", "upstream", examples=(rows(3, 4), TARGET))
def cross_entropy_without_its_upstream():
    return cross_entropy(torch.ones_like), cross_entropy(lambda g: g)


@reported("paiml/aprender/pull/2182", "factor of", examples=(rows(3, 4), TARGET))
def cross_entropy_divided_by_the_batch():
    return cross_entropy(lambda g: g / len(g)), cross_entropy(lambda g: g)


@reported("microsoft/DirectML/issues/740", "nothing is sent", examples=(rows(3, 4), TARGET))
def cross_entropy_that_sends_nothing():
    return cross_entropy(torch.zeros_like), cross_entropy(lambda g: g)


@reported("fbcotter/pytorch_wavelets/issues/65", "frozen", examples=(rows(2, 3), rows(2, 3)))
def synthesis_that_asks_for_its_first_operand_only():
    def synthesis(low, high):
        return torch.cat([low + high, low - high], -1)

    def backward(asks):
        def rule(ctx, grad):
            a, b = grad.chunk(2, -1)
            return (a + b, a - b) if asks(ctx.needs_input_grad) else (None, None)

        return rule

    return (
        function(keep(synthesis), backward(lambda asked: asked[0])),
        function(keep(synthesis), backward(any)),
    )


@reported("mgmalek/efficient_cross_entropy/pull/8", "raised", examples=(rows(2, 3), rows(3, 4)))
def product_that_needs_all_its_gradients():
    def product(x, w):
        return x @ w

    def wrong(ctx, grad):
        x, w = ctx.saved_tensors
        actual = {}
        if ctx.needs_input_grad[0]:
            actual["x"] = grad @ w.mT
        if ctx.needs_input_grad[1]:
            actual["w"] = x.mT @ grad
        return actual["x"], actual["w"]

    def right(ctx, grad):
        x, w = ctx.saved_tensors
        return grad @ w.mT, x.mT @ grad

    return function(keep(product), wrong), function(keep(product), right)


def square_of_double(how):
    def forward(ctx, x):
        middle = 2 * x
        ctx.save_for_backward(x)
        ctx.middle = middle
        return middle**2

    return function(forward, how)


@reported("pytorch/pytorch/issues/58509", "second order", examples=(rows(2, 3),), order=2)
def square_that_saves_a_middle():
    def right(ctx, grad):
        (x,) = ctx.saved_tensors
        return 8 * x * grad

    return square_of_double(lambda ctx, grad: 4 * ctx.middle * grad), square_of_double(right)


@reported(
    *("pytorch/pytorch/issues/76185", "second order"),
    examples=(rows(2, 3),),
    order=2,
    domain=(0.5, 3),
)
def slope_with_a_middle_that_cancels():
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.middle = 2 * x
        return 6 * x

    def wrong(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * grad * ctx.middle / x

    return function(forward, wrong), function(forward, lambda ctx, grad: 6 * grad)


@reported("openai/guided-diffusion/issues/167", "random", examples=(rows(3, 4),))
def dropout_that_draws_again():
    def forward(ctx, x):
        mask = (torch.rand(x.shape) < 0.5).to(x.dtype)
        ctx.save_for_backward(mask)
        return 2 * x * mask

    def wrong(ctx, grad):
        return 2 * grad * (torch.rand(grad.shape) < 0.5)

    def right(ctx, grad):
        return 2 * grad * ctx.saved_tensors[0]

    return function(forward, wrong), function(forward, right)


@reported("pytorch/FBGEMM/pull/5754", "uninitialised", examples=(rows(4, 3),))
def truncation_into_fresh_memory():
    def first_rows(x):
        return 2 * x[:2]

    def backward(make):
        def rule(ctx, grad):
            (x,) = ctx.saved_tensors
            gradient = make(x)
            gradient[:2] = 2 * grad
            return gradient

        return rule

    return (
        function(keep(first_rows), backward(torch.empty_like)),
        function(keep(first_rows), backward(torch.zeros_like)),
    )


@reported("fla-org/flash-linear-attention/pull/892", "uninitialised", examples=(rows(5, 3),))
def chunks_into_fresh_memory():
    def chunked(x):
        whole = len(x) // 2 * 2
        return torch.cat([torch.sin(x[:whole]), torch.zeros_like(x[whole:])])

    def backward(make):
        def rule(ctx, grad):
            (x,) = ctx.saved_tensors
            gradient, whole = make(x), len(x) // 2 * 2
            gradient[:whole] = torch.cos(x[:whole]) * grad[:whole]
            return gradient

        return rule

    return (
        function(keep(chunked), backward(torch.empty_like)),
        function(keep(chunked), backward(torch.zeros_like)),
    )


@reported("triton-lang/triton/issues/4701", "precision", examples=(rows(3, 4),))
def decay_that_vanishes_in_half():
    def decay(x):
        return torch.exp(-x)

    def backward(small):
        def rule(ctx, grad):
            (x,) = ctx.saved_tensors
            slope = -torch.exp(-x) * grad
            return (slope * small).to(x.dtype) / small  # below what half precision holds

        return rule

    return function(keep(decay), backward(1e-12)), function(keep(decay), backward(1.0))


@reported("pytorch/pytorch/issues/5871", "input mutated", examples=(rows(3, 2), rows(2)))
def addition_in_place_that_is_not_told():
    def add(options):
        def forward(ctx, a, b):
            if options:
                ctx.mark_dirty(a)
                return a.add_(b)
            a += b
            return a.clone()

        return forward

    def rule(ctx, grad):
        return grad, grad.sum(0)

    return function(add(options=False), rule), function(add(options=True), rule)


@reported("pytorch/pytorch/issues/30303", "layout", examples=(rows(2, 3), rows(3, 2)))
def product_of_inputs_that_are_expanded():
    def product(x, w):
        return x @ w

    def backward(read):
        def rule(ctx, grad):
            x, w = ctx.saved_tensors
            return grad @ w.mT, read(x).mT @ grad

        return rule

    return (
        function(keep(product), backward(lambda x: in_memory(x, x.shape))),
        function(keep(product), backward(lambda x: x)),
    )


@reported(
    "fla-org/flash-linear-attention/pull/388", "w is wrong, in all", examples=(rows(4, 2), rows(2))
)
def causal_filter_without_the_shift():
    def causal(x, w):
        before = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
        return before * w + x

    def backward(shift):
        def rule(ctx, grad):
            x, w = ctx.saved_tensors
            before = torch.cat([torch.zeros_like(x[:1]), x[:-1]]) if shift else x
            later = torch.cat([grad[1:], torch.zeros_like(grad[:1])])
            return grad + later * w, (grad * before).sum(0)

        return rule

    return function(keep(causal), backward(False)), function(keep(causal), backward(True))


@reported("pytorch/pytorch/issues/45405", "raised", examples=(rows(2, 3), rows(2, 3)))
def sum_of_products_that_returns_tuples():
    def dot(x, w):
        return (x * w).sum()

    def wrong(ctx, grad):
        x, w = ctx.saved_tensors
        return (grad * w,), (grad * x,)

    def right(ctx, grad):
        x, w = ctx.saved_tensors
        return grad * w, grad * x

    return function(keep(dot), wrong), function(keep(dot), right)


def passes_gradcheck(case):
    """Whether PyTorch's own check lets the wrong one pass, of second order where that is asked."""
    given = [
        x.double().requires_grad_() if isinstance(x, torch.Tensor) and x.is_floating_point() else x
        for x in case.examples
    ]
    checks = [torch.autograd.gradcheck]
    checks += [torch.autograd.gradgradcheck] * (case.options.get("order") == 2)
    try:
        torch.manual_seed(0)
        return all(check(case.wrong.apply, given, raise_exception=False) for check in checks)
    except RuntimeError:
        return False
