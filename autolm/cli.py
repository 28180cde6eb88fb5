"""The `autolm` command: reads what was typed, joins what does the work, says errors in one line.

Every command only parses, joins parts of the house, and prints. Exit codes: 0 done, 1 the work
failed, 2 wrong use, 130 stopped from the keyboard.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autolm.commands.looking import draw, step
from autolm.commands.runs import corpus_of, trained_model
from autolm.lm.config import TrainingConfig

if TYPE_CHECKING:
    from autolm.lm.run_folder import RunFolder

app = typer.Typer(
    name="autolm",
    help="The mathematics of training a language model, to watch, draw and prove.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130


def main(arguments: list[str] | None = None) -> None:
    """Run the command; an error is one line, and a traceback only with `--traceback`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    show_traceback = "--traceback" in arguments
    command, code = typer.main.get_command(app), 0
    try:
        words = [a for a in arguments if a != "--traceback"] or ["--help"]
        with command.make_context("autolm", words) as context:
            command.invoke(context)
    except typer.Exit as end:
        code = end.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if show_traceback:
            raise
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        first_line = next(iter(message.splitlines()), type(error).__name__)
        wrong_use = isinstance(error, ValueError) or hasattr(error, "format_message")
        kind = "" if wrong_use or isinstance(error, OSError) else f"{type(error).__name__}: "
        print(f"autolm: {kind}{first_line}", file=sys.stderr)
        code = WRONG_USE if wrong_use else FAILED
    sys.exit(code)


@app.callback()
def autolm(
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an error came from.")
    ] = False,
) -> None:
    """Watch, draw and prove the mathematics of training a language model."""


def choice(name: str, text: str) -> Any:
    """Make an option of `train`; what it is by default stands in TrainingConfig alone."""
    return typer.Option(help=f"{text} [{getattr(TrainingConfig, name)}]", show_default=False)


@app.command()
def train(
    data: Annotated[
        str | None,
        typer.Argument(
            help="A text file, - for standard input, toy (the default: a built-in language whose "
            "true entropy is known), or python-docs.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        str | None,
        choice("kind", "Documents: lines, or one stream; a file is a stream unless you say lines."),
    ] = None,
    tokenizer: Annotated[str | None, choice("tokenizer", "characters or bpe.")] = None,
    num_merges: Annotated[int | None, choice("num_merges", "Merges of bpe.")] = None,
    num_layers: Annotated[int | None, choice("num_layers", "Layers.")] = None,
    num_heads: Annotated[int | None, choice("num_heads", "Attention heads.")] = None,
    d_model: Annotated[int | None, choice("d_model", "Width.")] = None,
    d_ff: Annotated[
        int | None, choice("d_ff", "Width of feed-forward; 4 × d_model if only that is given.")
    ] = None,
    norm: Annotated[str | None, choice("norm", "pre, post or none.")] = None,
    block_size: Annotated[int | None, choice("block_size", "Tokens of context.")] = None,
    batch_size: Annotated[int | None, choice("batch_size", "Rows in a batch.")] = None,
    steps: Annotated[int | None, choice("steps", "Steps of training.")] = None,
    learning_rate: Annotated[
        float | None, choice("learning_rate", "Learning rate after the warm-up.")
    ] = None,
    final_learning_rate: Annotated[
        float | None, choice("final_learning_rate", "Learning rate at the end.")
    ] = None,
    schedule: Annotated[str | None, choice("schedule", "linear, cosine or constant.")] = None,
    warmup_steps: Annotated[
        int | None, choice("warmup_steps", "Steps in which the rate rises.")
    ] = None,
    beta1: Annotated[float | None, choice("beta1", "Adam's memory of gradients.")] = None,
    beta2: Annotated[float | None, choice("beta2", "Adam's memory of their squares.")] = None,
    weight_decay: Annotated[float | None, choice("weight_decay", "Weight decay.")] = None,
    clip: Annotated[float | None, choice("clip", "Longest gradient.")] = None,
    validate_every: Annotated[
        int | None, choice("validate_every", "Steps from one validation to the next.")
    ] = None,
    seed: Annotated[int | None, choice("seed", "Seed of weights and batches.")] = None,
    dtype: Annotated[str | None, choice("dtype", "float32 or float64.")] = None,
    threads: Annotated[
        int | None, choice("threads", "Processor threads for matrix products.")
    ] = None,
    native: Annotated[
        bool | None,
        typer.Option("--native", help="Compile inner loops: 5 to 10 % quicker (extra fast)."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The run folder; runs/<today>-a if not given."),
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run, exactly.")] = None,
) -> None:
    """Train TinyLM on a text; the run folder holds the model, the plot and samples."""
    choices = {name: value for name, value in locals().items() if value is not None}
    resume, output = choices.pop("resume", None), choices.pop("output", None)
    from autolm.lm.config import STANDARD_INPUT
    from autolm.lm.run_folder import RunFolder
    from autolm.lm.training import Training, train_tokenizer

    if resume is not None:
        if choices or output:
            given = next(iter(choices), "output")
            raise ValueError(f"--resume takes no other choice, and {given} was given")
        folder = RunFolder.open(resume)
        config = folder.config()
        training = Training(config, corpus_of(config, folder.text), folder.tokenizer())
        training.restore(folder.load())
        folder.forget_metrics_after(training.step)
    else:
        if "d_model" in choices:
            choices.setdefault("d_ff", 4 * choices["d_model"])
        config = TrainingConfig.of(**choices)
        piped = sys.stdin.buffer.read() if config.data == STANDARD_INPUT else None
        corpus = corpus_of(config, lambda: piped or b"")
        training = Training(config, corpus, train_tokenizer(config, corpus))
        folder = RunFolder.create(
            output, config, training.tokenizer, training.checkpoint(), text=piped
        )
    _run(training, folder)


def _run(training: Any, folder: RunFolder) -> None:
    from rich.console import Console

    from autolm.inspect import blame_nonfinite
    from autolm.lm.report import TerminalReport
    from autolm.lm.run import run
    from autolm.lm.training import NonFiniteLoss

    console = Console()
    report = TerminalReport(console, training)
    try:
        with report:
            outcome = run(training, folder, report)
    except NonFiniteLoss as error:
        last_good = folder.state()["step"]
        blame = blame_nonfinite(error.loss) or "none: all are finite, and their sum is too large"
        print(f"\n{error}. First non-finite value:\n  {blame}", file=sys.stderr)
        print(
            f"the run stops here; the last good state is step {last_good} in {folder.path} (the "
            "same choices lead here again: start anew with a lower --learning-rate or --clip)",
            file=sys.stderr,
        )
        raise typer.Exit(FAILED) from None
    report.close(outcome, folder)
    if not outcome.done:
        raise typer.Exit(INTERRUPTED)


@app.command()
def sample(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    prompt: Annotated[str, typer.Option(help="How the text begins.")] = "",
    tokens: Annotated[int, typer.Option(help="How many tokens to write.", min=1)] = 300,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Choose among so many tokens only.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Choose among the likeliest only.")] = None,
    seed: Annotated[int | None, typer.Option(help="For the same text each time.", min=0)] = None,
) -> None:
    """Let a trained model go on with a text, as it comes."""
    import numpy as np

    from autolm.lm.run_folder import RunFolder
    from autolm.lm.sampling import stream_text

    folder = RunFolder.open(run)
    config, words = folder.config(), folder.tokenizer()
    model = trained_model(folder)
    pieces = stream_text(
        model,
        words,
        config.kind,
        prompt,
        tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        rng=np.random.default_rng(seed),
    )
    for piece in pieces:
        print(piece, end="", flush=True)
    print()


app.command()(step)
app.command()(draw)


@app.command()
def info(
    run: Annotated[
        Path | None,
        typer.Argument(help="A run folder or a config.json; the default model without one."),
    ] = None,
    vocab_size: Annotated[
        int | None, typer.Option(help="Vocabulary, where there is no tokenizer.", min=1)
    ] = None,
) -> None:
    """Count parameters, operations and memory by module, beside GPT-3's by the same formulas."""
    from rich.console import Console

    from autolm.lm.size import GPT3, size_table

    Console().print(size_table([_architecture(run, vocab_size), GPT3]))


def _architecture(run: Path | None, vocab_size: int | None) -> Any:
    from autolm.lm.run_folder import RunFolder
    from autolm.lm.size import Architecture

    if run is not None and run.is_dir():
        folder = RunFolder.open(run)
        return Architecture.of(folder.config(), folder.tokenizer().vocab_size)
    try:
        config = TrainingConfig() if run is None else TrainingConfig.from_json(run.read_text())
    except OSError as error:
        raise ValueError(f"{run}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{run}: {error}") from None
    known = 256 + config.num_merges if config.tokenizer == "bpe" else 31
    return Architecture.of(config, vocab_size or known)


@app.command()
def check(
    operations: Annotated[
        list[str] | None,
        typer.Argument(
            help="Which operations, and Python files with primitives of yours: a file's are "
            "checked instead of ours. All if none is named.",
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="How long to search: dev, ci or nightly.")
    ] = None,
    module: Annotated[
        list[Path] | None, typer.Option(help="A Python file, the same as naming it.")
    ] = None,
) -> None:
    """Prove the gradients of operations, or say which rule is wrong, where and how."""
    from autolm.testing.check_command import check_command

    named = operations or []
    files = [*(module or []), *(Path(word) for word in named if word.endswith(".py"))]
    names = [word for word in named if not word.endswith(".py")]
    raise typer.Exit(check_command(names, profile=profile, modules=files))


@app.command()
def ops() -> None:
    """List every operation with its formula, its gradient rule and its conventions."""
    from rich.console import Console
    from rich.table import Table

    from autolm.ops import PRIMITIVES

    table = Table("operation", "", "formula", "gradient", "at kinks", show_lines=True)
    for operation in PRIMITIVES:
        rule = "\n".join(operation.rule)
        table.add_row(operation.name, operation.symbol, operation.formula, rule, operation.kinks)
    Console().print(table)
