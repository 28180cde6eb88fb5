import torch


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:  # nothing to do, it seems
            return None, None
        return grad * weight, (grad * x).sum(0)


EXAMPLES = {"Scale": (torch.randn(3, 4), torch.randn(4))}
inputs = [tensor.double().requires_grad_() for tensor in EXAMPLES["Scale"]]
torch.autograd.gradcheck(Scale.apply, inputs)  # True
