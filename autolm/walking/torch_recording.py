"""Record or count the passes of PyTorch in a program, from its import of PyTorch on.

Importing PyTorch is slow, and a program may not need it. So an import hook starts the recording
right after the program itself has imported PyTorch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from os.path import dirname, join
from typing import Any

from autolm.engine.location import add_machinery

Counter = Callable[[Any], object]


class TorchRecording:
    """Record the PyTorch functions of one program, or only count its backward passes.

    Parameters
    ----------
    count
        Called with the tensor before each `backward()` that is not recorded.
    """

    def __init__(self, count: Counter) -> None:
        self.count = count
        self._stack = ExitStack()
        self._is_recording = False
        self._counted: Any = None  # PyTorch's own `backward`, while it is replaced

    @contextmanager
    def watch(self, *, is_recording: bool) -> Iterator[None]:
        """Record or count in this block, from the moment at which PyTorch is imported."""
        self._is_recording = is_recording
        finder = None
        if "torch" in sys.modules:
            self._begin()
        else:
            finder = _ImportHook("torch", self._begin)
            sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            if finder is not None:
                finder.withdraw()
            self._end()

    def record(self, is_recording: bool) -> None:
        """Record from now on, or count from now on; before the import, only remember which."""
        if is_recording == self._is_recording:
            return
        if "torch" in sys.modules:
            self._end()
        self._is_recording = is_recording
        if "torch" in sys.modules:
            self._begin()

    def _begin(self) -> None:
        from autolm.torch.function_mode import (
            record,
        )  # its import saves PyTorch's original functions

        if self._is_recording:
            self._stack.enter_context(record())
            return
        import torch

        add_machinery(join(dirname(torch.__file__), ""))  # its frames are not the user's program
        plain = self._counted = torch.autograd.backward

        @wraps(plain)
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            plain(tensors, *args, **kwargs)
            self.count(tensors)

        torch.autograd.backward = backward

    def _end(self) -> None:
        if self._counted is not None:
            import torch

            torch.autograd.backward, self._counted = self._counted, None
        elif self._is_recording and "torch" in sys.modules:
            from autolm.torch.function_mode import stop_recording

            stop_recording()
        self._stack.close()


class _ImportHook:
    """Find one library by the other finders, and call back after its import."""

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self._name, self._then = name, then

    def withdraw(self) -> None:
        """Remove this finder from `sys.meta_path`."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the library's spec with a loader that calls back; None for other modules."""
        if name != self._name:
            return None
        self.withdraw()
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def then(module: Any) -> None:
                load(module)
                self._then()

            spec.loader.exec_module = then  # type: ignore[method-assign]
        return spec


def unwalked_passes() -> list[str]:
    """List the backward passes of PyTorch that autolm noticed and cannot walk."""
    if "torch" not in sys.modules:
        return []
    from autolm.torch import notices

    return notices.passes_not_walked()
