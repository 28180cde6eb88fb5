"""`autolm export`: exports a run for Hugging Face Transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autolm.outside.message import message


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help=message("Run folder."))],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help=message("Folder to create."))],
) -> None:
    """Write a run as a folder that Hugging Face Transformers loads."""
    from autolm.lm.huggingface_export import export as export_run
    from autolm.lm.run_folder import RunFolder
    from autolm.outside.language import say
    from autolm.outside.terminal import print_safely

    run_folder = RunFolder.open(run)
    path = export_run(run_folder, folder)
    print_safely(
        say(
            message(
                "{path}  for AutoModelForCausalLM and AutoTokenizer; prompt and generated text "
                "together have at most {context} tokens",
                path=path,
                context=run_folder.config().block_size,
            )
        )
    )
