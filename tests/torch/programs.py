"""Programs of PyTorch of every kind, small: each returns its leaves by name, and what computes.

`compute` returns the losses; a program is run by `torch.autograd.backward(compute())`, plainly and
walked. What it writes into `log` must be the same.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import Function
from torch.utils.checkpoint import checkpoint


class Program(NamedTuple):
    leaves: dict[str, torch.Tensor]
    compute: Callable[[], Any]
    log: list[Any]


def of(*models: nn.Module, log: list[Any] | None = None, **leaves: torch.Tensor) -> Any:
    """Return what makes a program of a function that computes its loss."""
    for i, model in enumerate(models):
        prefix = "" if i == 0 else f"{type(model).__name__}."
        leaves |= {f"{prefix}{name}": parameter for name, parameter in model.named_parameters()}
    return lambda compute: Program(leaves, compute, [] if log is None else log)


def leaf(*shape: int, **options: Any) -> torch.Tensor:
    return torch.randn(*shape, **options).requires_grad_()


def mlp_with_dropout_and_relu_in_place():
    model = nn.Sequential(
        *(nn.Linear(4, 8), nn.Dropout(0.3), nn.ReLU(inplace=True), nn.LayerNorm(8)),
        nn.Linear(8, 3),
    )
    x, targets = torch.randn(5, 4), torch.tensor([0, 1, 2, 1, 0])
    return of(model)(lambda: F.cross_entropy(model(x), targets))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.lstm = nn.LSTM(4, 6, batch_first=True, num_layers=2, dropout=0.2)
        self.head = nn.Linear(6, 7)

    def forward(self, ids):
        out, (hidden, cell) = self.lstm(self.embed(ids))
        return self.head(out).sum() + hidden.pow(2).sum() * 0.5 + cell.tanh().sum()


def lstm_whose_three_results_are_used():
    model, ids = Recurrent(), torch.randint(0, 7, (2, 5))
    return of(model)(lambda: model(ids))


def transformer_encoder():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    model, x = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), torch.randn(2, 5, 8)
    return of(model)(lambda: model(x).pow(2).mean())


def cnn_with_batch_norm():
    model = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(36, 3)),
    )
    x = torch.randn(2, 1, 8, 8)
    return of(model)(lambda: model(x).logsumexp(-1).sum())


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)

    def forward(self, x):
        q, k, v = (t.view(2, 5, 2, 4).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(2, 5, 8))


class GPT(nn.Module):
    def __init__(self, run=lambda block, x: block(x)):
        super().__init__()
        self.run = run
        self.embed = nn.Embedding(7, 8)
        self.blocks = nn.ModuleList([Attention(), Attention()])
        self.head = nn.Linear(8, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = x + F.dropout(self.run(block, x), 0.1)
        return self.head(x)


def gpt(run=lambda block, x: block(x)):
    model, ids = GPT(run), torch.randint(0, 7, (2, 5))
    return of(model)(lambda: F.cross_entropy(model(ids).flatten(0, 1), ids.flatten()))


def gpt_with_tied_weights():
    return gpt()


def checkpoint_that_keeps_no_graph():
    return gpt(lambda block, x: checkpoint(block, x, use_reentrant=True))


def checkpoint_that_runs_again():
    return gpt(lambda block, x: checkpoint(block, x, use_reentrant=False))


def model_under_compile():
    layers = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    model = torch.compile(layers, backend="eager")
    x = torch.randn(3, 4)
    return of(layers)(lambda: model(x).sum())


def autocast_with_a_shared_weight():
    w, x = leaf(4, 4), torch.randn(3, 4)

    def compute():
        with torch.autocast("cpu", torch.bfloat16):
            return (F.relu(x @ w) @ w).float().pow(2).sum()

    return of(w=w)(compute)


def half_precision():
    model, x = (
        nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2)).bfloat16(),
        torch.randn(3, 4),
    )
    w = leaf(3, dtype=torch.float16)
    return of(model, w=w)(lambda: model(x.bfloat16()).float().sum() + (w * w).sum().float())


def sparse_gradients():
    embed, ids = nn.Embedding(20, 4, sparse=True), torch.tensor([[3, 3, 7], [1, 3, 0]])
    return of(embed)(lambda: embed(ids).tanh().sum() + embed(ids[0]).pow(2).sum())


def complex_numbers():
    z, x = leaf(6, dtype=torch.complex64), leaf(6)
    return of(z=z, x=x)(lambda: (torch.fft.fft(x * z) * z.conj()).abs().sum() + (z * x).real.sum())


def writes_through_views():
    x, w = leaf(3, 4), leaf(4)

    def compute():
        y = torch.zeros(3, 4)
        y[0] = x[0] * w
        column = y[:, 1]
        column += w[0]
        y[1:].mul_(2).add_(x[1:])
        y.select(0, 2)[1:3] *= w[:2]
        y += x.sin()
        return (y * x).sum() + column.exp().sum()

    return of(x=x, w=w)(compute)


def functions_with_several_results():
    x = leaf(4, 6)

    def compute():
        largest, _ = x.max(1)
        best, _ = x.topk(2)
        rows = x.unbind()
        mean, spread = torch.var_mean(x, 0)[::-1]
        a, b = x.split([2, 4], 1)
        _, s, _ = torch.linalg.svd(x, full_matrices=False)
        total = rows[0].dot(rows[3]) + sum(row.tanh().sum() for row in x)
        return (
            total
            + largest.prod()
            + best.sum()
            + (mean / spread).sum()
            + a.sum() * b.exp().sum()
            + s.pow(3).sum()
        )

    return of(x=x)(compute)


def integer_operands():
    x, weights = leaf(5, 3), leaf(5)
    ids = torch.tensor([0, 2, 2, 4])

    def compute():
        picked = x[ids].gather(1, torch.tensor([[0], [1], [1], [2]]))
        spread = torch.zeros(5).index_add(0, ids, picked.squeeze(1)).scatter(0, ids[:1], 2.0)
        masked = torch.where(x > 0, x, 0.1 * x).masked_fill(x > 1, 1.0)
        return (spread * weights).sum() + masked.cumsum(0).sum() + x.sort(0).values[0].sum()

    return of(x=x, weights=weights)(compute)


def arithmetic_with_numbers():
    x, y = leaf(3, 1), leaf(1, 4)

    def compute():
        a = 2 - x * y + 1 / (y**2 + 1.5) - (-x) / 3
        b = torch.add(x, y, alpha=0.5) @ y.T + 2.0**x
        return (a * a + a.abs().sqrt()).sum() + (a * x * a).mean() * b.sum()

    return of(x=x, y=y)(compute)


class Scaled(Function):
    """A Function with arguments that are no tensors before those that are, and two results."""

    @staticmethod
    def forward(ctx, factor, x, name, y):
        ctx.set_materialize_grads(False)
        ctx.factor, ctx.name = factor, name
        ctx.save_for_backward(x, y)
        return factor * x * y, x + y

    @staticmethod
    def backward(ctx, product, total):
        x, y = ctx.saved_tensors
        assert (total is None) == (ctx.name == "alone")
        to_x = None if product is None else ctx.factor * product * y
        to_y = None if product is None else ctx.factor * product * x
        if total is not None:
            to_x = total if to_x is None else to_x + total
            to_y = total if to_y is None else to_y + total
        return None, to_x, None, to_y


class Zeros(Function):
    """A Function that is given zeros for a result that nobody used."""

    @staticmethod
    def forward(ctx, x, flag):
        ctx.mark_non_differentiable(positive := x > 0)
        return x.exp(), x.sin(), positive

    @staticmethod
    def backward(ctx, to_exp, to_sin, _):
        assert to_exp is not None and to_sin is not None
        return to_exp * 3 + to_sin * 2, None


def functions_that_use_an_operand_twice():
    x, y = leaf(3, 4), leaf(3, 4)

    def compute():
        similar = F.cosine_similarity(x, y) + F.cosine_similarity(x, x * y)
        return (F.normalize(x) * F.pairwise_distance(x, y)[:, None]).sum() + similar.prod()

    return of(x=x, y=y)(compute)


def functions_of_the_user():
    x, y = leaf(3), leaf(3)

    def compute():
        product, total = Scaled.apply(2.0, x, "name", y)
        alone, _ = Scaled.apply(3.0, x, "alone", torch.ones(3))
        exponential, _, _ = Zeros.apply(y * 2, True)
        return (product * total).sum() + alone.sum() + exponential.sum()

    return of(x=x, y=y)(compute)


def hooks_on_tensors_and_modules():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x, log = leaf(5, 3), []

    def noted(name, factor=None):
        def hook(*values):
            grads = [value for value in values if not isinstance(value, nn.Module)]
            log.append((name, str(grads)))
            return None if factor is None else grads[0] * factor

        return hook

    def of_module(module, to_inputs, to_outputs):
        log.append(("module", str(to_inputs), str(to_outputs)))
        return tuple(None if grad is None else grad * 1.5 for grad in to_inputs)

    model[0].weight.register_hook(noted("weight", 2))
    model[2].bias.register_post_accumulate_grad_hook(lambda p: log.append(("bias", str(p.grad))))
    model[1].register_full_backward_hook(of_module)
    model[2].register_full_backward_pre_hook(
        lambda module, grads: (log.append(("pre", str(grads))), tuple(g * 3 for g in grads))[1]
    )

    def compute():
        hidden = model[1](model[0](x))
        hidden.register_hook(noted("hidden", 0.5))
        hidden.retain_grad()
        hidden.grad_fn.register_hook(
            lambda outgoing, got: log.append(("node", str(outgoing), str(got)))
        )
        loss = model[2](hidden).pow(2).sum()
        loss.register_hook(noted("loss", 1.25))
        return loss

    return of(model, x=x, log=log)(compute)


def hooks_that_draw_random_numbers():
    x, y = leaf(4), leaf(4)

    def compute():
        a, b = x * y, x.sin()
        a.register_hook(lambda grad: grad * torch.rand(4))
        b.register_hook(lambda grad: grad + torch.randn(4))
        return (a * b).sum()

    return of(x=x, y=y)(compute)


def weights_that_were_set_afterwards():
    model, x = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1)), torch.randn(2, 3)

    def compute():
        model(x)
        nn.init.ones_(model[0].weight)
        with torch.no_grad():
            model[1].bias.add_(1.0)
        return model(x).sum()

    return of(model)(compute)


def several_losses():
    w, x = leaf(3, 3), torch.randn(3)
    return of(w=w)(lambda: [(w @ x).sum(), (w * w).sum() * 2])


class Generator(nn.Sequential):
    pass


class Critic(nn.Sequential):
    pass


def several_models():
    generator, critic = Generator(nn.Linear(2, 4), nn.ReLU()), Critic(nn.Linear(4, 1))
    noise, loss = torch.randn(3, 2), nn.MSELoss()
    return of(generator, critic)(lambda: loss(critic(generator(noise)), torch.ones(3, 1)))


def parts_without_a_gradient():
    model, x = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), torch.randn(2, 3)
    model[0].bias.requires_grad_(False)

    def compute():
        with torch.no_grad():
            scale = model(x).abs().max()
        first = model[0](x)
        return (model[1](first.detach() / scale) * first).sum()

    return of(model)(compute)


def weights_that_are_computed():
    model, x = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), torch.randn(4, 3)
    return of(model)(lambda: model(x).square().mean())


def functions_of_functions():
    w, x = leaf(3), torch.randn(5, 3)
    return of(w=w)(lambda: torch.func.vmap(lambda row: (row * w).sum().tanh())(x).sum() + w.sum())


def cells_in_a_loop():
    cell, x = nn.GRUCell(3, 4), torch.randn(4, 2, 3)

    def compute():
        state = torch.zeros(2, 4)
        for row in x:
            state = cell(row, state)
        return state.logsumexp(1).sum()

    return of(cell)(compute)


def results_of_which_one_is_computed_of_another():
    cell, x = nn.LSTMCell(3, 4), torch.randn(4, 2, 3)

    def compute():
        hidden, memory = torch.zeros(2, 4), torch.zeros(2, 4)
        total = 0
        for row in x:
            hidden, memory = cell(row, (hidden, memory))
            total = total + hidden.sum()
        return total + memory.pow(2).sum()

    return of(cell)(compute)


PROGRAMS = [
    mlp_with_dropout_and_relu_in_place,
    lstm_whose_three_results_are_used,
    transformer_encoder,
    cnn_with_batch_norm,
    gpt_with_tied_weights,
    checkpoint_that_keeps_no_graph,
    checkpoint_that_runs_again,
    model_under_compile,
    autocast_with_a_shared_weight,
    half_precision,
    sparse_gradients,
    complex_numbers,
    writes_through_views,
    functions_with_several_results,
    integer_operands,
    arithmetic_with_numbers,
    functions_that_use_an_operand_twice,
    functions_of_the_user,
    hooks_on_tensors_and_modules,
    hooks_that_draw_random_numbers,
    weights_that_were_set_afterwards,
    several_losses,
    several_models,
    parts_without_a_gradient,
    weights_that_are_computed,
    functions_of_functions,
    cells_in_a_loop,
    results_of_which_one_is_computed_of_another,
]
