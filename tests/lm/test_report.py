"""What a run shows: plain steady lines in a log, a bar in a terminal, and what to do next."""

import io
import math
from pathlib import Path
from typing import Any

from rich.console import Console

from autolm.lm.report import TerminalReport, thousands
from autolm.lm.run import RunOutcome
from autolm.lm.run_folder import RunFolder
from autolm.lm.training import StepMetrics
from tests.runs import small_training

METRICS = StepMetrics(step=4, loss=2.5, gradient_norm=0.125, learning_rate=1e-3, tokens=24)


def shown(
    terminal: bool, *outcomes: RunOutcome, steps: tuple[StepMetrics, ...] = (METRICS,)
) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=160)
    report = TerminalReport(console, small_training())
    with report:
        for metrics in steps:
            report.stepped(metrics)
        report.validated(4, 2.0)
    for outcome in outcomes:
        report.close(outcome, RunFolder(Path("runs/one")))
    file: Any = console.file
    return str(file.getvalue())


def test_it_opens_with_what_is_trained_and_against_which_floors() -> None:
    training = small_training()
    model, data, reference_losses, *_ = shown(terminal=False).splitlines()
    assert model.split()[0] == "TinyLM"
    assert f"{thousands(training.model.num_parameters())} parameters" in model
    assert "1 layers · 2 heads · d_model 8 · d_ff 16 · vocabulary 9" in model
    assert f"{training.text.train.num_targets} train tokens" in data
    assert (
        f"uniform {math.log(9):.3f}   unigram {training.baselines().unigram:.3f}"
        in reference_losses
    )


def test_a_native_run_says_so() -> None:
    training = small_training()
    training.engine.status = "native"  # as if numba were there
    console = Console(file=io.StringIO(), width=160)
    with TerminalReport(console, training):
        pass
    file: Any = console.file
    assert "float32 · native\n" in file.getvalue()
    assert "native" not in shown(terminal=False)


def test_without_a_terminal_a_validation_is_one_plain_line() -> None:
    text = shown(terminal=False)
    (line,) = (line for line in text.splitlines() if line.startswith("step"))
    assert line.startswith(
        "step 4/10         train 2.500  val 2.000  ppl 7.39  |g| 0.12  lr 1.0e-3"
    )
    assert "\x1b" not in text
    assert "\r" not in text


def test_with_a_terminal_there_is_a_bar_with_the_same_numbers() -> None:
    text = shown(terminal=True)
    assert "\x1b[" in text
    assert "━" in text
    assert "4/10" in text
    assert "train 2.500  val 2.000  ppl 7.39  |g| 0.12  lr 1.0e-3" in text


def test_the_training_loss_that_is_shown_is_smoothed() -> None:
    later = StepMetrics(step=5, loss=4.5, gradient_norm=0.1, learning_rate=1e-3, tokens=24)
    assert "train 2.600" in shown(terminal=False, steps=(METRICS, later))


def test_it_closes_with_the_loss_in_every_unit_and_the_next_command() -> None:
    text = shown(False, RunOutcome(True, 10, 2.0, "a no ja\n[on] k\n"))
    bits = small_training().bits_per_byte(2.0)
    assert f"done    val 2.000   perplexity {math.exp(2):.3f}   {bits:.2f} bits/byte" in text
    assert "sample  a no ja\n        [on] k\n" in text
    assert text.endswith("next    autolm sample runs/one     autolm step runs/one\n")


def test_a_run_that_was_stopped_says_how_to_go_on() -> None:
    text = shown(False, RunOutcome(False, 4, 2.0, ""))
    assert "stopped after step 4 of 10; all is saved\n" in text
    assert text.endswith("go on   autolm train --resume runs/one\n")
