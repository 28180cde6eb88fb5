"""The state of PyTorch's random numbers, on every device that has one."""

from __future__ import annotations

import torch

State = dict[str, torch.Tensor]


def random_state() -> State:
    """Return the state of each generator, by its device."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        for device in range(torch.cuda.device_count()):
            state[f"cuda:{device}"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: State) -> None:
    """Set each generator to where it was."""
    for device, numbers in state.items():
        if device == "cpu":
            torch.set_rng_state(numbers)
        else:
            torch.cuda.set_rng_state(numbers, device)
