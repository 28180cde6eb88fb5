"""Run folders as nobody should have made them: each damage is a function of a folder, by its name.

Files that are no files, links that lead out, JSON that is none or means nothing, numbers that no
memory holds, weights of other kinds, texts that would speak to the terminal, and leftovers.
"""

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from autolm.lm.config import TrainingConfig
from autolm.lm.saved_state import checksum_of_array, checksum_of_json
from tests.runs import to_old_format

Damage = Callable[[Path], object]

CHECKPOINT = "checkpoint.safetensors"
FILES = ("config.json", "tokenizer.json", CHECKPOINT, "metrics.jsonl")
OLD = ("model.safetensors", "optimizer.safetensors", "state.json")  # of earlier versions
ESCAPES = "\x1b]0;owned\x07\x1b[31m\r\x9b\u202e"


def put(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def instead(name: str, make: Callable[[Path], object]) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return damage


def edit(name: str, **changes: Any) -> Damage:
    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_bytes()) | changes
        (folder / name).write_text(json.dumps(content))

    return damage


def edit_state(**changes: Any) -> Damage:
    """Edit the state of a checkpoint, without a new checksum of it."""

    def damage(folder: Path) -> None:
        content, state = read_state(folder)
        write_state(folder, content, state | changes)

    return damage


def read_state(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    with safe_open(folder / CHECKPOINT, "numpy") as file:
        return file.get_tensors(), json.loads(file.metadata()["autolm"])


def write_state(folder: Path, content: dict[str, Any], state: dict[str, Any]) -> None:
    save_file(content, folder / CHECKPOINT, metadata={"autolm": json.dumps(state)})


def old(damage: Damage, version: int = 1) -> Damage:
    """Damage a folder as an earlier version would have written it."""

    def damage_old(folder: Path) -> None:
        to_old_format(folder, version)
        damage(folder)

    return damage_old


def arrays(part: str, change: Callable[[dict[str, Any]], dict[str, Any]], whole: bool) -> Damage:
    """Change the arrays of a part; `whole`, with new checksums too."""

    def damage(folder: Path) -> None:
        content, state = read_state(folder)
        prefix = f"{part}/"
        those = {k.removeprefix(prefix): a for k, a in content.items() if k.startswith(prefix)}
        other_axes = {k: a for k, a in content.items() if not k.startswith(prefix)}
        with np.errstate(all="ignore"):
            content = other_axes | {f"{prefix}{name}": a for name, a in change(those).items()}
        if whole:
            del state["sha256"]
            state["checksums"] = {name: checksum_of_array(a) for name, a in content.items()}
            state["sha256"] = checksum_of_json(state)
        write_state(folder, content, state)

    return damage


def of_one(change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def of_all(content: dict[str, Any]) -> dict[str, Any]:
        name = next(name for name in sorted(content) if content[name].ndim)
        return content | {name: change(content[name])}

    return of_all


def header(text: str, data: bytes = b"1234") -> bytes:
    return struct.pack("<Q", len(text)) + text.encode() + data


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


def bpe(merges: list[list[int]], special: tuple[str, ...] = ()) -> Damage:
    content = {"kind": "bpe", "split": None, "merges": merges, "special_tokens": special}
    return put("tokenizer.json", json.dumps(content).encode())


def of_headers(name: str) -> dict[str, Damage]:
    """Return false headers of safetensors."""
    contents = {
        "bfloat16": header('{"W": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}'),
        "a lie": header(
            '{"W": {"dtype": "F32", "shape": [1099511627776], "data_offsets": [0, 4]}}'
        ),
        "negative": header('{"W": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}'),
        "no shape": header('{"W": {"dtype": "F32"}}'),
        "a list": header("[1, 2]"),
        "a long header": struct.pack("<Q", 2**63) + b"{}",
    }
    return {f"{name} {what}": put(name, content) for what, content in contents.items()}


def of_old(named: dict[str, Damage]) -> dict[str, Damage]:
    return {f"old {what}": old(damage) for what, damage in named.items()}


def lead_out(path: Path) -> None:
    shutil.copy(path.parent.parent / "good" / path.name, path.parent.parent / path.name)
    os.symlink(f"../{path.name}", path)


def of_any_file(name: str) -> dict[str, Damage]:
    """Return damage that can happen to a file of any format."""
    return {
        f"{name} missing": lambda folder: (folder / name).unlink(),
        f"{name} is a pipe": instead(name, os.mkfifo),
        f"{name} is a folder": instead(name, os.mkdir),
        f"{name} is a device": instead(name, lambda path: os.symlink("/dev/zero", path)),
        f"{name} leads to a secret": instead(name, lambda path: os.symlink("/etc/passwd", path)),
        f"{name} leads nowhere": instead(name, lambda path: os.symlink("nowhere", path)),
        f"{name} leads to itself": instead(name, lambda path: os.symlink(path.name, path)),
        f"{name} empty": put(name, b""),
        f"{name} null": put(name, b"null\n"),
        f"{name} nested": put(name, b"[" * 100_000),
        f"{name} a long number": put(name, b'{"step": ' + b"9" * 5000 + b"}\n"),
        f"{name} sparse": instead(name, sparse),
        f"{name} escapes": put(name, ESCAPES.encode() * 9),
        f"{name} JSON escapes": put(name, json.dumps({ESCAPES: ESCAPES, "kind": ESCAPES}).encode()),
        f"{name} no UTF-8": put(name, b"\xff\xfe{}\n"),
    }


DAMAGES: dict[str, Damage] = {
    f"as version {n} wrote it": old(lambda folder: None, n) for n in (0, 1)
}
for name in FILES:
    DAMAGES |= of_any_file(name)
    DAMAGES[f"{name} leads out"] = instead(name, lead_out)
for name in OLD:
    DAMAGES |= of_old(of_any_file(name))
for name in (*OLD, "config.json"):
    DAMAGES |= of_old(
        {
            f"{name}.new of garbage": put(f"{name}.new", b"garbage"),
            f"{name}.new empty": put(f"{name}.new", b""),
            f"{name}.new a folder": lambda folder, name=name: (folder / f"{name}.new").mkdir(),
            f"{name}.new a pipe": lambda folder, name=name: os.mkfifo(folder / f"{name}.new"),
            f"{name}.new a copy": lambda folder, name=name: shutil.copy(
                folder / name, folder / f"{name}.new"
            ),
        }
    )
PARTIAL = ".autolm-1-ab.partial"
DAMAGES |= {
    "a partial folder": lambda folder: (folder / PARTIAL).mkdir(),
    "a partial pipe": lambda folder: os.mkfifo(folder / PARTIAL),
    "old state.json.new of another step": old(
        lambda folder: (folder / "state.json.new").write_text(
            json.dumps(json.loads((folder / "state.json").read_text()) | {"step": 9})
        )
    ),
    "every other file a pipe": lambda folder: [
        instead(name, os.mkfifo)(folder) for name in ("loss.png", "samples.txt", "process.lock")
    ],
    "a lock that leads out": instead("process.lock", lambda path: os.symlink("../text.txt", path)),
    "a lock that is a second name": instead(
        "process.lock", lambda path: os.link(path.parent.parent / "text.txt", path)
    ),
}
ODD = (None, True, 0, -1, 10**9, 10**18, 10**400, 1.5, 1e308, float("nan"), "", "x" * 9999, [], {})
for choice in TrainingConfig.choices():
    for odd in (*ODD, ESCAPES):
        DAMAGES[f"config.json {choice} = {repr(odd)[:12]}"] = edit("config.json", **{choice: odd})
del DAMAGES["config.json steps = 1000000000"]  # it would be trained
for key in ("step", "data", "data_sha256", "checksums", "invariants", "format", "sha256"):
    for odd in ODD:
        DAMAGES[f"state {key} = {repr(odd)[:12]}"] = edit_state(**{key: odd})
for key in ("step", "files", "kept", "format", "sha256"):
    for odd in ODD:
        DAMAGES[f"old state {key} = {repr(odd)[:12]}"] = old(edit("state.json", **{key: odd}))
for odd in (True, -1, 9, 10**9, 10**18):
    DAMAGES[f"version 0 state.json step = {odd}"] = old(edit("state.json", step=odd), 0)
for odd in (None, [], {"batch": -1}, {"batch": "x"}, {"batch": 1.5}):
    DAMAGES[f"version 0 state.json data = {odd}"] = old(edit("state.json", data=odd), 0)
CHANGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    **{
        kind: of_one(lambda array, kind=kind: array.astype(kind))
        for kind in ("int32", "bool", "uint8")
    },
    "nan": of_one(lambda array: array * np.nan),
    "inf": of_one(lambda array: array * 0 + np.inf),
    "too large": of_one(lambda array: array.astype("f8") * 0 + 1e300),
    "an array more": lambda content: content | {ESCAPES: np.zeros(3, np.float32)},
    "an array less": lambda content: dict(list(content.items())[1:]),
    "many arrays": lambda content: {f"x{i}": np.zeros(1, np.float32) for i in range(9999)},
    "another shape": of_one(lambda array: array[:1]),
}
for part in ("model", "optimizer"):
    for what, change in CHANGES.items():
        DAMAGES[f"{part} {what}"] = arrays(part, change, whole=False)
        DAMAGES[f"{part} {what}, and told so"] = arrays(part, change, whole=True)
DAMAGES |= of_headers(CHECKPOINT)
for name in OLD[:2]:
    DAMAGES |= of_old(of_headers(name))
DOUBLING = [[97, 97], *([256 + i, 256 + i] for i in range(60))]
DAMAGES |= {
    "tokens that double": bpe(DOUBLING),
    "a wide vocabulary": bpe(DOUBLING[:16] + [[271, i] for i in range(256)] * 20),
    "the same merge": bpe([[97, 97]] * 3),
    "merges of nothing": bpe([[97, 999]]),
    "merges of no numbers": bpe([[97, 1.5]]),  # type: ignore[list-item]
    "special escapes": bpe([], (ESCAPES, "a" * 10**6)),
    "many special tokens": bpe([], tuple(map(str, range(50_000)))),
    "other characters": put(
        "tokenizer.json", json.dumps({"kind": "characters", "characters": [*"abcdefghi"]}).encode()
    ),
    "characters that escape": put(
        "tokenizer.json",
        json.dumps({"kind": "characters", "characters": sorted({*ESCAPES, *"\ud800a"})}).encode(),
    ),
}
LINES = (
    *(b"null", b"[]", b"{}", b'{"step": null}', b'{"step": "1"}', b'{"step": -5, "loss": 1}'),
    *(b'{"step": 1.5, "loss": 1}', b'{"step": true, "loss": 1}', b"\xff\xfe", b"[" * 9999),
    *(b'{"step": 1, "loss": null}', b'{"step": 1, "loss": "x"}', b'{"step": 1, "loss": NaN}'),
    *(b'{"step": 1, "loss": 1e400}', b'{"step": 1, "loss": [1]}', b'{"step": 1, "loss": 1}\0'),
    *(b'{"step": 1, "validation_loss": null}', b'{"step": 1, "loss": ' + b"9" * 400 + b"}"),
    *(b'{"step": 1, "loss": ' + b"9" * 5000 + b"}", b"x" * 3_000_000, b'{"step": 1, "lo'),
)
for line in LINES:
    DAMAGES[f"metrics.jsonl begins with {line[:36]!r}"] = lambda folder, line=line: put(
        "metrics.jsonl", line + b"\n" + (folder / "metrics.jsonl").read_bytes()
    )(folder)
    DAMAGES[f"metrics.jsonl ends with {line[:36]!r}"] = lambda folder, line=line: put(
        "metrics.jsonl", (folder / "metrics.jsonl").read_bytes() + line
    )(folder)
