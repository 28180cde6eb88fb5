"""`autolm info`: parameters, operations and memory of a model, next to GPT-3's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autolm.lm.config import TrainingConfig
from autolm.outside.message import message, plain_message
from autolm.outside.terminal import words_of

if TYPE_CHECKING:
    from autolm.lm.design import Design


def info(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL",
            help=message("Run folder, folder of a pretrained model, or a config.json."),
            show_default=message("the default TinyLM"),
        ),
    ] = None,
    vocab_size: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help=message("Vocabulary size, if there is no tokenizer to read.")
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help=message("Show also the memory and the traffic of each of N workers."),
        ),
    ] = None,
) -> None:
    """Print parameters, operations and memory by module, next to GPT-3's."""
    from autolm.cli.console import SafeConsole
    from autolm.lm.size import GPT3, size_table, worker_table

    models = [_design(run, vocab_size), GPT3]
    SafeConsole().print(size_table(models))
    if workers is not None:
        SafeConsole().print(worker_table(models, workers))


def _design(run: Path | None, vocab_size: int | None) -> Design:
    from autolm.lm.design import tinylm_design
    from autolm.lm.pretrained import CONFIG, is_pretrained, read_design
    from autolm.lm.run_folder import RunFolder
    from autolm.outside.untrusted_file import MAX_JSON_BYTES, read_untrusted

    folder_of_model = run.parent if run is not None and run.name == CONFIG else run
    if folder_of_model is not None and is_pretrained(folder_of_model):
        return read_design(folder_of_model)
    if run is not None and run.is_dir():
        folder = RunFolder.open(run)
        return tinylm_design(folder.tokenizer().vocab_size, **folder.config().architecture())
    try:
        content = b"{}" if run is None else read_untrusted(run, MAX_JSON_BYTES)
        config = TrainingConfig.from_json(content)
    except OSError as error:
        raise ValueError(
            message(
                "{run}: cannot be read: {reason}",
                run=run,
                reason=plain_message(error.strerror or ""),
            )
        ) from None
    except ValueError as error:
        raise ValueError(message("{run}: {error}", run=run, error=words_of(error))) from None
    expected_size = 256 + config.num_merges if config.tokenizer == "bpe" else 31
    return tinylm_design(vocab_size or expected_size, **config.architecture())
