"""The verdict on a training run: diverged, overfitting, no progress, or nothing wrong.

It depends only on the metrics of all steps since the first, so an interrupted and resumed run gets
the same verdict as an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

SMOOTHING = 0.95  # weight of the past in the smoothed training loss
ABOVE_UNIFORM = 1.2  # a loss above this multiple of the uniform loss has diverged
LEAST_STEPS = 50  # steps after which a run should have made progress
PROGRESS = 0.005  # relative to the first loss
RISE = 0.02  # relative to the best validation loss

Record = Mapping[str, Any]
VerdictKind = Literal["diverged", "overfitting", "no progress", "validation not measured", ""]


@dataclass(frozen=True)
class RunVerdict:
    """How a run went, in words.

    Attributes
    ----------
    kind
        The verdict in a word; empty if nothing is wrong.
    evidence
        The observation with its numbers.
    advice
        The next thing to try.
    """

    kind: VerdictKind
    evidence: str = ""
    advice: str = ""


NOTHING = RunVerdict("")


def verdict_on(
    records: Iterable[Record], uniform: float, bigram: float, *, last_is_whole: bool
) -> RunVerdict:
    """Judge a run by its metrics.

    Parameters
    ----------
    records
        The records of `metrics.jsonl`, in order.
    uniform
        The loss of a uniform model, in nats.
    bigram
        The loss of a bigram model: below it, a lack of progress is not reported.
    last_is_whole
        Whether the last validation used more text than the others, and so is not compared.

    Examples
    --------
    >>> losses = [3.0, 40.0, 900.0]
    >>> records = [{"step": i + 1, "loss": x, "gradient_norm": x} for i, x in enumerate(losses)]
    >>> verdict_on(records, 3.4, 1.5, last_is_whole=True).evidence
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
        return RunVerdict(
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
        return RunVerdict(
            "no progress",
            f"the training loss is {smooth[-1]:.3f}, and was {smooth[0]:.3f} at first",
            "another --learning-rate, or more --steps",
        )
    if len(measured) < 2:
        return RunVerdict(
            "validation not measured",
            "on the way, so nobody knows whether it was rising at the end",
            "a smaller --validate-every",
        )
    return NOTHING


def smoothed(losses: Iterable[float]) -> Iterator[float]:
    """Yield the exponential moving average of the losses."""
    mean = None
    for loss in losses:
        mean = loss if mean is None else loss * (1 - SMOOTHING) + mean * SMOOTHING
        yield mean


def _overfitting(measured: Sequence[Record], trained: Mapping[int, float]) -> RunVerdict | None:
    """Report that validation rose since its best, twice in a row, while training fell."""
    if len(measured) < 3:
        return None
    best, latest = min(measured, key=lambda record: record["validation_loss"]), measured[-1]
    low, high = best["validation_loss"], latest["validation_loss"]
    is_rising = all(record["validation_loss"] > low * (1 + RISE) for record in measured[-2:])
    train_then, train_now = (trained.get(record["step"]) for record in (best, latest))
    if not is_rising or train_then is None or train_now is None or train_now >= train_then:
        return None
    return RunVerdict(
        "overfitting",
        f"validation was {low:.3f} at step {best['step']} and is {high:.3f} at step "
        f"{latest['step']}, while training fell from {train_then:.3f} to {train_now:.3f}",
        "fewer --steps, a longer text, or a smaller model",
    )
