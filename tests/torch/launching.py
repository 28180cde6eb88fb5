"""Runs of the command on several workers, as torchrun starts them, out of one process.

PyTorch takes seconds to load. So it is loaded once, here, and every worker is a fork of this
process, with the variables by which torchrun tells it who it is; and so is, in the place of
torchrun's agent, who keeps what workers leave word of for one another. Called with JSON on standard
input: a list of [number of workers, arguments, what happens to which worker]; answers with JSON: of
each the exit codes, outputs and errors of the workers.
"""

import builtins
import importlib
import json
import os
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.figure
import rich.console
import safetensors.numpy
import torch

from autolm.cli import main
from autolm.lm import loss_plot, read_only_run_folder, report, run
from autolm.torch.torch_engine import TorchEngine

LOADED = (matplotlib, rich, safetensors, read_only_run_folder, loss_plot, report)  # before the fork


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def comes_at_a_step(what: dict[str, Any]) -> None:
    """Let a signal come to this worker, at the beginning of a step."""
    plain = TorchEngine.advance

    def advance(engine: TorchEngine, *arguments: Any) -> Any:
        if engine.steps == what["step"]:
            os.kill(os.getpid(), signal.Signals[what["signal"]])
        return plain(engine, *arguments)

    TorchEngine.advance = advance  # type: ignore[method-assign]


def fails(module: str, attribute: str, kind: str, *arguments: Any) -> None:
    """Let a function of a module, or a method of a class in it, fail at this worker."""

    def failing(*_: Any, **__: Any) -> None:
        raise getattr(builtins, kind)(*arguments)

    *owner, name = attribute.split(".")
    place: Any = importlib.import_module(module)
    for part in owner:
        place = getattr(place, part)
    setattr(place, name, failing)


def worker(rank: int, size: int, port: int, arguments: list[str], what: dict[str, Any]) -> None:
    if size > 0:
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "LOCAL_WORLD_SIZE": str(size),
            "WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "TORCHELASTIC_USE_AGENT_STORE": str("port" not in what),
        }
    if library := what.get("lacks"):
        setattr(torch.distributed, f"is_{library}_available", lambda: False)
    os.environ |= what.get("environment", {})
    arguments = [*arguments, *what.get("arguments", {}).get(str(rank), [])]
    if what.get("rank", rank) == rank:
        if "signal" in what:
            comes_at_a_step(what)
        if "fails" in what:
            fails(*what["fails"])
        if "longest_file" in what:
            resource.setrlimit(resource.RLIMIT_FSIZE, (what["longest_file"],) * 2)
            sys.dont_write_bytecode = True  # CPython 3.11 would keep a part of it
    run.SAMPLE_TOKENS = 20
    signal.alarm(200)  # a worker that hangs is a failure, and not an endless test
    main(arguments)


def launch(size: int, arguments: list[str], what: dict[str, Any]) -> dict[str, Any]:
    port, workers = what.get("port") or free_port(), range(max(1, size))
    agent = None if size == 0 or "port" in what else forked_agent(port)
    with tempfile.TemporaryDirectory() as folder:
        files = [[Path(folder, f"{rank}.{name}") for name in ("out", "error")] for rank in workers]
        children = [
            forked(files[rank], partial(worker, rank, size, port, arguments, what))
            for rank in workers
        ]
        codes = []
        for rank in sorted(workers, key=lambda rank: is_stopped(rank, what)):
            if is_stopped(rank, what):  # the others have ended: as torchrun's agent would
                os.kill(children[rank], signal.SIGKILL)
            codes.append((rank, os.waitstatus_to_exitcode(os.waitpid(children[rank], 0)[1])))
        codes = [code for _, code in sorted(codes)]
        if agent is not None:
            os.kill(agent, signal.SIGKILL)
            os.waitpid(agent, 0)
        texts = [[file.read_text("utf-8") for file in pair] for pair in files]
    out, error = zip(*texts, strict=True)
    return {"codes": codes, "out": out, "error": error}


def is_stopped(rank: int, what: dict[str, Any]) -> bool:
    """Whether this worker is the one that is stopped for good."""
    return what.get("signal") == "SIGSTOP" and what["rank"] == rank


def forked_agent(port: int) -> int:
    """Let a child of this process be the place where workers meet; return its number."""
    if child := os.fork():
        return child
    place = torch.distributed.TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
    signal.alarm(400)
    while True:
        signal.pause()
    del place


def forked(files: list[Path], work: Callable[[], None]) -> int:
    """Let a child of this process do something that ends by SystemExit; return its number."""
    if child := os.fork():
        return child
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    code = 1
    try:
        work()
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    torch.set_num_threads(1)  # a fork has none of the threads that its parent had
    print(json.dumps([launch(*scene) for scene in json.load(sys.stdin)]))
