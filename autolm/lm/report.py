"""The report of a training run in a terminal: model, baselines and progress.

With a terminal there is a progress bar; without one, a plain line at each validation, so that logs
stay readable.
"""

from __future__ import annotations

import math
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from autolm.lm.run import RunOutcome
from autolm.lm.run_folder import RunFolder
from autolm.lm.run_verdict import SMOOTHING
from autolm.lm.training import StepMetrics, Training
from autolm.outside.columns import padded
from autolm.outside.language import say
from autolm.outside.terminal import LONGEST, printable


def thousands(number: int) -> str:
    """Format an integer in groups of three digits: 102 912."""
    return f"{number:,}".replace(",", " ")


def perplexity(loss: float, digits: int) -> str:
    """Format exp(loss); a very large value as a power of e.

    >>> perplexity(2.0, 2), perplexity(212389.4, 2)
    ('7.39', 'e^212389')
    """
    return f"{math.exp(loss):.{digits}f}" if loss < 20 else f"e^{loss:.0f}"


class Silence:
    """A silent report, for workers other than the first."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def stepped(self, metrics: StepMetrics) -> None:
        """Ignore a step."""

    def validated(self, step: int, loss: float) -> None:
        """Ignore a validation."""

    def close(self, outcome: RunOutcome, folder: RunFolder) -> None:
        """Ignore the end."""


class TerminalReport:
    """Report a run on a console."""

    def __init__(self, console: Console, training: Training) -> None:
        self.console, self.training = console, training
        self.train_loss = self.validation_loss = math.nan
        self.latest: StepMetrics | None = None
        self.started, self.tokens = time.perf_counter(), 0
        self.progress = Progress(
            TextColumn(say("step")),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[numbers]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.progress.add_task("", total=training.config.steps, numbers="")

    def __enter__(self) -> TerminalReport:
        self._print_opening()
        self.progress.start()
        self.progress.update(self.task, completed=self.training.step)
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def _print_opening(self) -> None:
        config, training = self.training.config, self.training
        vocabulary = training.tokenizer.vocab_size
        arithmetic = " · ".join(filter(None, (config.dtype, training.engine.status)))
        self._line(
            "TinyLM",
            f"{config.num_layers} layers · {config.num_heads} heads · d_model {config.d_model} · "
            f"d_ff {config.d_ff} · vocabulary {thousands(vocabulary)} · "
            f"{thousands(training.model.num_parameters())} parameters · {arithmetic}",
        )
        corpus, text = training.corpus, training.text
        self._line(
            "data",
            f"{corpus.name} · {thousands(text.train.num_targets)} train tokens · "
            f"{thousands(text.validation.num_targets)} validation tokens",
        )
        levels = "   ".join(
            f"{name} {level:.3f}" for name, level in training.reference_losses().items()
        )
        self._line("floors", f"{levels}   (nats per token)")
        self.console.print()

    def stepped(self, metrics: StepMetrics) -> None:
        """Advance the progress bar."""
        self.tokens += metrics.tokens
        first = math.isnan(self.train_loss)
        decay = 0.0 if first else SMOOTHING
        self.train_loss = metrics.loss * (1 - decay) + (0 if first else self.train_loss * decay)
        self.progress.update(self.task, completed=metrics.step, numbers=self._numbers(metrics))
        self.latest = metrics

    def validated(self, step: int, loss: float) -> None:
        """Show the validation loss; without a terminal, print a line."""
        self.validation_loss = loss
        if self.latest is None:
            return
        self.progress.update(self.task, numbers=self._numbers(self.latest))
        if not self.console.is_terminal:
            elapsed = time.perf_counter() - self.started
            steps = f"step {step}/{self.training.config.steps}"
            line = f"{steps:<18}{self._numbers(self.latest)}  {elapsed:.0f} s"
            self.console.print(say(line), highlight=False, soft_wrap=True)

    def _numbers(self, metrics: StepMetrics) -> str:
        speed = self.tokens / max(1e-9, time.perf_counter() - self.started)
        words = [f"train {self.train_loss:.3f}"]
        if not math.isnan(self.validation_loss):
            words.append(f"val {self.validation_loss:.3f}")
            words.append(f"ppl {perplexity(self.validation_loss, 2)}")
        words.append(f"|g| {metrics.gradient_norm:.2f}")
        words.append(f"lr {metrics.learning_rate:.1e}".replace("e-0", "e-"))
        words.append(f"{speed / 1000:.0f}k tok/s")
        return say("  ".join(words))

    def close(self, outcome: RunOutcome, folder: RunFolder) -> None:
        """Report how the run ended and what to do next."""
        seconds = time.perf_counter() - self.started
        self.console.print()
        if not outcome.done:
            self._line(
                "stopped",
                f"after step {outcome.step} of {self.training.config.steps}; all is saved",
            )
            self._line("go on", f"autolm train --resume {folder.path}")
            return
        loss = outcome.validation_loss
        entropy = self.training.true_entropy()
        above = "" if entropy is None else f" = true entropy {(loss / entropy - 1) * 100:+.1f} %"
        verdict = outcome.verdict
        has_diverged = verdict.kind == "diverged"
        self._line(
            "diverged" if has_diverged else "done",
            f"val {loss:.3f}{above}   perplexity {perplexity(loss, 3)}   "
            f"{self.training.bits_per_byte(loss):.2f} bits/byte   {seconds:.0f} s",
        )
        if verdict.kind:
            kind = "" if has_diverged else f"{verdict.kind}: "
            self._line("note", f"{kind}{verdict.evidence}")
            self._line("try", verdict.advice)
        self._line(
            "saved",
            f"{folder.path}   checkpoint.safetensors  loss.png  samples.txt  metrics.jsonl",
        )
        sample_lines = outcome.sample.strip().splitlines()[:4]
        for label, line in zip(["sample", "", "", ""], sample_lines, strict=False):
            self._print(label, printable(line, LONGEST))
        if not has_diverged:
            self._line("next", f"autolm sample {folder.path}     autolm step {folder.path}")

    def _line(self, label: str, text: str) -> None:
        self._print(label, say(text))

    def _print(self, label: str, text: str) -> None:
        line = f"{padded(say(label), 7)} {text}"
        self.console.print(line, highlight=False, soft_wrap=True, markup=False)
