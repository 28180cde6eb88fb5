"""The worker processes of a training run: rank, device, and communication.

`torchrun` starts the processes and sets their ranks; without it there is a single worker.
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
from autolm.lm.training_engine import WorkerLost
from autolm.outside.message import message

# Patterns in the errors of gloo and NCCL for a lost connection.
TIMED_OUT = re.compile("timed? ?out", re.IGNORECASE)
LOST = re.compile("gloo|nccl|connection|broken pipe|socket|timed out", re.IGNORECASE)


MAX_TIMEOUT = 7 * 24 * 3600
TIMEOUT_VARIABLE = "AUTOLM_WORKER_TIMEOUT"  # seconds that a worker waits for the others


def worker_timeout() -> int:
    """Return for how many seconds a worker waits for the others, 300 by default.

    Raises
    ------
    ValueError
        If the environment variable is not a whole number from 1 to one week.
    """
    seconds = os.environ.get(TIMEOUT_VARIABLE, "300")
    if not seconds.isdecimal() or not 0 < int(seconds) <= MAX_TIMEOUT:
        raise ValueError(
            message(
                "{TIMEOUT_VARIABLE} must be a whole number of seconds from 1 to "
                "{MAX_TIMEOUT}, got {seconds!r}",
                TIMEOUT_VARIABLE=TIMEOUT_VARIABLE,
                MAX_TIMEOUT=MAX_TIMEOUT,
                seconds=seconds,
            )
        )
    return int(seconds)


@dataclass(frozen=True)
class Workers:
    """A worker and its group.

    Attributes
    ----------
    device
        The device on which it computes.
    rank
        Its number, from 0.
    size
        The number of workers.
    parallel
        Whether each worker has the whole model ("ddp") or a part ("fsdp"); None for a single
        worker.
    """

    device: torch.device
    rank: int = 0
    size: int = 1
    parallel: Parallel | None = None
    _sent: deque[torch.Tensor] = field(default_factory=lambda: deque(maxlen=8), compare=False)

    def total(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum a tensor over all workers, in place."""
        if self.parallel is not None:
            self._sent.append(tensor)  # see `_settle`
            dist.all_reduce(tensor)
        return tensor

    def require_agreement(self, facts: Callable[[], Facts]) -> None:
        """Check that all workers have the same facts; a single worker does nothing.

        Raises
        ------
        WorkersDisagree
            If the facts differ; raised on every worker.
        WorkerLost
            If the connection to another worker is lost.
        """
        if self.parallel is None:
            return
        facts_by_rank: list[Any] = [None] * self.size
        facts_of_worker = {
            **facts(),
            "--parallel": self.parallel,
            "--device": self.device.type,
            "the version of PyTorch": str(torch.__version__),
        }
        with self.reporting_losses():
            dist.all_gather_object(facts_by_rank, facts_of_worker)
        require_agreement(facts_by_rank)

    @contextmanager
    def reporting_losses(self) -> Iterator[None]:
        """Convert a connection error to a one-line WorkerLost.

        The other worker may have ended, or may have lost its connection to a third one: the error
        does not tell which.
        """
        try:
            yield
        except RuntimeError as error:
            if self.size > 1 and LOST.search(f"{type(error).__name__} {error}"):
                reason = "the connection to another worker is lost"
                if TIMED_OUT.search(str(error)):
                    reason = f"another worker has not answered for {worker_timeout()} s"
                raise WorkerLost(f"worker {self.rank} of {self.size}: {reason}") from None
            raise


def first_to_fail() -> Callable[[], bool]:
    """Connect to torchrun's store, so that only one failing worker prints an error.

    Returns
    -------
    is_first
        To be called by a worker that fails: returns True for the first one.

    Raises
    ------
    OSError
        If the store cannot be reached, for example because the port is in use.
    """
    with _rendezvous_errors():
        store, *_ = next(rendezvous("env://"))

    def is_first() -> bool:
        try:
            return bool(store.add("failed", 1) == 1)
        except RuntimeError:  # the worker that owns the store has ended
            return True

    return is_first


@contextmanager
def join_workers(
    device: DeviceName, parallel: Parallel | None, dtype: DTypeName
) -> Iterator[Workers]:
    """Join the group of workers, and leave it at the end of the block.

    Raises
    ------
    ValueError
        If the device does not exist or does not support `dtype`, if `parallel` is set for a single
        worker, or if PyTorch lacks the communication backend.
    OSError
        If the workers cannot connect, for example because the port is in use.
    """
    worker_device = _device_of_worker(device, dtype)
    if "WORLD_SIZE" not in os.environ:
        if parallel is not None:
            raise ValueError(
                f"--parallel {parallel} is for several workers: "
                "torchrun --nproc_per_node N -m autolm train … --engine torch"
            )
        yield Workers(worker_device)
        return
    backend = "nccl" if device == "cuda" else "gloo"
    if device == "mps" or not getattr(dist, f"is_{backend}_available", lambda: False)():
        raise ValueError(
            f"several workers on {device} need {backend}, which this PyTorch lacks: "
            "use --device cpu, or one worker"
        )
    timeout = timedelta(seconds=worker_timeout())
    with _rendezvous_errors():
        dist.init_process_group(backend, timeout=timeout)
    yield Workers(worker_device, dist.get_rank(), dist.get_world_size(), parallel or "ddp")
    _settle()  # after success only: after an error another worker may have ended
    dist.destroy_process_group()


@contextmanager
def _rendezvous_errors() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise OSError(
            message("the workers do not find one another: {error}", error=_first_line(error))
        ) from None


def _settle() -> None:
    """Wait for the communication threads before the process group is destroyed.

    A thread that has sent a tensor needs the GIL to release it, and destroying the group holds the
    GIL while it waits for that thread: without this pause they can deadlock.
    """
    time.sleep(0.05)


def _device_of_worker(device: DeviceName, dtype: DTypeName) -> torch.device:
    """Return the device of this worker, one GPU per local worker."""
    if device == "cuda":
        tensor = int(os.environ.get("LOCAL_RANK", 0))
        local_workers = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        if local_workers > (
            available := torch.cuda.device_count()
        ):  # each local worker sees all GPUs
            problem = f"{local_workers} workers want a GPU each" if available else "there is no GPU"
            raise ValueError(
                f"--device cuda: {problem}, and PyTorch sees {available}: use --device cpu"
            )
        os.environ.setdefault(
            "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
        )  # needed for deterministic products
        torch.cuda.set_device(tensor)
        return torch.device(device, tensor)
    if device == "mps" and not torch.backends.mps.is_available():
        raise ValueError("--device mps: there is no such GPU here: use --device cpu")
    if device == "mps" and dtype == "float64":
        raise ValueError("--device mps has no float64: use --dtype float32, or --device cpu")
    return torch.device(device)


def _first_line(error: Any) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
