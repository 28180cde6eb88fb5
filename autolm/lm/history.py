"""The measurements of a training run; a notebook shows them as a plot of the losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autolm.lm.loss_plot import draw_losses


class History:
    """The measurements of a run, in their order.

    Parameters
    ----------
    name
        Of what text.
    floors
        Tells the levels that its losses are to be compared with.

    Attributes
    ----------
    records
        Of each step and each validation, what a line of `metrics.jsonl` holds.
    """

    def __init__(self, name: str, floors: Callable[[], Mapping[str, float]]) -> None:
        self.name, self.floors = name, floors
        self.records: list[dict[str, Any]] = []

    def __repr__(self) -> str:
        losses = [record["loss"] for record in self.records if "loss" in record]
        after = [each["validation_loss"] for each in self.records if "validation_loss" in each]
        told = [f"{len(losses)} steps"]
        told += [f"loss {losses[0]:.3f} → {losses[-1]:.3f}"] if losses else []
        told += [f"validation {after[0]:.3f} → {after[-1]:.3f}"] if after else []
        return f"<history of {self.name}: {', '.join(told)}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        picture = draw_losses(self.records, self.name, self.floors())
        return {"image/png": picture, "text/plain": repr(self)}
