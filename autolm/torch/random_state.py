"""Get and set the state of PyTorch's random number generators, on all devices."""

from __future__ import annotations

import torch

State = dict[str, torch.Tensor]


def random_state() -> State:
    """Return the state of each generator, by device name such as ``cuda:0``."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        for device in range(torch.cuda.device_count()):
            state[f"cuda:{device}"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: State) -> None:
    """Restore the state of each generator."""
    for device, generator_state in state.items():
        if device == "cpu":
            torch.set_rng_state(generator_state)
        else:
            torch.cuda.set_rng_state(generator_state, device)
