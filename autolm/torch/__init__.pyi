from autolm.torch.checking import check as check
from autolm.torch.function_mode import record as record
from autolm.torch.root import graph as graph
from autolm.torch.root import node as node
from autolm.torch.torch_model import arrays as arrays
from autolm.torch.torch_model import load as load

__all__ = [
    "arrays",
    "check",
    "graph",
    "load",
    "node",
    "record",
]
