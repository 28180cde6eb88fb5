"""What fused functions of PyTorch are composed of: the definition behind one node, on tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DEFINITIONS: dict[str, Callable[..., Any]] = {}
