"""The facts on which all workers of a run must agree: choices, text, tokenizer and versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from numpy.typing import NDArray

from autolm.lm.config import TrainingConfig
from autolm.lm.corpora import Corpus
from autolm.lm.run_folder import Checkpoint
from autolm.lm.tokenizers.tokenizer import Tokenizer
from autolm.lm.training import digest
from autolm.outside.message import message

SHOWN = 16  # characters of a digest in a message
Facts = Mapping[str, str]


class WorkersDisagree(ValueError):
    """Workers were started with different choices or data; the message names the first."""


def facts_of(
    config: TrainingConfig, corpus: Corpus, tokenizer: Tokenizer, *, resumes: bool
) -> dict[str, str]:
    """Describe what a worker is about to compute, one short text for each choice.

    The path of the text is omitted, because it may differ between machines.
    """
    choices = {
        f"--{name.replace('_', '-')}": str(value)
        for name, value in asdict(config).items()
        if name != "data"
    }
    return {
        "--resume": "given" if resumes else "not given",
        **choices,
        "the text": f"sha256 {digest(corpus)[:SHOWN]}",
        "the tokenizer": _sha256([json.dumps(tokenizer.to_json()).encode()]),
        "the version of autolm": version_of("autolm"),
        "the version of NumPy": version_of("numpy"),
    }


def version_of(package: str) -> str:
    """Return the version of an installed package, or "unknown" for uninstalled sources."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def digest_of_arrays(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Describe arrays by a digest of their paths and numbers."""
    return _sha256(part for path, a in sorted(arrays.items()) for part in (path.encode(), a))


def digest_of_checkpoint(checkpoint: Checkpoint) -> str:
    """Describe a checkpoint by its step and a digest of its arrays and data position."""
    position = json.dumps(checkpoint.state, sort_keys=True).encode()
    arrays = [digest_of_arrays(part) for part in (checkpoint.model, checkpoint.optimizer)]
    return f"step {checkpoint.state['step']}, {_sha256([*map(str.encode, arrays), position])}"


def _sha256(parts: Iterable[bytes | NDArray[Any]]) -> str:
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(part if isinstance(part, bytes) else part.tobytes())
    return f"sha256 {hashed.hexdigest()[:SHOWN]}"


def require_agreement(facts_by_rank: Sequence[Facts]) -> None:
    """Compare the facts of every worker with those of the first.

    Raises
    ------
    WorkersDisagree
        If they differ; the message names the first difference, with both values.

    Examples
    --------
    >>> require_agreement([{"--seed": "0"}, {"--seed": "1"}])
    Traceback (most recent call last):
        ...
    autolm.lm.agreement.WorkersDisagree: workers disagree on --seed: 1 at rank 1, 0 at rank 0
    """
    first, *rest = facts_by_rank
    for rank, facts in enumerate(rest, start=1):
        for name in {**first, **facts}:  # in the order of the first
            ours, theirs = first.get(name, "nothing"), facts.get(name, "nothing")
            if ours != theirs:
                raise WorkersDisagree(
                    message(
                        "workers disagree on {name}: {theirs} at rank {rank}, {ours} at rank 0",
                        name=name,
                        theirs=theirs,
                        rank=rank,
                        ours=ours,
                    )
                )
