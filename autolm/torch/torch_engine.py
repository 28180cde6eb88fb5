"""Training with PyTorch, on one worker or several: `autolm train --engine torch`.

Every worker receives the whole batch and computes on its own rows. Its loss is the sum over its
rows, times the number of workers, divided by the number of targets in the whole batch. PyTorch
averages the gradients over the workers; with this scaling the average is the gradient of the mean
loss of the batch, even if the workers have different numbers of rows.
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
from autolm.lm.tinylm import TinyLM
from autolm.lm.training_engine import Arrays, StepResult, TrainingEngine
from autolm.nn.saved_arrays import fitting_arrays
from autolm.outside.message import message
from autolm.torch.torch_model import (
    NamedParameter,
    arrays,
    as_array,
    as_tensor,
    named_parameters,
    torch_model,
)
from autolm.torch.workers import Workers

OPTIMIZER_STATE_NAMES = {
    "first_moment": "exp_avg",
    "second_moment": "exp_avg_sq",
}  # autolm's name -> PyTorch's name


class TorchEngine(TrainingEngine):
    """Train with a PyTorch module and PyTorch's AdamW.

    Parameters
    ----------
    model, config
        See `TrainingEngine`.
    workers
        The workers that share the batch.
    compiled
        Whether to compile the module with `torch.compile`.

    Raises
    ------
    ValueError
        If there are more workers than rows in a batch.
    """

    name = "torch"

    def __init__(
        self, model: TinyLM, config: TrainingConfig, workers: Workers, *, compiled: bool = False
    ) -> None:
        super().__init__(model, config)
        self.workers, self.num_workers, self.is_leader = workers, workers.size, workers.rank == 0
        if workers.size > config.batch_size:
            raise ValueError(
                f"batch_size {config.batch_size} does not reach for {workers.size} workers: "
                "each takes rows of the batch"
            )
        self.steps = 0
        self.torch_model: nn.Module = torch_model(model).to(workers.device)
        with workers.reporting_losses():
            module = self._distributed_module()
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
        parallel, suffix = workers.parallel, ", compiled" if compiled else ""
        count = "" if parallel is None else f" × {workers.size} {parallel}"
        self.status = f"PyTorch on {workers.device.type}{count}{suffix}"

    def _distributed_module(self) -> nn.Module:
        """Wrap the module for the way in which the workers share it."""
        if self.workers.parallel == "ddp":
            wrapped = nn.parallel.DistributedDataParallel(
                self.torch_model,
                gradient_as_bucket_view=True,  # avoids a second copy of the gradients
            )
            # DDP fixes the order of its gradient buckets, and so the rounding, after one pass. Run
            # that pass now, so that a resumed run rounds its first step as an uninterrupted one.
            token = torch.zeros(1, 1, dtype=torch.int64, device=self.workers.device)
            torch.autograd.backward(wrapped(token).sum())
            wrapped.zero_grad()
            return wrapped
        if self.workers.parallel == "fsdp":
            mesh = init_device_mesh(self.workers.device.type, (self.workers.size,))
            for part in [*self.torch_model.get_submodule("blocks").children(), self.torch_model]:
                fully_shard(part, mesh=mesh)
        return self.torch_model

    def advance(self, batch: Batch, learning_rate: float) -> StepResult:
        """Run forward, backward and AdamW together with the other workers."""
        with self.workers.reporting_losses(), _compile_errors():
            self.optimizer.zero_grad()
            partial_loss = self._loss_of_rows(batch)
            torch.autograd.backward(partial_loss)
            loss = self.workers.total(partial_loss.detach()) / self.num_workers
            advance = StepResult(loss.item(), self._gradient_norm())
            if advance.is_finite:
                for group in self.optimizer.param_groups:
                    group["lr"] = learning_rate
                self._clip(advance.gradient_norm)
                self.optimizer.step()
                self.steps += 1
            return advance

    def validate(self, batch: Batch) -> float:
        """Run forward without a graph, together with the other workers."""
        with self.workers.reporting_losses(), _compile_errors(), torch.no_grad():
            loss = self.workers.total(self._loss_of_rows(batch)) / self.num_workers
            if isinstance(self.torch_model, FSDPModule):
                self.torch_model.reshard()  # FSDP would wait for a backward pass
            return loss.item()

    def _loss_of_rows(self, batch: Batch) -> torch.Tensor:
        """Return the loss of this worker's rows; its mean over the workers is the loss."""
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
        """Return the norm of the whole gradient, √(Σ g²), as `autolm.nn.gradient_norm` does."""
        wide = torch.float32 if self.workers.device.type == "mps" else torch.float64
        norms = [
            torch.linalg.vector_norm(_local(p.grad), dtype=wide)
            for p in self.parameters
            if p.grad is not None
        ]
        square = torch.stack(norms).square().sum()
        if self.workers.parallel == "fsdp":
            self.workers.total(square)
        return square.sqrt().item()

    def _clip(self, norm: float) -> None:
        """Clip the gradient norm; `clip_grad_norm_` differs, since it adds 10⁻⁶ to the divisor."""
        if norm > self.config.clip:
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(self.config.clip / norm)

    def checkpoint(self) -> tuple[Arrays, Arrays]:
        """Gather parameters and optimizer state on every worker."""
        with self.workers.reporting_losses():
            state = arrays(self.torch_model)
            memory = {"steps": np.array(self.steps)}
            for slot, torch_name in OPTIMIZER_STATE_NAMES.items():
                for parameter in named_parameters(self.torch_model):
                    moment = self.optimizer.state.get(parameter.tensor, {}).get(torch_name)
                    memory[f"{slot}/{parameter.path}"] = (
                        np.zeros_like(state[parameter.path])  # before the first step
                        if moment is None
                        else as_array(moment, parameter)
                    )
        if self.is_leader:
            self.model.load_state(state)
        return state, memory

    def restore(self, parameters: Arrays, memory: Arrays) -> None:
        """Load parameters and optimizer state; each worker takes its part."""
        present = self.model.state()
        moments = {
            f"{slot}/{path}": array
            for slot in OPTIMIZER_STATE_NAMES
            for path, array in present.items()
        }
        memory = fitting_arrays("optimizer state", memory, {"steps": np.array(0), **moments})
        if memory["steps"] < 0:
            raise ValueError(f"optimizer state: steps must be at least 0, not {memory['steps']}")
        self.model.load_state(parameters)
        present = self.model.state()
        self.steps = int(memory["steps"])
        with torch.no_grad():
            for parameter in named_parameters(self.torch_model):
                parameter.tensor.copy_(self._local_part(present[parameter.path], parameter))
                self.optimizer.state[parameter.tensor] = {
                    "step": torch.tensor(float(self.steps), device=self.workers.device),
                } | {
                    torch_name: self._local_part(memory[f"{slot}/{parameter.path}"], parameter)
                    for slot, torch_name in OPTIMIZER_STATE_NAMES.items()
                }

    def _local_part(self, array: Any, parameter: NamedParameter) -> torch.Tensor:
        """Return this worker's part of a full array."""
        tensor, like = as_tensor(array, parameter).to(self.workers.device), parameter.tensor
        if not isinstance(like, DTensor):
            return tensor
        return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)

    def any_worker(self, flag: bool) -> bool:
        """Return whether the flag is set on any worker."""
        with self.workers.reporting_losses():
            raised = torch.tensor(float(flag), device=self.workers.device)
            return bool(self.workers.total(raised).item())

    def from_leader(self, text: str) -> str:
        """Broadcast the leader's text: sum its bytes with zeros from the other workers."""
        encoded = list(os.fsencode(text)) if self.is_leader else []
        device = self.workers.device
        with self.workers.reporting_losses():
            length = self.workers.total(torch.tensor(len(encoded), device=device))
            padded = encoded or [0] * int(length.item())
            broadcast = self.workers.total(torch.tensor(padded, dtype=torch.uint8, device=device))
            return os.fsdecode(bytes(broadcast.tolist()))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Set the number of threads, and use deterministic algorithms."""
        threads, deterministic = torch.get_num_threads(), _is_deterministic()
        torch.set_num_threads(self.config.threads)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic)
            torch.set_num_threads(threads)


@contextmanager
def _compile_errors() -> Iterator[None]:
    """Convert an error of torch.compile, such as a missing C++ compiler, to a one-line OSError."""
    try:
        yield
    except RuntimeError as error:
        if not type(error).__module__.startswith(("torch._dynamo.", "torch._inductor.")):
            raise
        why = " ".join(str(error).split("\n\n")[0].split())
        raise OSError(
            message("torch.compile cannot compile here: {why}; leave --compile out", why=why)
        ) from None


def _is_deterministic() -> bool:
    return torch.are_deterministic_algorithms_enabled()


def _local(tensor: torch.Tensor) -> torch.Tensor:
    """Return this worker's part of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
