"""What the engine reaches in the rooms above it, at run time: each is looked up at first use.

Imports point down only. Where the engine needs something of a higher room, such as the words for a
step, it asks here by name; without that room (the engine alone, in a page) there is a plain answer.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import Any

PLACES = {
    "step in words": "autolm.walking.wording:printed_step",
    "forward step in words": "autolm.walking.wording:printed_forward_step",
    "contribution in words": "autolm.walking.wording:printed_contribution",
    "operation in words": "autolm.walking.wording:expression",
    "name in the program": "autolm.walking.program_names:name_of",
    "array in words": "autolm.walking.wording:show",
    "node of a tensor": "autolm.torch.root:node_under",
    "known node of a tensor": "autolm.torch.memory:known",
    "torch node absent": "autolm.torch.modules:why_absent",
    "torch node opened": "autolm.torch.opening:opened",
    "torch node in NumPy": "autolm.torch.in_numpy:in_numpy",
    "torch node computed again": "autolm.torch.memory:compute_again",
    "passes of PyTorch not walked": "autolm.torch.notices:passes_not_walked",
    "end of recording PyTorch": "autolm.torch.recorder:stop_recording",
    "recording of PyTorch": "autolm.torch.recorder:record",
    "tensor of an operation": "autolm.tensor.tensor:record",
    "tensors of a composition": "autolm.tensor.tensor:compose",
    "picture in a notebook": "autolm.drawing.notebook:bundle",
    "table in a notebook": "autolm.drawing.table:table",
    "backward under AUTOLM_DEBUG=1": "autolm.debugger.stop_backward:stopped_backward",
    "backward under AUTOLM_DAP": "autolm.debugger.dap.attached:stopped_backward",
}


@cache
def higher(name: str) -> Any:
    """Return what a higher room offers under a name; None where that room is not installed."""
    module, _, attribute = PLACES[name].partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "autolm":
            raise  # the room is there, and a library that it needs is not
        return None


def node_of(value: Any) -> Any:
    """Return the node that stands for a tensor of PyTorch; None for all else."""
    return higher("node of a tensor")(value) if _is_tensor(value) else None


def known_node(value: Any) -> Any:
    """Return the node that stands for a tensor of PyTorch, where there is one already."""
    return higher("known node of a tensor")(value) if _is_tensor(value) else None


def _is_tensor(value: Any) -> bool:
    return isinstance(value, getattr(sys.modules.get("torch"), "Tensor", ()))
