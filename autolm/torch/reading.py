"""What is asked of the numbers in a tensor, answered where the tensor is."""

from __future__ import annotations

import torch


def same_numbers(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors are alike to the number; a nan is one."""
    if (a.shape, a.dtype, a.layout, a.device) != (b.shape, b.dtype, b.layout, b.device):
        return False
    if a.layout is not torch.strided:
        a, b = a.to_dense(), b.to_dense()
    return bool(((a == b) | ((a != a) & (b != b))).all())
