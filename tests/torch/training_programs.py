"""Short training programs in the styles that people write, each with its own loop.

A program is a function that trains something small and calls `note` with its models and tensors
after each `backward()`: what it notes must be the same, to the bit, when every pass is walked. All
draw their random numbers from PyTorch's generator, which is seeded before.
"""

import contextlib
import copy
import itertools
import threading
import warnings
from collections import deque

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import Function
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

PROGRAMS = []
ROUNDED = set()  # where the walk adds in another order than PyTorch: right but for the last bits


def program(function):
    PROGRAMS.append(function)
    return function


def rounded(function):
    ROUNDED.add(function.__name__)
    return program(function)


def mlp(*sizes, act=nn.Tanh):
    layers = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    return nn.Sequential(*(module for layer in layers for module in (layer, act())))[:-1]


def leaf(*shape, **options):
    return torch.randn(*shape, **options).requires_grad_()


# Language models


class Block(nn.Module):
    def __init__(self, width=16, heads=2):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))
        self.register_buffer("mask", torch.ones(8, 8).tril().view(1, 1, 8, 8))

    def forward(self, x):
        b, t, c = x.shape
        parts = self.c_attn(self.ln_1(x)).split(c, dim=2)
        q, k, v = (p.view(b, t, self.heads, -1).transpose(1, 2) for p in parts)
        scores = (q @ k.transpose(-2, -1)) * (1.0 / (c // self.heads) ** 0.5)
        scores = scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
        y = (F.dropout(scores.softmax(-1), 0.1) @ v).transpose(1, 2).contiguous().view(b, t, c)
        x = x + self.c_proj(y)
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, run=lambda block, x: block(x)):
        super().__init__()
        self.run = run
        self.wte, self.wpe = nn.Embedding(11, 16), nn.Embedding(8, 16)
        self.h = nn.ModuleList([Block(), Block()])
        self.lm_head = nn.Linear(16, 11, bias=False)
        self.wte.weight = self.lm_head.weight

    def forward(self, ids, targets):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.h:
            x = self.run(block, x)
        return F.cross_entropy(self.lm_head(x).flatten(0, 1), targets.flatten(), ignore_index=-1)


def batches(count, *shape, top=11):
    return [torch.randint(0, top, shape) for _ in range(count)]


@program
def nano_gpt_with_accumulation_and_clipping(note):
    model = GPT()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for ids in batches(2, 2, 9):
        for _ in range(2):
            loss = model(ids[:, :-1], ids[:, 1:]) / 2
            loss.backward()
            note(model)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


@program
def gpt_with_checkpoints_of_both_kinds(note):
    for reentrant in (True, False):
        model = GPT(lambda block, x, r=reentrant: checkpoint(block, x, use_reentrant=r))
        for ids in batches(2, 2, 9):
            loss = model(ids[:, :-1], ids[:, 1:])
            loss.backward()
            note(model)


@program
def checkpointed_sequence(note):
    model, x = mlp(4, 8, 8, 8, 1), leaf(3, 4)
    for _ in range(2):
        loss = checkpoint_sequential(model, 2, x, use_reentrant=False).pow(2).sum()
        loss.backward()
        note(model, x)


@program
def lstm_with_truncated_backpropagation(note):
    embed, lstm, head = nn.Embedding(11, 6), nn.LSTM(6, 6, 2, dropout=0.2), nn.Linear(6, 11)
    head.weight = embed.weight
    optimizer = torch.optim.SGD([*lstm.parameters(), *head.parameters()], 0.1)
    state = None
    for ids in batches(3, 5, 2):
        optimizer.zero_grad()
        if state is not None:
            state = tuple(value.detach() for value in state)
        out, state = lstm(embed(ids[:-1]), state)
        loss = F.cross_entropy(head(out).flatten(0, 1), ids[1:].flatten())
        loss.backward()
        note(embed, lstm, head)
        optimizer.step()


@program
def sequence_to_sequence_with_packing_and_attention(note):
    embed, encoder, cell = nn.Embedding(11, 6), nn.GRU(6, 6, batch_first=True), nn.GRUCell(6, 6)
    head = nn.Linear(12, 11)
    source, target = batches(2, 3, 5)
    for _ in range(2):
        packed = nn.utils.rnn.pack_padded_sequence(
            embed(source), torch.tensor([5, 4, 2]), batch_first=True
        )
        memory, state = encoder(packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(memory, batch_first=True)
        state = state[0]
        outputs = torch.zeros(5, 3, 11)
        for t in range(5):
            state = cell(embed(target[:, t]), state)
            weights = torch.einsum("bh,bth->bt", state, memory).softmax(-1)
            context = torch.bmm(weights.unsqueeze(1), memory).squeeze(1)
            outputs[t] = head(torch.cat([state, context], -1))
        loss = F.nll_loss(outputs.log_softmax(-1).flatten(0, 1), target.T.flatten())
        loss.backward()
        note(embed, encoder, cell, head)


@program
def transformer_with_masks(note):
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    source, target = torch.randn(2, 4, 8), torch.randn(2, 5, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    padding = torch.tensor([[False] * 4, [False, False, True, True]])
    for _ in range(2):
        out = model(source, target, tgt_mask=mask, src_key_padding_mask=padding)
        loss = F.smooth_l1_loss(out, target)
        loss.backward()
        note(model)


@program
def llama_block_with_rotary_and_grouped_heads(note):
    q, k, v, o = (nn.Linear(16, n, bias=False) for n in (16, 8, 8, 16))
    norm, x = nn.RMSNorm(16), torch.randn(2, 6, 16)
    angle = torch.arange(6)[:, None] / 100 ** (torch.arange(2) / 2)
    turn = torch.polar(torch.ones_like(angle), angle)

    def rotated(t):
        pairs = torch.view_as_complex(t.float().unflatten(-1, (2, 2)).contiguous())
        return torch.view_as_real(pairs * turn).flatten(-2).type_as(t)

    for _ in range(2):
        h = norm(x)
        qs, ks, vs = (m(h).unflatten(-1, (-1, 4)).transpose(1, 2) for m in (q, k, v))
        ks, vs = (t.repeat_interleave(2, 1) for t in (ks, vs))
        y = F.scaled_dot_product_attention(rotated(qs), rotated(ks), vs, is_causal=True)
        loss = (x + o(y.transpose(1, 2).flatten(-2))).square().mean()
        loss.backward()
        note(q, k, v, o, norm)


@program
def mixture_of_experts(note):
    gate, experts = nn.Linear(6, 3), nn.ModuleList(mlp(6, 8, 6) for _ in range(3))
    x = torch.randn(10, 6)
    for _ in range(2):
        weights, chosen = gate(x).softmax(-1).topk(2)
        out = torch.zeros_like(x)
        for i, expert in enumerate(experts):
            rows, slots = (chosen == i).nonzero(as_tuple=True)
            out = out.index_add(0, rows, expert(x[rows]) * weights[rows, slots, None])
        loss = (out - x).pow(2).mean() + weights.std()
        loss.backward()
        note(gate, experts)


# Vision


class Residual(nn.Module):
    def __init__(self, width, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(out), nn.ReLU(inplace=True)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.down = nn.Conv2d(width, out, 1, stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.down(x)
        return self.relu(y)


@program
def residual_network_with_momentum(note):
    stages = (Residual(4, 4, 1), Residual(4, 8, 2))
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.randn(8, 1, 8, 8), torch.randint(0, 3, (8,))),
        batch_size=4,
        shuffle=True,
    )
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y, label_smoothing=0.1)
        loss.backward()
        note(model)
        optimizer.step()
        schedule.step()


@program
def variational_autoencoder(note):
    encoder, decoder = mlp(6, 8, 4, act=nn.ReLU), mlp(2, 8, 6, act=nn.ReLU)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-2)
    x = torch.rand(5, 6)
    for _ in range(3):
        mu, logvar = encoder(x).chunk(2, -1)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        divergence = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum()
        loss = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum") + divergence
        optimizer.zero_grad()
        loss.backward()
        note(encoder, decoder)
        optimizer.step()


@program
def adversarial_networks(note):
    generator = nn.Sequential(nn.ConvTranspose2d(4, 4, 2), nn.BatchNorm2d(4), nn.ReLU(True))
    critic = nn.Sequential(nn.Conv2d(4, 4, 2), nn.LeakyReLU(0.2, inplace=True), nn.Flatten())
    critic.append(nn.Linear(4, 1))
    of_g, of_d = (torch.optim.Adam(m.parameters(), 1e-2) for m in (generator, critic))
    loss, real = nn.BCEWithLogitsLoss(), torch.randn(3, 4, 2, 2)
    for _ in range(2):
        of_d.zero_grad()
        errD_real = loss(critic(real), torch.ones(3, 1))
        errD_real.backward()
        fake = generator(torch.randn(3, 4, 1, 1))
        errD_fake = loss(critic(fake.detach()), torch.zeros(3, 1))
        errD_fake.backward()
        note(critic)
        of_d.step()
        of_g.zero_grad()
        errG = loss(critic(fake), torch.ones(3, 1))
        errG.backward()
        note(generator, critic)
        of_g.step()


@rounded
def wasserstein_with_gradient_penalty(note):
    generator, critic = mlp(2, 8, 2), nn.utils.spectral_norm(nn.Linear(2, 8))
    head = nn.Linear(8, 1)
    for _ in range(2):
        real, fake = torch.randn(4, 2), generator(torch.randn(4, 2)).detach()
        mixed = torch.lerp(real, fake, torch.rand(4, 1)).requires_grad_()
        score = head(critic(mixed).tanh())
        (slope,) = torch.autograd.grad(score.sum(), mixed, create_graph=True)
        penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean()
        loss = head(critic(fake).tanh()).mean() - head(critic(real).tanh()).mean() + 10 * penalty
        loss.backward()
        note(critic, head)


@program
def diffusion(note):
    model, embed = nn.Conv2d(1, 4, 3, padding=1), nn.Embedding(10, 4)
    norm, out = nn.GroupNorm(2, 4), nn.Conv2d(4, 1, 3, padding=1)
    alpha = torch.linspace(0.99, 0.9, 10).cumprod(0)
    average = copy.deepcopy(model)
    for _ in range(2):
        x, t = torch.randn(3, 1, 6, 6), torch.randint(0, 10, (3,))
        noise = torch.randn_like(x)
        a = alpha[t].view(-1, 1, 1, 1)
        h = norm(model(a.sqrt() * x + (1 - a).sqrt() * noise) + embed(t)[:, :, None, None])
        h = F.interpolate(F.avg_pool2d(F.silu(h), 2), scale_factor=2, mode="nearest")
        loss = F.mse_loss(out(h), noise)
        loss.backward()
        note(model, embed, norm, out)
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                slow.mul_(0.9).add_(fast, alpha=0.1)


@program
def contrastive_learning_with_a_moving_average(note):
    online, target = mlp(6, 8, 4), mlp(6, 8, 4)
    target.load_state_dict(online.state_dict())
    target.requires_grad_(False)
    queue, temperature = F.normalize(torch.randn(12, 4)), leaf(())
    for step in range(2):
        x = torch.randn(4, 6)
        q = F.normalize(online(x + 0.1 * torch.randn_like(x)))
        with torch.no_grad():
            for slow, fast in zip(target.parameters(), online.parameters(), strict=True):
                slow.lerp_(fast, 0.1)
            k = F.normalize(target(x))
        positive = torch.einsum("nc,nc->n", q, k)[:, None]
        logits = torch.cat([positive, q @ queue.clone().T], 1) * temperature.exp()
        loss = F.cross_entropy(logits, torch.zeros(4, dtype=torch.long))
        loss.backward()
        note(online, temperature)
        queue[4 * step : 4 * step + 4] = k


@program
def object_detection_losses(note):
    head, anchors = nn.Linear(6, 4 + 3), torch.rand(5, 4)
    features, boxes = torch.randn(5, 6), torch.rand(5, 4)
    for _ in range(2):
        out = head(features)
        predicted, scores = anchors + out[:, :4], out[:, 4:]
        low, high = torch.maximum(predicted, boxes), torch.minimum(predicted, boxes)
        overlap = (high - low).clamp(min=0).prod(-1)
        p = scores.sigmoid()
        focal = -((1 - p) ** 2 * p.clamp_min(1e-6).log())[torch.arange(5), [0, 1, 2, 0, 1]]
        keep = scores.detach().amax(1) > -10
        loss = focal[keep].mean() + F.huber_loss(predicted, boxes) - overlap.mean()
        loss.backward()
        note(head)


@program
def neural_radiance_field(note):
    plane, field = leaf(1, 4, 6, 6), mlp(4, 8, 4)
    for _ in range(2):
        points = torch.rand(1, 5, 7, 2) * 2 - 1
        sampled = F.grid_sample(plane, points, align_corners=True).permute(0, 2, 3, 1)
        colour, density = field(sampled).split([3, 1], -1)
        alpha = 1 - torch.exp(-F.softplus(density[..., 0]) * 0.1)
        clear = torch.cumprod(torch.cat([torch.ones(1, 5, 1), 1 - alpha + 1e-10], -1), -1)[..., :-1]
        loss = ((alpha * clear)[..., None] * colour.sigmoid()).sum(-2).pow(2).mean()
        loss.backward()
        note(plane, field)


# Reinforcement


@program
def deep_q_learning(note):
    net, target, replay = mlp(3, 8, 2), mlp(3, 8, 2), deque(maxlen=8)
    target.load_state_dict(net.state_dict())
    optimizer = torch.optim.RMSprop(net.parameters(), 1e-2)
    for _ in range(6):
        state = torch.randn(3)
        with torch.no_grad():
            action = int(net(state).argmax()) if torch.rand(()) > 0.1 else 0
        replay.append((state, action, float(torch.randn(()))))
        if len(replay) < 4:
            continue
        states = torch.stack([transition[0] for transition in replay])
        actions = torch.tensor([transition[1] for transition in replay])
        rewards = torch.tensor([transition[2] for transition in replay])
        values = net(states).gather(1, actions[:, None]).squeeze(1)
        with torch.no_grad():
            expected = rewards + 0.9 * target(states).max(1).values
        loss = nn.SmoothL1Loss()(values, expected)
        optimizer.zero_grad()
        loss.backward()
        for p in net.parameters():
            p.grad.data.clamp_(-1, 1)
        note(net)
        optimizer.step()


@program
def proximal_policy_optimization(note):
    policy, value, logstd = mlp(3, 8, 2), mlp(3, 8, 1), nn.Parameter(torch.zeros(2))
    states = torch.randn(6, 3)
    with torch.no_grad():
        old = torch.distributions.Normal(policy(states), logstd.exp())
        actions = old.sample()
        before = old.log_prob(actions).sum(-1)
    returns = torch.randn(6)
    for _ in range(2):
        now = torch.distributions.Normal(policy(states), logstd.exp())
        ratio = (now.log_prob(actions).sum(-1) - before).exp()
        advantage = returns - value(states).squeeze(-1).detach()
        surrogate = torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
        critic = F.mse_loss(value(states).squeeze(-1), returns)
        loss = -surrogate.mean() + 0.5 * critic - 0.01 * now.entropy().mean()
        loss.backward()
        note(policy, value, logstd)


# Precision, compilation, other dtypes


@program
def autocast_with_a_scaler(note):
    model, scaler = mlp(4, 8, 2), torch.amp.GradScaler("cpu")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.mse_loss(model(torch.randn(3, 4)).float(), torch.randn(3, 2))
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        note(model)
        scaler.step(optimizer)
        scaler.update()


@program
def bfloat16_with_master_weights(note):
    model = mlp(4, 8, 2).bfloat16()
    master = [p.detach().float().clone() for p in model.parameters()]
    for _ in range(2):
        loss = model(torch.randn(3, 4).bfloat16()).float().logsumexp(-1).mean()
        loss.backward()
        note(model)
        with torch.no_grad():
            for p, full in zip(model.parameters(), master, strict=True):
                full -= 0.1 * p.grad.float()
                p.copy_(full)
        model.zero_grad()


@program
def compiled_model(note):
    layers = mlp(4, 8, 1)
    model = torch.compile(layers, backend="eager")
    for _ in range(2):
        loss = model(torch.randn(3, 4)).sum()
        loss.backward()
        note(layers)


@program
def scripted_and_traced_models(note):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        plain = mlp(4, 8, 2)
        script, trace = torch.jit.script(mlp(4, 4)), torch.jit.trace(plain, torch.randn(3, 4))
    for _ in range(3):
        loss = trace(script(torch.randn(3, 4))).pow(2).sum()
        loss.backward()
        note(script, trace)


@program
def exported_and_traced_graphs(note):
    model = mlp(4, 8, 2)
    exported = torch.export.export(model, (torch.randn(3, 4),)).module()
    symbolic = torch.fx.symbolic_trace(model)
    for _ in range(2):
        loss = (symbolic(torch.randn(3, 4)) * exported(torch.randn(3, 4))).sum()
        loss.backward()
        note(model, exported)


@torch.library.custom_op("autolm_tests::doubled_sine", mutates_args=())
def doubled_sine(x: torch.Tensor) -> torch.Tensor:
    return 2 * x.sin()


torch.library.register_autograd(
    "autolm_tests::doubled_sine",
    lambda ctx, grad: grad * 2 * ctx.saved_tensors[0].cos(),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
)


@program
def custom_operator(note):
    w = leaf(3)
    for _ in range(2):
        loss = (doubled_sine(w * 2) * w).sum()
        loss.backward()
        note(w)


class Tagged(torch.Tensor):
    """A subclass that goes through its own functions."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return super().__torch_function__(function, types, args, kwargs or {})


@program
def tensor_subclass(note):
    w, x = leaf(3, 3), torch.randn(3, 3).as_subclass(Tagged)
    for _ in range(2):
        loss = (x @ w).tanh().sum()
        loss.backward()
        note(w)


@program
def jagged_batches(note):
    head = nn.Linear(3, 2)
    for _ in range(2):
        parts = [torch.randn(2, 3), torch.randn(4, 3)]
        batch = torch.nested.nested_tensor(parts, layout=torch.jagged).requires_grad_()
        loss = head(batch).values().pow(2).sum()
        loss.backward()
        note(head)


@program
def sparse_embeddings(note):
    embed, out = nn.Embedding(20, 4, sparse=True), nn.EmbeddingBag(20, 4, mode="mean", sparse=True)
    optimizer = torch.optim.SparseAdam([*embed.parameters(), *out.parameters()], 1e-2)
    for ids in batches(2, 3, 4, top=20):
        loss = -F.logsigmoid((embed(ids[:, 0]) * out(ids)).sum(-1)).mean()
        optimizer.zero_grad()
        loss.backward()
        note(embed, out)
        optimizer.step()


@program
def fourier_operator_with_complex_weights(note):
    weight, skip = leaf(2, 2, 5, dtype=torch.complex64), nn.Conv1d(2, 2, 1)
    for _ in range(2):
        x = torch.randn(3, 2, 12)
        modes = torch.fft.rfft(x)[..., :5]
        out = torch.zeros(3, 2, 7, dtype=torch.complex64)
        out[:, :, :5] = torch.einsum("bix,iox->box", modes, weight)
        loss = (torch.fft.irfft(out, n=12) + skip(x)).abs().mean()
        loss.backward()
        note(weight, skip)


# Higher order


@program
def maml_by_functions_of_functions(note):
    model = mlp(2, 6, 1)
    params = dict(model.named_parameters())

    def loss_of(params, x, y):
        return F.mse_loss(torch.func.functional_call(model, params, (x,)), y)

    def task(x, y):
        slopes = torch.func.grad(loss_of)(params, x, y)
        moved = {name: p - 0.1 * slopes[name] for name, p in params.items()}
        return loss_of(moved, x, y)

    for _ in range(2):
        x, y = torch.randn(3, 4, 2), torch.randn(3, 4, 1)
        loss = torch.func.vmap(task)(x, y).mean()
        loss.backward()
        note(model)


@rounded
def maml_by_create_graph(note):
    w, b = leaf(2, 1), leaf(1)
    for _ in range(2):
        x, y = torch.randn(4, 2), torch.randn(4, 1)
        inner = F.mse_loss((x @ w).tanh() + b, y)
        slopes = torch.autograd.grad(inner, (w, b), create_graph=True)
        v, c = (p - 0.1 * g for p, g in zip((w, b), slopes, strict=True))
        loss = F.mse_loss((x @ v).tanh() + c, y)
        loss.backward()
        note(w, b)


@rounded
def forces_of_a_potential(note):
    model = mlp(3, 8, 1)
    for _ in range(2):
        positions = leaf(4, 3)
        energy = model(positions).sum()
        (slope,) = torch.autograd.grad(energy, positions, create_graph=True)
        loss = (slope + positions.detach()).pow(2).mean() + energy.pow(2)
        loss.backward()
        note(model, positions)


@rounded
def neural_differential_equation(note):
    field, out = mlp(2, 8, 2), nn.Linear(2, 1)
    for _ in range(2):
        state = torch.randn(3, 2)
        for _ in range(4):
            k1 = field(state)
            k2 = field(state + 0.05 * k1)
            k3 = field(state + 0.05 * k2)
            k4 = field(state + 0.1 * k3)
            state = state + (0.1 / 6) * (k1 + 2 * k2 + 2 * k3 + k4)
        loss = out(state).pow(2).sum()
        loss.backward()
        note(field, out)


class Reversed(Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -ctx.weight * grad, None


class Rounded(Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, grad):
        return grad


@program
def straight_through_estimators(note):
    encoder, book, head = mlp(3, 6, 4), nn.Embedding(5, 4), nn.Linear(4, 2)
    for _ in range(2):
        z = encoder(torch.randn(6, 3))
        nearest = torch.cdist(z.detach(), book.weight.detach()).argmin(1)
        code = book(nearest)
        commitment = F.mse_loss(z, code.detach()) + F.mse_loss(code, z.detach())
        passed = z + (code - z).detach()
        soft = F.gumbel_softmax(head(Reversed.apply(passed, 0.5)), tau=0.7, hard=True)
        loss = commitment + soft[:, 0].mean() + Rounded.apply(passed).pow(2).mean()
        loss.backward()
        note(encoder, book, head)


# Hooks, parametrizations, optimizers


@program
def hooks_of_every_kind(note):
    model, log = mlp(3, 4, 2), []
    model[0].weight.register_hook(lambda grad: grad * 0.5)
    model[2].bias.register_post_accumulate_grad_hook(lambda p: log.append(p.grad.sum().item()))
    model[1].register_full_backward_hook(lambda m, inputs, outputs: (inputs[0] * 2,))
    model[2].register_full_backward_pre_hook(lambda m, outputs: (outputs[0] + 1,))
    torch.autograd.graph.register_multi_grad_hook(
        tuple(model.parameters()), lambda grads: log.append(len(grads))
    )
    for _ in range(2):
        hidden = model[1](model[0](torch.randn(5, 3)))
        hidden.retain_grad()
        hidden.register_hook(lambda grad: grad.clamp(-0.1, 0.1))
        hidden.grad_fn.register_prehook(lambda grads: (grads[0] * 1.5,))
        loss = model[2](hidden.relu()).pow(2).sum()
        loss.backward()
        note(model, hidden.grad, torch.tensor(log))


@program
def optimizer_in_the_backward_pass(note):
    model = mlp(3, 6, 1)
    optimizers = {p: torch.optim.SGD([p], 0.1) for p in model.parameters()}

    def step(p):
        optimizers[p].step()
        p.grad = None

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(step)
    for _ in range(3):
        loss = model(torch.randn(4, 3)).pow(2).mean()
        loss.backward()
        note(model)


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).T


@program
def parametrized_and_pruned_weights(note):
    normed = parametrizations.weight_norm(nn.Linear(4, 4))
    turned = parametrizations.orthogonal(nn.Linear(4, 4))
    square = nn.Linear(4, 4)
    parametrize.register_parametrization(square, "weight", Symmetric())
    pruned = prune.random_unstructured(nn.Linear(4, 2), "weight", amount=0.5)
    for _ in range(2):
        loss = pruned(square(turned(normed(torch.randn(3, 4)))).tanh()).pow(2).sum()
        loss.backward()
        note(normed, turned, square, pruned)


@program
def quasi_newton_with_a_closure(note):
    model, x, y = mlp(2, 6, 1), torch.randn(6, 2), torch.randn(6, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        note(model)
        return loss

    optimizer.step(closure)


@program
def losses_that_share_a_graph(note):
    trunk, heads = mlp(3, 6, 4), [nn.Linear(4, 1), nn.Linear(4, 2)]
    for _ in range(2):
        h = trunk(torch.randn(5, 3)).tanh()
        losses = [heads[0](h).pow(2).mean(), heads[1](h).logsumexp(-1).mean()]
        losses[0].backward(retain_graph=True)
        note(trunk, *heads)
        losses[1].backward(inputs=list(heads[1].parameters()), retain_graph=True)
        note(trunk, *heads)
        torch.autograd.backward(losses, [torch.tensor(0.5), torch.tensor(2.0)])
        note(trunk, *heads)


# Several processes and threads


@program
def data_parallel_in_one_process(note):
    import tempfile

    import torch.distributed as dist

    def train():
        model = nn.parallel.DistributedDataParallel(mlp(3, 6, 1))
        for step in range(3):
            with model.no_sync() if step == 0 else contextlib.nullcontext():
                loss = model(torch.randn(4, 3)).pow(2).mean()
                loss.backward()
            note(model)

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dist.init_process_group("gloo", init_method=f"file://{folder}/0", rank=0, world_size=1)
        try:
            train()  # the model must end before its group: the other order can deadlock in PyTorch
        finally:
            dist.destroy_process_group()


@program
def forward_in_threads(note):
    models, results = [mlp(3, 6, 1), mlp(3, 6, 1)], {}
    for _ in range(2):
        x = torch.randn(4, 3)

        def compute(i, x=x):
            results[i] = models[i](x).pow(2).mean()

        threads = [threading.Thread(target=compute, args=[i]) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        loss = results[0] + results[1]
        loss.backward()
        note(*models)


@program
def backward_in_a_thread(note):
    model = mlp(3, 6, 1)
    for i in range(2):
        loss = model(torch.randn(4, 3)).pow(2).mean()
        if i:
            loss.backward()
        else:
            thread = threading.Thread(target=loss.backward)
            thread.start()
            thread.join()
        note(model)


# Graphs, tables, memory


@program
def graph_convolutions(note):
    layers, edges = nn.ModuleList(nn.Linear(4, 4) for _ in range(2)), torch.randint(0, 6, (2, 14))
    attend = leaf(8)
    for _ in range(2):
        x = torch.randn(6, 4)
        for layer in layers:
            h = layer(x)
            source, target = h[edges[0]], h[edges[1]]
            score = F.leaky_relu(torch.cat([source, target], -1) @ attend, 0.2).exp()
            total = torch.zeros(6).scatter_add(0, edges[1], score)
            weighed = source * (score / total[edges[1]])[:, None]
            x = torch.zeros(6, 4).index_add_(0, edges[1], weighed).relu()
        loss = x.scatter_reduce(0, edges[:1].T.expand(-1, 4)[:6], x, "mean").sum()
        loss.backward()
        note(layers, attend)


@program
def buffers_written_in_place(note):
    w, memory = leaf(6), nn.Linear(6, 6)
    for _ in range(2):
        x = torch.randn(3, 6) * w
        cache = torch.zeros(4, 3, 6)
        for t in range(4):
            x[:, t] *= 0.9
            x[:, t + 1 :].add_(x[:, t : t + 1])
            cache[t] = memory(x.clone()).tanh()
        cache[cache > 0.5] = 0.5
        cache[[0, 2]] *= 2
        loss = cache.pow(2).mean()
        loss.backward()
        note(w, memory)
