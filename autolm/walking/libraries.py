"""Record what another library does in a program, from the moment at which it is imported.

A program of autolm imports no PyTorch, and must not wait for it. So nothing is begun before the
program imports the library itself, and then before its first line that uses it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any


@contextmanager
def recording_libraries() -> Iterator[None]:
    """Let PyTorch be recorded in this block, if and when it is imported."""
    with ExitStack() as stack:

        def begin() -> None:
            from autolm.torch.recorder import record

            stack.enter_context(record())

        if "torch" in sys.modules:
            begin()
        else:
            finder = _AfterImport("torch", begin)
            sys.meta_path.insert(0, finder)
            stack.callback(finder.withdraw)
        yield


class _AfterImport:
    """Finds one library as the others do, and calls back when its import is done."""

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self._name, self._then = name, then

    def withdraw(self) -> None:
        """Look for the library no more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the library's own spec, whose loader calls back; of every other, nothing."""
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


def stop_recording_libraries() -> None:
    """Record nothing more of PyTorch, in the block that records it: the last pass was walked."""
    if "torch" in sys.modules:
        from autolm.torch.recorder import stop_recording

        stop_recording()


def passes_not_walked() -> list[str]:
    """List what of a library's backward passes was named, and not walked."""
    if "torch" not in sys.modules:
        return []
    from autolm.torch import notices

    return notices.passes_not_walked()
