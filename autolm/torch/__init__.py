"""PyTorch programs as autolm graphs, and training with PyTorch (layer 6).

`record()` records the functions that a program calls; `graph(loss)` then returns a node that every
autolm tool accepts. Gradients come from PyTorch's own backward functions. `load` opens a trained
TinyLM as a PyTorch module. Importing this package with AUTOLM_DEBUG=1 or AUTOLM_DAP set starts
recording.
"""

from __future__ import annotations

import os
from typing import Any

from autolm.outside.lazy import lazily

_HOMES = {
    "autolm.torch.function_mode": "record",
    "autolm.torch.root": "graph node",
    "autolm.torch.checking": "check",
    "autolm.torch.torch_model": "arrays load",
}
_find, __dir__ = lazily(globals(), _HOMES, subpackages=("function_mode",))


def __getattr__(name: str) -> Any:
    try:
        return _find(name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        message = "autolm.torch needs PyTorch: pip install 'autolm[torch]'"
        raise ModuleNotFoundError(message, name="torch") from None


if os.getenv("AUTOLM_DEBUG") == "1" or os.getenv("AUTOLM_DAP"):
    __getattr__("function_mode").record_until_exit()
