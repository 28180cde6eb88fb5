"""The data of a tensor at one moment, also after the program has written into its memory.

Nothing is copied when a tensor is computed. Before a recorded in-place write, the part that will be
overwritten is copied, once for all snapshots of that memory. A snapshot that is read later undoes
the writes since, on a copy. So n writes cost the bytes that they write, and not n whole tensors.

The writes to one memory are a chain from the oldest to the newest. A snapshot holds the write that
comes after it, and a write the next one: what no snapshot needs any more is freed by itself.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from autolm.torch.asking import unseen


class Write:
    """One in-place write, or the place for the next one in the chain of a memory.

    Attributes
    ----------
    next
        The write after it; None as long as this one has not happened.
    old
        The numbers that it replaced; None if these were not kept.
    """

    __slots__ = ("__weakref__", "_geometry", "_index", "_target", "bumps", "next", "old")

    def __init__(self) -> None:
        self.next: Write | None = None
        self.old: torch.Tensor | None = None
        self.bumps = 0  # by how much it raised the version of its tensor
        self._target: torch.Tensor | None = None

    def begin(self, target: torch.Tensor, index: Any) -> None:
        """Keep what a write into `target`, or into `target[index]`, will replace."""
        self._target, self.bumps = target, -version_of(target)
        if not _can_be_copied(target):
            return
        self._geometry = _geometry(target)
        is_as_in_memory = not (target.is_conj() or target.is_neg())
        memory = target.untyped_storage()
        part = target.detach() if is_as_in_memory else _view(memory, self._geometry)
        if index is not None:
            self._index = _copied(index)
            part = part[self._index]
        else:
            self._index = None
        self.old = part.clone()

    def end(self) -> None:
        """Note that the write is done."""
        assert self._target is not None
        self.bumps += version_of(self._target)
        self._target = None

    def undo(self, memory: torch.UntypedStorage) -> None:
        """Put what was there before into a copy of the memory."""
        assert self.old is not None
        part = _view(memory, self._geometry)
        if self._index is None:
            part.copy_(self.old)
        else:
            part[self._index] = self.old


# The place for the next write to each memory that some snapshot is of.
_next_writes: weakref.WeakValueDictionary[int, Write] = weakref.WeakValueDictionary()


class Snapshot:
    """A tensor as it is now. It is read by `data`, and as long as nobody writes, costs nothing.

    The fresh result of an operation is the only tensor of its memory. Whatever shares memory with
    another must be a snapshot `watched` from the beginning; the others are before the first write.
    """

    __slots__ = ("_next_write", "tensor", "version")

    def __init__(self, tensor: torch.Tensor, watched: bool = True) -> None:
        self.tensor, self.version = tensor, version_of(tensor)
        self._next_write: Write | None = None
        if watched:
            self.watch()

    def watch(self) -> None:
        """Take part in the chain of writes to the memory, from now on."""
        memory = _memory_of(self.tensor) if self._next_write is None else None
        if memory is not None:
            write = _next_writes.get(memory)
            if write is None:
                _next_writes[memory] = write = Write()
            self._next_write = write

    @property
    def data(self) -> torch.Tensor:
        """The numbers of that moment; only a shape, on the device `meta`, if they are gone."""
        writes, write = list[Write](), self._next_write
        while write is not None and write.next is not None:
            writes.append(write)
            write = write.next
        unseen_writes = version_of(self.tensor) - self.version - sum(each.bumps for each in writes)
        if not writes and not unseen_writes:
            return self.tensor
        with unseen(), torch.no_grad():
            if unseen_writes > 0 or any(each.old is None for each in writes):
                return torch.empty_like(self.tensor, device="meta")
            memory = self.tensor.untyped_storage().clone()  # type: ignore[no-untyped-call]
            for each in reversed(writes):
                each.undo(memory)
            data = _view(memory, _geometry(self.tensor))
            data = data.conj() if self.tensor.is_conj() else data
            return torch._neg_view(data) if self.tensor.is_neg() else data


def begin_write(target: torch.Tensor, index: Any = None) -> Write | None:
    """Keep what a write is about to replace; None if no snapshot needs it."""
    memory = _memory_of(target)
    write = None if memory is None else _next_writes.get(memory)
    if write is None or memory is None:
        return None
    write.next = _next_writes[memory] = Write()
    with torch.no_grad():
        write.begin(target, index)
    return write


def _copied(index: Any) -> Any:
    """Return an index that stays as it is, whatever the program does with its tensors."""
    if type(index) is tuple:
        return tuple([_copied(each) for each in index])
    if isinstance(index, torch.Tensor):
        return index.clone()
    return list(index) if isinstance(index, list) else index


def version_of(tensor: torch.Tensor) -> int:
    """Return how often the memory of a tensor was written into; 0 if PyTorch does not count."""
    try:
        return tensor._version
    except RuntimeError:  # it was made under torch.inference_mode()
        return 0


def _memory_of(tensor: torch.Tensor) -> int | None:
    """Return what identifies the memory of a tensor, as long as somebody has it."""
    if tensor.layout is not torch.strided:
        return None
    return tensor.untyped_storage()._cdata


def _can_be_copied(tensor: torch.Tensor) -> bool:
    return not tensor.is_meta and not is_traceable_wrapper_subclass(tensor)


Geometry = tuple[torch.dtype, torch.device, Any, torch.Size, tuple[int, ...]]


def _geometry(tensor: torch.Tensor) -> Geometry:
    place = (tensor.storage_offset(), tensor.size(), tensor.stride())
    return (tensor.dtype, tensor.device, *place)


def _view(memory: torch.UntypedStorage, geometry: Geometry) -> torch.Tensor:
    dtype, device, offset, size, stride = geometry
    return torch.empty(0, dtype=dtype, device=device).set_(memory, offset, size, stride)
