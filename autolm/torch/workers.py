"""The workers of a run: which one this is, where it computes, and what all of them agree on.

`torchrun` starts the processes and says to each who it is; without it there is one worker, alone.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from autolm.lm.agreement import Facts, require_agreement
from autolm.lm.config import DeviceName, DTypeName, Parallel
from autolm.lm.engine import WorkerLost

# What gloo and NCCL say when the other end of a connection is no longer there.
TIMED_OUT = re.compile("timed? ?out", re.IGNORECASE)
LOST = re.compile("gloo|nccl|connection|broken pipe|socket|timed out", re.IGNORECASE)


MOST_PATIENCE = 7 * 24 * 3600
PATIENCE = "AUTOLM_WORKER_TIMEOUT"  # seconds that a worker waits for the others


def patience() -> int:
    """Return for how many seconds a worker waits for the others; 300 unless the user says.

    Raises
    ------
    ValueError
        When the environment gives something else than a whole number up to a week.
    """
    seconds = os.environ.get(PATIENCE, "300")
    if not seconds.isdecimal() or not 0 < int(seconds) <= MOST_PATIENCE:
        raise ValueError(
            f"{PATIENCE} must be a whole number of seconds from 1 to {MOST_PATIENCE}, not "
            f"{seconds!r}"
        )
    return int(seconds)


@dataclass(frozen=True)
class Workers:
    """Who works: this worker among all.

    Attributes
    ----------
    device
        Where it computes.
    rank
        Its number, from 0.
    size
        How many there are.
    parallel
        How they share the work: each has the whole model ("ddp") or a part ("fsdp"); None for one
        worker alone.
    """

    device: torch.device
    rank: int = 0
    size: int = 1
    parallel: Parallel | None = None
    _sent: deque[torch.Tensor] = field(default_factory=lambda: deque(maxlen=8), compare=False)

    def total(self, number: torch.Tensor) -> torch.Tensor:
        """Add the numbers of all workers up, in place; each gets the same."""
        if self.parallel is not None:
            self._sent.append(number)  # see `_settle`
            dist.all_reduce(number)
        return number

    def require_agreement(self, facts: Callable[[], Facts]) -> None:
        """Compare facts with those of the other workers; one worker alone makes none.

        Raises
        ------
        WorkersDisagree
            When they differ, at every worker.
        WorkerLost
            When the connection to another worker is lost.
        """
        if self.parallel is None:
            return
        facts_by_rank: list[Any] = [None] * self.size
        own = {
            **facts(),
            "--parallel": self.parallel,
            "--device": self.device.type,
            "the version of PyTorch": str(torch.__version__),
        }
        with self.together():
            dist.all_gather_object(facts_by_rank, own)
        require_agreement(facts_by_rank)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Say it in a line if another worker cannot be reached.

        It may have ended, or have given up on a third one: a connection does not say which.

        Raises
        ------
        WorkerLost
            In place of the error of a connection.
        """
        try:
            yield
        except RuntimeError as error:
            if self.size > 1 and LOST.search(f"{type(error).__name__} {error}"):
                lost = "the connection to another worker is lost"
                if TIMED_OUT.search(str(error)):
                    lost = f"another worker has not answered for {patience()} s"
                raise WorkerLost(f"worker {self.rank} of {self.size}: {lost}") from None
            raise


def first_to_fail() -> Callable[[], bool]:
    """Meet the other workers where torchrun lets them leave word for one another.

    Returns
    -------
    What a worker asks that cannot go on: whether none has asked before.

    Raises
    ------
    OSError
        When there is no such place, as when the port is in use.
    """
    with _finding():
        store, *_ = next(rendezvous("env://"))

    def is_first() -> bool:
        try:
            return bool(store.add("failed", 1) == 1)
        except RuntimeError:  # the place is gone, with the worker that had made it
            return True

    return is_first


@contextmanager
def joined(device: DeviceName, parallel: Parallel | None, dtype: DTypeName) -> Iterator[Workers]:
    """Join the other workers, and leave them at the end.

    Raises
    ------
    ValueError
        When there is no such device, or it cannot compute in `dtype`; when `parallel` is asked of
        one worker alone; when the library by which workers talk is absent.
    OSError
        When the workers do not find one another, as when the port is in use.
    """
    place = _place(device, dtype)
    if "WORLD_SIZE" not in os.environ:
        if parallel is not None:
            raise ValueError(
                f"--parallel {parallel} is for several workers: "
                "torchrun --nproc_per_node N -m autolm train … --engine torch"
            )
        yield Workers(place)
        return
    backend = "nccl" if device == "cuda" else "gloo"
    if device == "mps" or not getattr(dist, f"is_{backend}_available", lambda: False)():
        raise ValueError(
            f"several workers on {device} need {backend}, which this PyTorch lacks: "
            "use --device cpu, or one worker"
        )
    timeout = timedelta(seconds=patience())
    with _finding():
        dist.init_process_group(backend, timeout=timeout)
    yield Workers(place, dist.get_rank(), dist.get_world_size(), parallel or "ddp")
    _settle()  # if all went well: else a worker may be gone, of which no leave is to be taken
    dist.destroy_process_group()


@contextmanager
def _finding() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise OSError(f"the workers do not find one another: {_first_line(error)}") from None


def _settle() -> None:
    """Let the threads of the connection come to rest before it is taken down.

    The one that has sent a tensor needs Python's lock to let go of it, if nobody else holds the
    tensor; whoever takes the connection down holds the lock while it waits for that thread.
    """
    time.sleep(0.05)


def _place(device: DeviceName, dtype: DTypeName) -> torch.device:
    """Return the device of this worker; of several GPUs, its own."""
    if device == "cuda":
        number = int(os.environ.get("LOCAL_RANK", 0))
        here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        if here > (there := torch.cuda.device_count()):  # which each of them sees
            wanted = f"{here} workers want a GPU each" if there else "there is no GPU"
            raise ValueError(f"--device cuda: {wanted}, and PyTorch sees {there}: use --device cpu")
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or products are not repeated
        torch.cuda.set_device(number)
        return torch.device(device, number)
    if device == "mps" and not torch.backends.mps.is_available():
        raise ValueError("--device mps: there is no such GPU here: use --device cpu")
    if device == "mps" and dtype == "float64":
        raise ValueError("--device mps has no float64: use --dtype float32, or --device cpu")
    return torch.device(device)


def _first_line(error: Any) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
