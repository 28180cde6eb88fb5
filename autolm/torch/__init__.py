"""Programs of PyTorch as graphs of ours, stepped through and drawn; training in PyTorch (floor 6).

`record()` remembers what a program's functions did, and `graph(loss)` is then a node like any
other. The rules are PyTorch's own; nothing is computed again. Where AUTOLM_DEBUG=1 or AUTOLM_DAP
ask for it, importing this begins to record. `load` goes on in PyTorch with what TinyLM has learnt.
"""

from __future__ import annotations

import os
from typing import Any

from autolm.outside.lazy import lazily

_HOMES = {
    "autolm.torch.recorder": "record",
    "autolm.torch.root": "graph node",
    "autolm.torch.checking": "check",
    "autolm.torch.torch_model": "arrays load",
}
_find, __dir__ = lazily(globals(), _HOMES, subpackages=("recorder",))


def __getattr__(name: str) -> Any:
    try:
        return _find(name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        message = "autolm.torch needs PyTorch: pip install 'autolm[torch]'"
        raise ModuleNotFoundError(message, name="torch") from None


if os.getenv("AUTOLM_DEBUG") == "1" or os.getenv("AUTOLM_DAP"):
    __getattr__("recorder").record_from_now_on()
