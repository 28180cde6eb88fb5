"""Training in PyTorch, on one worker or on many: `autolm train --engine torch`.

Every worker has the whole batch, and takes its rows of it. Its loss is the sum over them, times the
number of workers, by the number of targets in the *whole* batch: so the mean of the gradients over
the workers, which PyTorch takes, is the gradient of the mean over the batch, however unequal the
workers' shares are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn import functional as F

from autolm.lm.batches import IGNORE_INDEX, Batch
from autolm.lm.config import TrainingConfig
from autolm.lm.engine import Advance, Arrays, Engine
from autolm.lm.tinylm import TinyLM
from autolm.nn.saved_arrays import fitting_arrays
from autolm.torch.torch_model import (
    Parameter,
    arrays,
    as_array,
    as_tensor,
    named_parameters,
    torch_model,
)
from autolm.torch.workers import Workers

SLOTS = {"first_moment": "exp_avg", "second_moment": "exp_avg_sq"}  # what each calls its memory


class TorchEngine(Engine):
    """Training in PyTorch: the model as a PyTorch module, and PyTorch's AdamW.

    Parameters
    ----------
    model, config
        See `Engine`.
    workers
        Who shares the work.
    compiled
        Whether `torch.compile` fuses the operations.

    Raises
    ------
    ValueError
        When there are more workers than rows in a batch.
    """

    name = "torch"

    def __init__(
        self, model: TinyLM, config: TrainingConfig, workers: Workers, *, compiled: bool = False
    ) -> None:
        super().__init__(model, config)
        self.workers, self.num_workers, self.leads = workers, workers.size, workers.rank == 0
        if workers.size > config.batch_size:
            raise ValueError(
                f"batch_size {config.batch_size} does not reach for {workers.size} workers: "
                "each takes rows of the batch"
            )
        self.steps = 0
        self.torch_model: nn.Module = torch_model(model).to(workers.device)
        with workers.together():
            module = self._shared()
        self.module: Any = torch.compile(module) if compiled else module
        self.parameters = list(self.torch_model.parameters())
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self.parameters if p.ndim > 1]},
            {"params": [p for p in self.parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups,
            config.learning_rate,
            betas=(config.beta1, config.beta2),
            weight_decay=config.weight_decay,
            fused=True,
        )
        kind, compiling = workers.parallel, ", compiled" if compiled else ""
        shared = "" if kind is None else f" × {workers.size} {kind}"
        self.status = f"PyTorch on {workers.device.type}{shared}{compiling}"

    def _shared(self) -> nn.Module:
        """Return the module as the workers share it."""
        if self.workers.parallel == "ddp":
            shared = nn.parallel.DistributedDataParallel(
                self.torch_model,
                gradient_as_bucket_view=True,  # else gradients are stored twice
            )
            # In what order gradients are sent, and so rounded, it settles after one pass: before
            # the first step, or a run that goes on would round that step otherwise.
            token = torch.zeros(1, 1, dtype=torch.int64, device=self.workers.device)
            torch.autograd.backward(shared(token).sum())
            shared.zero_grad()
            return shared
        if self.workers.parallel == "fsdp":
            mesh = init_device_mesh(self.workers.device.type, (self.workers.size,))
            for part in [*self.torch_model.get_submodule("blocks").children(), self.torch_model]:
                fully_shard(part, mesh=mesh)
        return self.torch_model

    def advance(self, batch: Batch, learning_rate: float) -> Advance:
        """Do forward, backward and AdamW, together with the other workers."""
        with self.workers.together(), _compiling():
            self.optimizer.zero_grad()
            share = self._share(batch)
            torch.autograd.backward(share)
            loss = self.workers.total(share.detach()) / self.num_workers
            advance = Advance(loss.item(), self._gradient_norm())
            if advance.is_finite:
                for group in self.optimizer.param_groups:
                    group["lr"] = learning_rate
                self._clip(advance.gradient_norm)
                self.optimizer.step()
                self.steps += 1
            return advance

    def validate(self, batch: Batch) -> float:
        """Do forward, without a graph, together with the other workers."""
        with self.workers.together(), _compiling(), torch.no_grad():
            loss = self.workers.total(self._share(batch)) / self.num_workers
            if isinstance(self.torch_model, FSDPModule):
                self.torch_model.reshard()  # the outermost part waits for a backward pass with that
            return loss.item()

    def _share(self, batch: Batch) -> torch.Tensor:
        """Return the loss on this worker's rows, so that its mean over the workers is the loss."""
        inputs, targets = (
            torch.from_numpy(np.array_split(rows, self.num_workers)[self.workers.rank]).to(
                self.workers.device
            )
            for rows in batch
        )
        total = F.cross_entropy(
            self.module(inputs).flatten(0, 1),
            targets.flatten(),
            ignore_index=IGNORE_INDEX,
            reduction="sum",
        )
        return total * (self.num_workers / np.count_nonzero(batch[1] != IGNORE_INDEX))

    def _gradient_norm(self) -> float:
        """Return the length of the whole gradient, √(Σ g²), as `autolm.nn.gradient_norm` does."""
        wide = torch.float32 if self.workers.device.type == "mps" else torch.float64
        lengths = [
            torch.linalg.vector_norm(_local(p.grad), dtype=wide)
            for p in self.parameters
            if p.grad is not None
        ]
        square = torch.stack(lengths).square().sum()
        if self.workers.parallel == "fsdp":
            self.workers.total(square)
        return square.sqrt().item()

    def _clip(self, norm: float) -> None:
        """Scale the gradient; PyTorch's own function divides by 10⁻⁶ more."""
        if norm > self.config.clip:
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(self.config.clip / norm)

    def checkpoint(self) -> tuple[Arrays, Arrays]:
        """Gather what the workers have; every worker gets all."""
        with self.workers.together():
            state = arrays(self.torch_model)
            memory = {"steps": np.array(self.steps)}
            for slot, theirs in SLOTS.items():
                for each in named_parameters(self.torch_model):
                    moment = self.optimizer.state.get(each.tensor, {}).get(theirs)
                    memory[f"{slot}/{each.path}"] = (
                        np.zeros_like(state[each.path])  # before the first step
                        if moment is None
                        else as_array(moment, each)
                    )
        if self.leads:
            self.model.load_state(state)
        return state, memory

    def restore(self, parameters: Arrays, memory: Arrays) -> None:
        """Give each worker its part."""
        present = self.model.state()
        moments = {f"{slot}/{path}": array for slot in SLOTS for path, array in present.items()}
        memory = fitting_arrays("optimizer state", memory, {"steps": np.array(0), **moments})
        if memory["steps"] < 0:
            raise ValueError(f"optimizer state: steps must be at least 0, not {memory['steps']}")
        self.model.load_state(parameters)
        present = self.model.state()
        self.steps = int(memory["steps"])
        with torch.no_grad():
            for each in named_parameters(self.torch_model):
                each.tensor.copy_(self._part(present[each.path], each))
                self.optimizer.state[each.tensor] = {
                    "step": torch.tensor(float(self.steps), device=self.workers.device),
                } | {
                    theirs: self._part(memory[f"{slot}/{each.path}"], each)
                    for slot, theirs in SLOTS.items()
                }

    def _part(self, array: Any, parameter: Parameter) -> torch.Tensor:
        """Return this worker's part of an array, which every worker has whole."""
        tensor, like = as_tensor(array, parameter).to(self.workers.device), parameter.tensor
        if not isinstance(like, DTensor):
            return tensor
        return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)

    def any_worker(self, flag: bool) -> bool:
        """Ask all."""
        with self.workers.together():
            raised = torch.tensor(float(flag), device=self.workers.device)
            return bool(self.workers.total(raised).item())

    def from_leader(self, text: str) -> str:
        """Add up its letters, and at the others as many zeros."""
        letters = list(os.fsencode(text)) if self.leads else []
        device = self.workers.device
        with self.workers.together():
            length = self.workers.total(torch.tensor(len(letters), device=device))
            padded = letters or [0] * int(length.item())
            sent = self.workers.total(torch.tensor(padded, dtype=torch.uint8, device=device))
            return os.fsdecode(bytes(sent.tolist()))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Set the threads, and have the same numbers come of the same step each time."""
        threads, deterministic = torch.get_num_threads(), _is_deterministic()
        torch.set_num_threads(self.config.threads)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic)
            torch.set_num_threads(threads)


@contextmanager
def _compiling() -> Iterator[None]:
    """Say in a line if torch.compile cannot compile, as where there is no C++ compiler."""
    try:
        yield
    except RuntimeError as error:
        if not type(error).__module__.startswith(("torch._dynamo.", "torch._inductor.")):
            raise
        why = " ".join(str(error).split("\n\n")[0].split())
        raise OSError(f"torch.compile cannot compile here: {why}; leave --compile out") from None


def _is_deterministic() -> bool:
    return torch.are_deterministic_algorithms_enabled()


def _local(tensor: torch.Tensor) -> torch.Tensor:
    """Return what this worker has of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
