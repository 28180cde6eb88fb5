"""Trains a small GPT of PyTorch for three steps; it knows nothing of autolm."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)

    def forward(self, x):
        q, k, v = [t.view(2, 5, 2, 4).transpose(1, 2) for t in self.qkv(x).chunk(3, -1)]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(2, 5, 8))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 8)
        self.blocks = nn.ModuleList([Attention(), Attention()])
        self.drop = nn.Dropout(0.1)

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = x + self.drop(block(x))
        return x @ self.embed.weight.T


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
ids = torch.randint(0, 7, (2, 5))
for step in range(3):
    logits = model(ids)
    loss = F.cross_entropy(logits.flatten(0, 1), ids.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    grads = sum(p.grad.double().sum() for p in model.parameters())
    print(step, loss.item().hex(), grads.item().hex(), torch.rand(1).item())
