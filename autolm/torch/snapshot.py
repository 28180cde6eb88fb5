"""Snapshots of tensors that survive in-place writes, without copying whole tensors.

Before a recorded in-place write, the part that will be overwritten is copied, once for all
snapshots of that memory. Reading a snapshot later undoes the writes since then, on a copy of the
memory. So n writes cost the bytes that they write, not n whole tensors.

The writes to one memory form a linked list, oldest first. A snapshot references the next write
after it, and each write the next one, so that writes which no snapshot needs are freed.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from autolm.torch.recording_pause import recording_paused


class Write:
    """One in-place write, or an empty entry for the next write to a memory.

    Attributes
    ----------
    next
        The following write; None for an empty entry.
    old
        The elements that it replaced; None if they were not copied.
    version_increments
        By how much the write raised the version of its tensor.
    """

    __slots__ = (
        "__weakref__",
        "_geometry",
        "_index",
        "_target",
        "next",
        "old",
        "version_increments",
    )

    def __init__(self) -> None:
        self.next: Write | None = None
        self.old: torch.Tensor | None = None
        self.version_increments = 0
        self._target: torch.Tensor | None = None

    def begin(self, target: torch.Tensor, index: Any) -> None:
        """Copy the elements that a write into `target`, or into `target[index]`, will replace."""
        self._target, self.version_increments = target, -version_of(target)
        if not _is_copyable(target):
            return
        self._geometry = _geometry(target)
        is_plain = not (target.is_conj() or target.is_neg())  # elements are as in memory
        memory = target.untyped_storage()
        part = target.detach() if is_plain else _view(memory, self._geometry)
        if index is not None:
            self._index = _copy_index(index)
            part = part[self._index]
        else:
            self._index = None
        self.old = part.clone()

    def end(self) -> None:
        """Note that the write has happened."""
        assert self._target is not None
        self.version_increments += version_of(self._target)
        self._target = None

    def undo(self, memory: torch.UntypedStorage) -> None:
        """Restore the replaced elements in a copy of the memory."""
        assert self.old is not None
        part = _view(memory, self._geometry)
        if self._index is None:
            part.copy_(self.old)
        else:
            part[self._index] = self.old


# The empty entry of each memory that has a watched snapshot, by storage id.
_next_writes: weakref.WeakValueDictionary[int, Write] = weakref.WeakValueDictionary()


class Snapshot:
    """The data of a tensor at one moment; free until the memory is written into.

    A tensor that shares memory with another one must be `watched` from the start. The new result of
    an operation owns its memory, and can be watched just before the first write.
    """

    __slots__ = ("_next_write", "tensor", "version")

    def __init__(self, tensor: torch.Tensor, watched: bool = True) -> None:
        self.tensor, self.version = tensor, version_of(tensor)
        self._next_write: Write | None = None
        if watched:
            self.watch()

    def watch(self) -> None:
        """Track the writes to the memory from now on."""
        memory = _storage_id(self.tensor) if self._next_write is None else None
        if memory is not None:
            write = _next_writes.get(memory)
            if write is None:
                _next_writes[memory] = write = Write()
            self._next_write = write

    @property
    def data(self) -> torch.Tensor:
        """The data at that moment; a tensor on the device `meta` if they are lost."""
        writes, write = list[Write](), self._next_write
        while write is not None and write.next is not None:
            writes.append(write)
            write = write.next
        increments = sum(write.version_increments for write in writes)
        untracked = version_of(self.tensor) - self.version - increments
        if not writes and not untracked:
            return self.tensor
        with recording_paused(), torch.no_grad():
            if untracked > 0 or any(write.old is None for write in writes):
                return torch.empty_like(self.tensor, device="meta")
            memory = self.tensor.untyped_storage().clone()  # type: ignore[no-untyped-call]
            for write in reversed(writes):
                write.undo(memory)
            data = _view(memory, _geometry(self.tensor))
            data = data.conj() if self.tensor.is_conj() else data
            return torch._neg_view(data) if self.tensor.is_neg() else data


def begin_write(target: torch.Tensor, index: Any = None) -> Write | None:
    """Copy what a write is about to replace; return None if no snapshot needs it."""
    memory = _storage_id(target)
    write = None if memory is None else _next_writes.get(memory)
    if write is None or memory is None:
        return None
    write.next = _next_writes[memory] = Write()
    with torch.no_grad():
        write.begin(target, index)
    return write


def _copy_index(index: Any) -> Any:
    """Copy an index, so that later writes of the program do not change it."""
    if type(index) is tuple:
        return tuple([_copy_index(item) for item in index])
    if isinstance(index, torch.Tensor):
        return index.clone()
    return list(index) if isinstance(index, list) else index


def version_of(tensor: torch.Tensor) -> int:
    """Return the version of a tensor: the number of writes; 0 if PyTorch does not count them."""
    try:
        return tensor._version
    except RuntimeError:  # an inference tensor has no version
        return 0


def _storage_id(tensor: torch.Tensor) -> int | None:
    """Return the id of the memory of a tensor, valid while the memory exists."""
    if tensor.layout is not torch.strided:
        return None
    return tensor.untyped_storage()._cdata


def _is_copyable(tensor: torch.Tensor) -> bool:
    return not tensor.is_meta and not is_traceable_wrapper_subclass(tensor)


Geometry = tuple[torch.dtype, torch.device, Any, torch.Size, tuple[int, ...]]


def _geometry(tensor: torch.Tensor) -> Geometry:
    layout = (tensor.storage_offset(), tensor.size(), tensor.stride())
    return (tensor.dtype, tensor.device, *layout)


def _view(memory: torch.UntypedStorage, geometry: Geometry) -> torch.Tensor:
    dtype, device, offset, size, stride = geometry
    return torch.empty(0, dtype=dtype, device=device).set_(memory, offset, size, stride)
