"""How a training run went, in words: diverged, overfitting, no progress, or nothing to complain of.

A run that reached its last step is not by that a good one. What is said here is read off its
metrics, those of every step from the first one on, so that a run that was interrupted is judged as
one that was not. Nothing is said that the metrics do not show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

SMOOTHING = 0.95  # of the training loss: how much of it is from before
ABOVE_UNIFORM = 1.2  # times the loss of a guess: nothing that is learnt looks so
LEAST_STEPS = 50  # in which something should have been learnt
PROGRESS = 0.005  # of the first loss
RISE = 0.02  # of the best validation loss

Record = Mapping[str, Any]
Kind = Literal["diverged", "overfitting", "no progress", "validation not measured", ""]


@dataclass(frozen=True)
class Course:
    """How a run went.

    Attributes
    ----------
    kind
        What there is to say in a word; empty if it is nothing.
    told
        What was seen, with its figures.
    advice
        What to try next.
    """

    kind: Kind
    told: str = ""
    advice: str = ""


NOTHING = Course("")


def course_of(
    records: Iterable[Record], uniform: float, bigram: float, *, last_is_whole: bool
) -> Course:
    """Judge a run by its metrics.

    Parameters
    ----------
    records
        The lines of `metrics.jsonl`, in their order.
    uniform
        The loss of who thinks all tokens equally likely, in nats.
    bigram
        That of who knows which pairs there are: from there on, there need not be more to learn.
    last_is_whole
        Whether the last validation was of more text than those before it, and so is not compared.

    Examples
    --------
    >>> losses = [3.0, 40.0, 900.0]
    >>> records = [{"step": i + 1, "loss": x, "gradient_norm": x} for i, x in enumerate(losses)]
    >>> course_of(records, 3.4, 1.5, last_is_whole=True).told
    'the training loss stays above 4.080 from step 2 on, where the gradient norm was 40'
    """
    records = list(records)
    steps = [record for record in records if "loss" in record]
    smooth = list(smoothed(record["loss"] for record in steps))
    validations = [record for record in records if "validation_loss" in record]
    measured = validations[:-1] if last_is_whole else validations
    if not steps:
        return NOTHING
    limit = max(smooth[0], ABOVE_UNIFORM * uniform)
    if smooth[-1] > limit:
        below = max((i for i, loss in enumerate(smooth) if loss <= limit), default=-1)
        begins = steps[below + 1]
        return Course(
            "diverged",
            f"the training loss stays above {limit:.3f} from step {begins['step']} on, where the "
            f"gradient norm was {begins.get('gradient_norm', float('nan')):.3g}",
            "a lower --learning-rate, more --warmup-steps, or a lower --clip, in a new run",
        )
    trained = {record["step"]: loss for record, loss in zip(steps, smooth, strict=True)}
    if overfitting := _overfitting(measured, trained):
        return overfitting
    least = max(smooth[0] * (1 - PROGRESS), bigram * (1 + PROGRESS))
    if len(steps) >= LEAST_STEPS and smooth[-1] > least:
        return Course(
            "no progress",
            f"the training loss is {smooth[-1]:.3f}, and was {smooth[0]:.3f} at first",
            "another --learning-rate, or more --steps",
        )
    if len(measured) < 2:
        return Course(
            "validation not measured",
            "on the way, so nobody knows whether it was rising at the end",
            "a smaller --validate-every",
        )
    return NOTHING


def smoothed(losses: Iterable[float]) -> Iterator[float]:
    """Yield the mean of the losses so far, in which the latest count most."""
    mean = None
    for loss in losses:
        mean = loss if mean is None else loss * (1 - SMOOTHING) + mean * SMOOTHING
        yield mean


def _overfitting(measured: Sequence[Record], trained: Mapping[int, float]) -> Course | None:
    """Say so where validation has risen since its best, twice in a row, and training has fallen."""
    if len(measured) < 3:
        return None
    best, latest = min(measured, key=lambda record: record["validation_loss"]), measured[-1]
    low, high = best["validation_loss"], latest["validation_loss"]
    is_rising = all(record["validation_loss"] > low * (1 + RISE) for record in measured[-2:])
    train_then, train_now = (trained.get(record["step"]) for record in (best, latest))
    if not is_rising or train_then is None or train_now is None or train_now >= train_then:
        return None
    return Course(
        "overfitting",
        f"validation was {low:.3f} at step {best['step']} and is {high:.3f} at step "
        f"{latest['step']}, while training fell from {train_then:.3f} to {train_now:.3f}",
        "fewer --steps, a longer text, or a smaller model",
    )
