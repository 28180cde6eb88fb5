"""`autolm train`: trains TinyLM on a text. Most options are fields of TrainingConfig."""

from __future__ import annotations

import inspect
import logging
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autolm.cli.exit_codes import FAILED, INTERRUPTED, ReportedByAnotherWorker, is_one_of_several
from autolm.cli.runs import corpus_of
from autolm.lm.config import STANDARD_INPUT, Choice, DeviceName, Parallel, TrainingConfig
from autolm.outside.columns import padded
from autolm.outside.language import say
from autolm.outside.message import message, plain_message
from autolm.outside.terminal import let_go_of_output, print_safely, words_of

if TYPE_CHECKING:
    from autolm.lm.run_folder import RunFolder
    from autolm.lm.tinylm import TinyLM
    from autolm.lm.training import NonFiniteLoss, Training
    from autolm.lm.training_engine import TrainingEngine

    MakeEngine = Callable[[TinyLM, TrainingConfig], TrainingEngine]
    Agree = Callable[[Callable[[], Mapping[str, str]]], None]
    EngineFor = Callable[[TrainingConfig], AbstractContextManager[tuple[MakeEngine, Agree]]]

NUMBERS: dict[Callable[[str], Any], str] = {
    int: message("a whole number"),
    float: message("a number"),
}
METAVARS: dict[type, str] = {int: "N", float: "X", bool: ""}
GROUPS = {
    "text": message("Text"),
    "model": message("Model"),
    "training": message("Training"),
    "machine": message("Machine"),
}
RUN = message("Run")
EFFECTIVE_DEFAULTS = {  # which depend on other options; see `TrainingConfig.of`
    "kind": message("lines for toy, else stream"),
    "d_ff": message("256, or 4 × d_model if only --d-model is given"),
}


def with_choices(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `**choices` of a command by an option for each field of TrainingConfig.

    Options that are not given are None, so that only TrainingConfig has the defaults.
    """
    signature = inspect.signature(command, eval_str=True)
    named = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*map(_parameter, TrainingConfig.choices()), *named]
    )
    return command


def _parameter(name: str) -> inspect.Parameter:
    choice, default = TrainingConfig.choices()[name], getattr(TrainingConfig, name)
    kind, is_flag = type(default), isinstance(default, bool)
    shown_default = EFFECTIVE_DEFAULTS.get(name, "" if is_flag else str(default))
    option: Any
    if name == "data":
        option = typer.Argument(metavar="DATA", help=choice.about, show_default=shown_default)
    else:
        option = typer.Option(
            *([f"--{name}/--no-{name}"] if is_flag else []),
            parser=_reader(kind, choice) if kind in NUMBERS else None,
            metavar="|".join(choice.known) or METAVARS[kind],
            help=choice.about,
            show_default=shown_default,
            rich_help_panel=GROUPS[choice.group],
        )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _reader(kind: Callable[[str], Any], choice: Choice) -> Callable[[str], Any]:
    def read(word: str) -> Any:
        try:
            return kind(word)
        except ValueError:
            raise typer.BadParameter(
                message(
                    "{word!r} is not {kind}; it must be {range}",
                    word=word,
                    kind=NUMBERS[kind],
                    range=plain_message(choice.range),
                )
            ) from None

    return read


@with_choices
def train(
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help=message("Run folder to create."),
            show_default=message("runs/<date>-a"),
            rich_help_panel=RUN,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help=message(
                "Resume this run exactly. Only DATA (the path of the same text), --steps, "
                "--validate-every and the options of the machine except --dtype can change."
            ),
            rich_help_panel=RUN,
        ),
    ] = None,
    device: Annotated[
        DeviceName | None,
        typer.Option(
            metavar="cpu|cuda|mps",
            help=message("Device of PyTorch."),
            show_default="cpu",
            rich_help_panel=GROUPS["machine"],
        ),
    ] = None,
    parallel: Annotated[
        Parallel | None,
        typer.Option(
            metavar="ddp|fsdp",
            help=message(
                "Under torchrun: keep the whole model on each worker (ddp), or shard it (fsdp)."
            ),
            show_default="ddp",
            rich_help_panel=GROUPS["machine"],
        ),
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile",
            help=message("Compile the model with torch.compile."),
            rich_help_panel=GROUPS["machine"],
        ),
    ] = False,
    **choices: Any,
) -> None:
    """Train TinyLM on a text, or resume a run."""
    chosen = {name: value for name, value in choices.items() if value is not None}
    engine_for = partial(_engine, device, parallel, compiled)
    with _first_error_only():
        if resume is not None:
            if output:
                raise ValueError(
                    message("--resume goes on in its own folder, and output was given")
                )
            _resume(resume, chosen, engine_for)
        else:
            _start(TrainingConfig.of(**chosen), output, engine_for)


@contextmanager
def _first_error_only() -> Iterator[None]:
    """Report the error of the worker that fails first; the others fail for the same reason."""
    if not is_one_of_several() or find_spec("torch") is None:
        yield
        return
    from autolm.torch.workers import first_to_fail

    is_first = first_to_fail()
    try:
        yield
    except typer.Exit:  # the end of the run, which all workers reach
        raise
    except BaseException as error:
        if is_first():
            raise
        raise ReportedByAnotherWorker from error


@contextmanager
def _engine(
    device: DeviceName | None, parallel: Parallel | None, compiled: bool, config: TrainingConfig
) -> Iterator[tuple[MakeEngine, Agree]]:
    """Connect the workers; yield a factory of the engine and a comparison between workers."""
    from autolm.lm.training_engine import NumPyEngine

    if config.engine == "numpy":
        if parallel or device or compiled:
            raise ValueError(
                message(
                    "--device, --parallel and --compile are for PyTorch: give --engine torch too"
                )
            )
        if is_one_of_several():
            raise ValueError(
                message("the engine numpy has one worker: give --engine torch under torchrun")
            )
        yield NumPyEngine, lambda facts: None
        return
    if find_spec("torch") is None:
        raise ValueError(
            message(
                "--engine torch needs PyTorch, which is not installed: pip install 'autolm[torch]'"
            )
        )
    from autolm.torch.torch_engine import TorchEngine
    from autolm.torch.workers import join_workers

    with join_workers(device or "cpu", parallel, config.dtype) as workers:
        make = partial(TorchEngine, workers=workers, compiled=compiled)
        yield (
            make,
            lambda facts: workers.require_agreement(
                lambda: {**facts(), "--compile": str(compiled)}
            ),
        )


def _resume(path: Path, chosen: dict[str, Any], engine_for: EngineFor) -> None:
    from autolm.lm.agreement import digest_of_checkpoint, facts_of
    from autolm.lm.read_only_run_folder import ReadOnlyRunFolder
    from autolm.lm.run_folder import RunFolder
    from autolm.lm.trained import choices_of
    from autolm.lm.training import Training

    folder = RunFolder.open(path)
    before, tokenizer = choices_of(folder)
    config = before.changed(**chosen)
    with engine_for(config) as (engine, agree), ExitStack() as locks:
        corpus = corpus_of(config, folder.text)
        agree(lambda: facts_of(config, corpus, tokenizer, resumes=True))
        training = Training(config, corpus, tokenizer, engine)
        if not training.engine.is_leader:
            folder = ReadOnlyRunFolder(path)
        with training.engine.leader_first():  # the other workers never write
            locks.enter_context(folder.lock())
            checkpoint = folder.load()
            training.restore(checkpoint)
        agree(lambda: {"the checkpoint": digest_of_checkpoint(checkpoint)})
        folder.drop_metrics_after(training.step)
        if config != before:
            folder.change(config)
        if training.engine.is_leader and config.steps != before.steps:
            label = padded(say(message("steps")), 7)
            print_safely(f"{label} {say(_schedule_message(training, before.steps))}")
        _run(training, folder)


def _schedule_message(training: Training, before: int) -> str:
    """Return what the new number of steps means for the learning rate."""
    config = training.config
    rate = f"{training.learning_rate(training.step):.1e}"
    return message(
        "{steps}, and not {before}: the learning rate goes on at {rate}, where the {schedule} "
        "schedule of {steps} steps is at step {step}",
        steps=config.steps,
        before=before,
        rate=rate,
        schedule=config.schedule,
        step=training.step,
    )


def _start(config: TrainingConfig, output: Path | None, engine_for: EngineFor) -> None:
    from autolm.lm.agreement import digest_of_arrays, facts_of
    from autolm.lm.read_only_run_folder import ReadOnlyRunFolder
    from autolm.lm.run_folder import RunFolder
    from autolm.lm.training import Training, train_tokenizer

    with engine_for(config) as (engine, agree), ExitStack() as locks:
        piped = _standard_input() if config.data == STANDARD_INPUT else None
        corpus = corpus_of(config, lambda: piped or b"")
        tokenizer = train_tokenizer(config, corpus)
        agree(lambda: facts_of(config, corpus, tokenizer, resumes=False))
        training = Training(config, corpus, tokenizer, engine)
        agree(lambda: {"the initial parameters": digest_of_arrays(training.model.state())})
        checkpoint = training.checkpoint()
        if training.engine.is_leader:
            folder = RunFolder.create(output, config, training.tokenizer, checkpoint, text=piped)
            training.engine.from_leader(str(folder.path))
        else:
            folder = ReadOnlyRunFolder(training.engine.from_leader(""))
        locks.enter_context(folder.lock())
        _run(training, folder)


def _standard_input() -> bytes:
    if is_one_of_several():
        raise ValueError(message("standard input reaches one worker alone: give a file"))
    return sys.stdin.buffer.read()


def _run(training: Training, folder: RunFolder) -> None:
    from autolm.cli.console import SafeConsole
    from autolm.lm.report import Silence, TerminalReport
    from autolm.lm.run import run
    from autolm.lm.training import NonFiniteLoss
    from autolm.lm.training_engine import WorkerLost

    is_leader = training.engine.is_leader
    # It warns at length if it has no folder for its cache.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    report = TerminalReport(SafeConsole(), training) if is_leader else Silence()
    try:
        with report:
            outcome = run(training, folder, report)
    except NonFiniteLoss as error:
        if is_leader:
            _explain_non_finite(error, folder)
        raise typer.Exit(FAILED) from None
    except BrokenPipeError:  # the reader of the output has exited; the run is saved
        let_go_of_output()
        raise typer.Exit(INTERRUPTED) from None
    except WorkerLost as error:
        raise WorkerLost(
            message(
                "{error}; autolm train --resume {folder} goes on from what was saved, "
                "with any number of workers",
                error=words_of(error),
                folder=folder.path,
            )
        ) from None
    report.close(outcome, folder)
    if not outcome.done:
        raise typer.Exit(INTERRUPTED)
    if outcome.verdict.kind == "diverged":
        raise typer.Exit(FAILED)


def _explain_non_finite(error: NonFiniteLoss, folder: RunFolder) -> None:
    from autolm.walking.blame import blame_nonfinite

    last_good = folder.state()["step"]
    blame = blame_nonfinite(error.loss) or (
        "none in NumPy's arithmetic, where it was looked for: the engine's own made it"
        if math.isnan(error.number)  # which a sum of finite numbers cannot be
        else "none: all are finite, and their sum is too large"
    )
    print_safely(say(f"\n{error}. First non-finite value:\n  {blame}"), sys.stderr)
    print_safely(
        say(
            message(
                "the run stops here; the last good state is step {last_good} in "
                "{folder} (the same choices lead here again: start anew with a lower "
                "--learning-rate or --clip)",
                last_good=last_good,
                folder=folder.path,
            )
        ),
        sys.stderr,
    )
