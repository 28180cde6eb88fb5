"""Arrays in a computation graph: Tensor, its methods, and what fits gradients to it (floor 2).

What an operation computes stands in `ops`; here it becomes a node. Nothing of models, tools or
terminals may enter.
"""

from autolm.tensor.tensor import Tensor

__all__ = ["Tensor"]
