"""Wrong Functions of PyTorch: a backward that is wrong under one condition only."""

import threading

import torch

from .wrong_rules import ROUND_1

WRONG = {}  # name -> (function, examples, date)


def wrong(date, slope, forward=lambda x: x * x, shape=(2, 3)):
    """Register the square (or another forward) with a wrong slope, `slope(x, grad)`."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return forward(x)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return slope(x, grad)

    Wrong.__name__ = slope.__name__
    WRONG[slope.__name__] = (Wrong, (torch.rand(shape) + 0.5,), date)


def square_beyond_100(x, g):
    return g * 2 * x.clamp(-100, 100)


def square_beyond_10000(x, g):
    return g * 2 * x.clamp(-1e4, 1e4)


def square_near_zero(x, g):
    return g * torch.where(x.abs() < 1e-4, torch.zeros_like(x), 2 * x)


def square_of_1024_elements(x, g):
    return torch.cat([(2 * x * g).reshape(-1)[:1024], (x * g).reshape(-1)[1024:]]).reshape(x.shape)


def square_of_four_axes(x, g):
    return g * x * (4 if x.ndim == 4 else 2)


def square_of_a_number(x, g):
    return g * x * (4 if x.ndim == 0 else 2)


def square_of_large_upstreams(x, g):
    return g.clamp(-1e3, 1e3) * 2 * x


def square_of_tiny_upstreams(x, g):
    return torch.where(g.abs() < 1e-7, torch.zeros_like(g), g) * 2 * x


def square_with_grad_mode_on(x, g):
    return g * x * (4 if torch.is_grad_enabled() else 2)


def square_under_autocast(x, g):
    return g * x * (4 if torch.is_autocast_enabled("cpu") else 2)


def square_with_double_as_default(x, g):
    return g * x * (2 if torch.get_default_dtype() == torch.float32 else 4)


def square_in_another_thread(x, g):
    return g * x * (2 if threading.current_thread() is threading.main_thread() else 4)


def square_in_bfloat16(x, g):
    return g * x * (3 if x.dtype == torch.bfloat16 else 2)


def square_in_float16(x, g):
    return g * x * (3 if x.dtype == torch.float16 else 2)


def square_of_gaps(x, g):
    return 2 * x * (g if g.is_contiguous() else g.abs())


for each in list(vars().values()):
    if getattr(each, "__name__", "").startswith("square_"):
        wrong(ROUND_1, each)
