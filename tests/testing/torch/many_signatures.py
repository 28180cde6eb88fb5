"""Functions of PyTorch of many signatures, right and wrong, as users write them.

`RIGHT` and `WRONG` have example arguments of each, by name. The tests give this file, with and
without these, to `autolm check`.
"""

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class RowBias(Function):
    @staticmethod
    def forward(ctx, x, bias):
        return x + bias

    @staticmethod
    def backward(ctx, grad):
        return grad, grad.sum(0)


class ChannelBias(Function):
    @staticmethod
    def forward(ctx, x, bias):
        return x + bias[None, :, None]

    @staticmethod
    def backward(ctx, grad):
        return grad, grad.sum((0, 2))


class Linear(Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return x @ weight.t() if bias is None else x @ weight.t() + bias

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        return (
            grad @ weight if wanted[0] else None,
            grad.t() @ x if wanted[1] else None,
            grad.sum(0) if wanted[2] else None,
        )


class LinearWithoutBias(Linear):
    pass


class RMSNorm(Function):
    @staticmethod
    def forward(ctx, x, weight):
        inverse = (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
        ctx.save_for_backward(x, weight, inverse)
        return x * inverse * weight

    @staticmethod
    def backward(ctx, grad):
        x, weight, inverse = ctx.saved_tensors
        unit = x * inverse
        scaled = grad * weight
        gradient = inverse * (scaled - unit * (scaled * unit).mean(-1, keepdim=True))
        return gradient, (grad * unit).sum(0)


class LayerNorm(Function):
    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        inverse = (x.var(-1, unbiased=False, keepdim=True) + eps).rsqrt()
        unit = (x - x.mean(-1, keepdim=True)) * inverse
        ctx.save_for_backward(unit, weight, inverse)
        return unit * weight + bias

    @staticmethod
    def backward(ctx, grad):
        unit, weight, inverse = ctx.saved_tensors
        scaled = grad * weight
        mean = scaled.mean(-1, keepdim=True)
        gradient = inverse * (scaled - mean - unit * (scaled * unit).mean(-1, keepdim=True))
        return gradient, (grad * unit).sum(0), grad.sum(0), None


class MulConstant(Function):
    @staticmethod
    def forward(ctx, tensor, constant):
        ctx.constant = constant
        return tensor * constant

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.constant, None


class AddConstants(Function):
    @staticmethod
    def forward(ctx, x, first, second):
        return x + first if second is None else x + first + second

    @staticmethod
    def backward(ctx, grad):
        return grad, None, None


class Take(Function):
    @staticmethod
    def forward(ctx, x, index):
        ctx.save_for_backward(index)
        ctx.length = len(x)
        return x[index]

    @staticmethod
    def backward(ctx, grad):
        (index,) = ctx.saved_tensors
        gradient = grad.new_zeros(ctx.length, *grad.shape[1:])
        return gradient.index_add(0, index, grad), None


class Embedding(Function):
    @staticmethod
    def forward(ctx, ids, table):
        ctx.save_for_backward(ids)
        ctx.rows = len(table)
        return table[ids]

    @staticmethod
    def backward(ctx, grad):
        (ids,) = ctx.saved_tensors
        gradient = grad.new_zeros(ctx.rows, grad.shape[-1])
        return None, gradient.index_add(0, ids.reshape(-1), grad.reshape(-1, grad.shape[-1]))


class Scatter(Function):
    @staticmethod
    def forward(ctx, x, index, count):
        ctx.save_for_backward(index)
        return x.new_zeros(count, *x.shape[1:]).index_add(0, index, x)

    @staticmethod
    def backward(ctx, grad):
        (index,) = ctx.saved_tensors
        return grad[index], None, None


class SumRows(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.shape = x.shape
        return x.sum(0)

    @staticmethod
    def backward(ctx, grad):
        return grad.expand(ctx.shape)


class MeanAll(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.shape = x.shape
        return x.mean()

    @staticmethod
    def backward(ctx, grad):
        return grad.expand(ctx.shape) / ctx.shape.numel()


class Norm(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.square().sum().sqrt()
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved_tensors
        return grad * x / y.clamp_min(1e-30)


class LogSumExp(Function):
    @staticmethod
    def forward(ctx, x, dim):
        y = torch.logsumexp(x, dim)
        ctx.save_for_backward(x, y)
        ctx.dim = dim
        return y

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved_tensors
        return grad.unsqueeze(ctx.dim) * (x - y.unsqueeze(ctx.dim)).exp(), None


class Softmax(Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.softmax(x, -1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return y * (grad - (grad * y).sum(-1, keepdim=True))


class LargestAndSmallest(Function):
    @staticmethod
    def forward(ctx, x):
        high, low = x.max(-1), x.min(-1)
        ctx.save_for_backward(high.indices, low.indices)
        ctx.shape = x.shape
        return high.values, low.values

    @staticmethod
    def backward(ctx, of_high, of_low):
        high, low = ctx.saved_tensors
        gradient = of_high.new_zeros(ctx.shape)
        gradient.scatter_add_(-1, high[..., None], of_high[..., None])
        return gradient.scatter_add_(-1, low[..., None], of_low[..., None])


class SinCos(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin(), x.cos()

    @staticmethod
    def backward(ctx, of_sin, of_cos):
        (x,) = ctx.saved_tensors
        return of_sin * x.cos() - of_cos * x.sin()


class TopOne(Function):
    @staticmethod
    def forward(ctx, x):
        values, places = x.max(-1)
        ctx.save_for_backward(places)
        ctx.mark_non_differentiable(places)
        ctx.shape = x.shape
        return values, places

    @staticmethod
    def backward(ctx, grad, _):
        (places,) = ctx.saved_tensors
        return grad.new_zeros(ctx.shape).scatter(-1, places[..., None], grad[..., None])


class Flagged(Function):
    @staticmethod
    def forward(ctx, x, square=False):
        ctx.save_for_backward(x)
        ctx.square = square
        return x.square() if square else x.clone()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2 * x * grad if ctx.square else grad, None


class Reduced(Function):
    @staticmethod
    def forward(ctx, x, reduction):
        ctx.save_for_backward(x)
        ctx.factor = 1 / x.numel() if reduction == "mean" else 1.0
        return x.square().sum() * ctx.factor

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2 * x * grad * ctx.factor, None


class MatMul(Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a @ b

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved_tensors
        return grad @ b.mT, a.mT @ grad


class BatchedMatMul(MatMul):
    pass


class Outer(Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return torch.outer(a, b)

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved_tensors
        return grad @ b, a @ grad


class Conv(Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return torch.nn.functional.conv1d(x, weight)

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        of_x = torch.nn.grad.conv1d_input(x.shape, weight, grad)
        return of_x, torch.nn.grad.conv1d_weight(x, weight.shape, grad)


class InPlaceExp(Function):
    @staticmethod
    def forward(ctx, x):
        x.exp_()
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return grad * y


class OnceTanh(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return grad * (1 - y * y)


class SetUp(Function):
    @staticmethod
    def forward(x, y):
        return x * y

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved_tensors
        return grad * y, grad * x


class MeanSquaredError(Function):
    @staticmethod
    def forward(ctx, y, target):
        ctx.save_for_backward(y, target)
        return (y - target).square().mean()

    @staticmethod
    def backward(ctx, grad):
        y, target = ctx.saved_tensors
        gradient = 2 * (y - target) * grad / y.numel()
        return gradient, -gradient


class CrossEntropy(Function):
    @staticmethod
    def forward(ctx, logits, targets):
        ctx.save_for_backward(logits.softmax(-1), targets)
        return torch.nn.functional.cross_entropy(logits, targets)

    @staticmethod
    def backward(ctx, grad):
        p, targets = ctx.saved_tensors
        one_hot = torch.nn.functional.one_hot(targets, p.shape[-1])
        return grad * (p - one_hot) / max(len(targets), 1), None


class Masked(Function):
    @staticmethod
    def forward(ctx, x, mask):
        ctx.save_for_backward(mask)
        return x.masked_fill(mask, 0.0)

    @staticmethod
    def backward(ctx, grad):
        (mask,) = ctx.saved_tensors
        return grad.masked_fill(mask, 0.0), None


class Gate(Function):
    @staticmethod
    def forward(ctx, x):
        a, b = x.chunk(2, -1)
        ctx.save_for_backward(a, b)
        return a * b.sigmoid()

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved_tensors
        s = b.sigmoid()
        return torch.cat([grad * s, grad * a * s * (1 - s)], -1)


class Concatenate(Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.sizes = a.shape[-1], b.shape[-1]
        return torch.cat([a, b], -1)

    @staticmethod
    def backward(ctx, grad):
        return tuple(grad.split(ctx.sizes, -1))


class Attention(Function):
    @staticmethod
    def forward(ctx, q, k, v):
        p = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
        ctx.save_for_backward(q, k, v, p)
        return p @ v

    @staticmethod
    def backward(ctx, grad):
        q, k, v, p = ctx.saved_tensors
        of_p = grad @ v.mT
        of_scores = p * (of_p - (of_p * p).sum(-1, keepdim=True)) / q.shape[-1] ** 0.5
        return of_scores @ k, of_scores.mT @ q, p.mT @ grad


class LogOfPositive(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.log()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / x


class Clamp(Function):
    @staticmethod
    def forward(ctx, x, low, high):
        ctx.save_for_backward((x >= low) & (x <= high))
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx, grad):
        (inside,) = ctx.saved_tensors
        return grad * inside, None, None


class InDouble(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.double().sin()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return (grad * x.double().cos()).to(x.dtype)


class RowBiasOfOneRow(RowBias):
    @staticmethod
    def backward(ctx, grad):
        return grad, grad[0]


class RowBiasMean(RowBias):
    @staticmethod
    def backward(ctx, grad):
        return grad, grad.mean(0)


class ScaleFrozen(Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:
            return None, None
        return grad * weight, (grad * x).sum(0)


class RMSNormWithoutMean(RMSNorm):
    @staticmethod
    def backward(ctx, grad):
        x, weight, inverse = ctx.saved_tensors
        return inverse * grad * weight, (grad * x * inverse).sum(0)


class LayerNormOfWeight(LayerNorm):
    @staticmethod
    def backward(ctx, grad):
        unit, _, inverse = ctx.saved_tensors
        mean = grad.mean(-1, keepdim=True)
        gradient = inverse * (grad - mean - unit * (grad * unit).mean(-1, keepdim=True))
        return gradient, (grad * unit).sum(0), grad.sum(0), None


class MulConstantTwice(MulConstant):
    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.constant**2, None


class TakeOverwrites(Take):
    @staticmethod
    def backward(ctx, grad):
        (index,) = ctx.saved_tensors
        gradient = grad.new_zeros(ctx.length, *grad.shape[1:])
        gradient[index] = grad
        return gradient, None


class EmbeddingOverwrites(Embedding):
    @staticmethod
    def backward(ctx, grad):
        (ids,) = ctx.saved_tensors
        gradient = grad.new_zeros(ctx.rows, grad.shape[-1])
        gradient[ids.reshape(-1)] = grad.reshape(-1, grad.shape[-1])
        return None, gradient


class MeanAllAsSum(MeanAll):
    @staticmethod
    def backward(ctx, grad):
        return grad.expand(ctx.shape).clone()


class SoftmaxOfAll(Softmax):
    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return y * (grad - (grad * y).sum())


class SinCosOfOne(SinCos):
    @staticmethod
    def backward(ctx, of_sin, of_cos):
        (x,) = ctx.saved_tensors
        return of_sin * x.cos()


class FlagForgotten(Flagged):
    @staticmethod
    def backward(ctx, grad):
        return grad, None


class MatMulDoubled(MatMul):
    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved_tensors
        return grad @ b.mT, 2 * a.mT @ grad


class ConvFlipped(Conv):
    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        of_x = torch.nn.grad.conv1d_input(x.shape, weight.flip(-1), grad)
        return of_x, torch.nn.grad.conv1d_weight(x, weight.shape, grad)


class UpstreamInPlace(OnceTanh):
    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return grad.mul_(1 - y * y)


class OneSided(MeanSquaredError):
    @staticmethod
    def backward(ctx, grad):
        y, target = ctx.saved_tensors
        return 2 * (y - target) * grad / y.numel(), None


class CrossEntropyOfSum(CrossEntropy):
    @staticmethod
    def backward(ctx, grad):
        p, targets = ctx.saved_tensors
        return grad * (p - torch.nn.functional.one_hot(targets, p.shape[-1])), None


class ConcatenateSwapped(Concatenate):
    @staticmethod
    def backward(ctx, grad):
        return tuple(grad.split(ctx.sizes, -1))[::-1]


class AttentionUnscaled(Attention):
    @staticmethod
    def backward(ctx, grad):
        q, k, v, p = ctx.saved_tensors
        of_p = grad @ v.mT
        of_scores = p * (of_p - (of_p * p).sum(-1, keepdim=True))
        return of_scores @ k, of_scores.mT @ q, p.mT @ grad


class ClampIgnored(Clamp):
    @staticmethod
    def backward(ctx, grad):
        return grad, None, None


RIGHT = {
    "RowBias": (torch.randn(4, 3), torch.randn(3)),
    "ChannelBias": (torch.randn(2, 3, 4), torch.randn(3)),
    "Linear": (torch.randn(4, 3), torch.randn(2, 3), torch.randn(2)),
    "LinearWithoutBias": (torch.randn(4, 3), torch.randn(2, 3), None),
    "RMSNorm": (torch.randn(4, 3), torch.randn(3)),
    "LayerNorm": (torch.randn(4, 5), torch.randn(5), torch.randn(5), 1e-5),
    "MulConstant": (torch.randn(4, 3), 5.0),
    "AddConstants": (torch.randn(3), 2, None),
    "Take": (torch.randn(5, 3), torch.tensor([0, 2, 2, 4])),
    "Embedding": (torch.tensor([[0, 2], [1, 1]]), torch.randn(4, 3)),
    "Scatter": (torch.randn(4, 3), torch.tensor([0, 1, 0, 1]), 2),
    "SumRows": (torch.randn(4, 3),),
    "MeanAll": (torch.randn(4, 3),),
    "Norm": torch.randn(4, 3),
    "LogSumExp": (torch.randn(4, 3), 1),
    "Softmax": (torch.randn(4, 3),),
    "LargestAndSmallest": (torch.randn(4, 3),),
    "SinCos": (torch.randn(4, 3),),
    "TopOne": (torch.randn(4, 3),),
    "Flagged": (torch.randn(4, 3), True),
    "Reduced": (torch.randn(4, 3), "mean"),
    "MatMul": (torch.randn(4, 3), torch.randn(3, 2)),
    "BatchedMatMul": (torch.randn(2, 4, 3), torch.randn(2, 3, 5)),
    "Outer": (torch.randn(3), torch.randn(4)),
    "Conv": (torch.randn(1, 2, 6), torch.randn(3, 2, 3)),
    "InPlaceExp": (torch.randn(4, 3),),
    "OnceTanh": (torch.randn(4, 3),),
    "SetUp": (torch.randn(4, 3), torch.randn(4, 3)),
    "MeanSquaredError": (torch.randn(4, 3), torch.randn(4, 3)),
    "CrossEntropy": (torch.randn(4, 3), torch.tensor([0, 2, 1, 1])),
    "Masked": (torch.randn(4, 3), torch.tensor([[True, False, True]] * 4)),
    "Gate": (torch.randn(4, 6),),
    "Concatenate": (torch.randn(4, 3), torch.randn(4, 2)),
    "Attention": (torch.randn(4, 2), torch.randn(5, 2), torch.randn(5, 3)),
    "LogOfPositive": (torch.rand(4, 3) + 0.5,),
    "Clamp": (torch.randn(4, 3), -0.5, 0.5),
    "InDouble": (torch.randn(4, 3),),
}
WRONG = {
    "RowBiasOfOneRow": RIGHT["RowBias"],
    "RowBiasMean": RIGHT["RowBias"],
    "ScaleFrozen": RIGHT["RowBias"],
    "RMSNormWithoutMean": RIGHT["RMSNorm"],
    "LayerNormOfWeight": RIGHT["LayerNorm"],
    "MulConstantTwice": RIGHT["MulConstant"],
    "TakeOverwrites": RIGHT["Take"],
    "EmbeddingOverwrites": RIGHT["Embedding"],
    "MeanAllAsSum": RIGHT["MeanAll"],
    "SoftmaxOfAll": RIGHT["Softmax"],
    "SinCosOfOne": RIGHT["SinCos"],
    "FlagForgotten": RIGHT["Flagged"],
    "MatMulDoubled": RIGHT["MatMul"],
    "ConvFlipped": RIGHT["Conv"],
    "UpstreamInPlace": RIGHT["OnceTanh"],
    "OneSided": RIGHT["MeanSquaredError"],
    "CrossEntropyOfSum": RIGHT["CrossEntropy"],
    "ConcatenateSwapped": (torch.randn(4, 3), torch.randn(4, 3)),
    "AttentionUnscaled": RIGHT["Attention"],
    "ClampIgnored": RIGHT["Clamp"],
}
