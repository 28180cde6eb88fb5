"""The measurements of a training run; a notebook shows them as a plot of the losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autolm.lm.loss_plot import draw_losses


class History:
    """The measurements of a run, in order.

    Parameters
    ----------
    name
        The name of the text.
    reference_losses
        Returns the losses to compare with, by name, in nats per token.

    Attributes
    ----------
    records
        One record for each step and each validation, as in `metrics.jsonl`.
    """

    def __init__(self, name: str, reference_losses: Callable[[], Mapping[str, float]]) -> None:
        self.name, self.reference_losses = name, reference_losses
        self.records: list[dict[str, Any]] = []

    def __repr__(self) -> str:
        losses = [record["loss"] for record in self.records if "loss" in record]
        after = [r["validation_loss"] for r in self.records if "validation_loss" in r]
        parts = [f"{len(losses)} steps"]
        parts += [f"loss {losses[0]:.3f} → {losses[-1]:.3f}"] if losses else []
        parts += [f"validation {after[0]:.3f} → {after[-1]:.3f}"] if after else []
        return f"<history of {self.name}: {', '.join(parts)}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        picture = draw_losses(self.records, self.name, self.reference_losses())
        return {"image/png": picture, "text/plain": repr(self)}
