"""Tensor: an array in a computation graph, its methods and operators (layer 2).

The operations themselves are in `autolm.ops`; this package records their results as nodes. It
imports nothing about models, tools or terminals.
"""

from autolm.tensor.tensor import Tensor

__all__ = ["Tensor"]
