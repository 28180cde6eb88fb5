"""Generate the reference pages from the code: names, commands, operations, architecture, guide."""

import html
import inspect
import os
import re
import subprocess
import sys
from itertools import chain

import autolm
from autolm.cli.command import COMMANDS
from autolm.engine.value import OPERATIONS as OF_VALUES
from autolm.ops import OPERATIONS
from autolm.outside.language import say, say_rule, speak
from course.lessons import DEMOS
from course.words import LANGUAGES

TITLES = {
    "names": ("Names", "이름"),
    "commands": ("Commands", "명령"),
    "operations": ("Operations", "연산"),
    "architecture": ("Architecture", "구조"),
    "guide": ("Guide", "안내"),
}
ABOUT = {
    "names": (
        "Public names of `autolm`, from their docstrings, without the [operations](operations.md).",
        "`from autolm import …`로 가져오는 것들입니다(영어). [연산](operations.md)은 "
        "따로 있습니다.",
    ),
    "commands": (
        "The output of `--help` of each command.",
        "명령마다 `--help`의 출력입니다.",
    ),
    "operations": (
        "Formula and backward rule of each operation: ḡ is the gradient from above, y the result.",
        "연산의 공식과 역전파 규칙입니다. ḡ는 위에서 온 기울기, y는 결과입니다.",
    ),
    "guide": (
        "How to do each task with autolm.",
        "autolm으로 하는 일을 하나씩 설명합니다(영어).",
    ),
    "architecture": (
        "The structure of the code and how to extend it, from `CONTRIBUTING.md`.",
        "코드의 구조와 확장하는 방법입니다. `CONTRIBUTING.md`에서 가져왔습니다(영어).",
    ),
}


def pages() -> dict[str, tuple[str, str]]:
    """Return the MyST text of each reference page, by name, in English and Korean."""
    bodies = {
        "names": [_names()] * 2,
        "commands": [_commands(language) for language in LANGUAGES],
        "operations": [_operations(language) for language in LANGUAGES],
        "architecture": [_architecture()] * 2,
        "guide": [_guide()] * 2,
    }
    return {
        name: tuple(
            f"# {title}\n\n{about}\n\n{body}"
            for title, about, body in zip(TITLES[name], ABOUT[name], in_each, strict=True)
        )
        for name, in_each in bodies.items()
    }


def _names() -> str:
    operations = {op.name for op in OPERATIONS}
    by_package: dict[str, list[str]] = {}
    for name in sorted(set(autolm.__all__) - operations, key=str.lower):
        thing = getattr(autolm, name)
        if getattr(thing, "__name__", "") == name and not inspect.ismodule(thing):
            package = thing.__module__.split(".")[1]
            kind = "class" if inspect.isclass(thing) else "function"
            members = "\n   :members:" if kind == "class" else ""
            block = f".. auto{kind}:: autolm.{name}{members}\n"
            by_package.setdefault(package, []).append(block)
    return "\n".join(
        f"## `autolm/{package}/`\n\n```{{eval-rst}}\n" + "\n".join(blocks) + "```\n"
        for package, blocks in sorted(by_package.items())
    )


def _commands(language: str) -> str:
    environment = {**os.environ, "COLUMNS": "92", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    texts = []
    for command in chain(*COMMANDS.values()):
        name = command.__name__
        words = [sys.executable, "-m", "autolm", name, "--help", f"--language={language}"]
        done = subprocess.run(
            words, env=environment, capture_output=True, encoding="utf-8", check=True
        )
        texts.append(
            f"({name}-command)=\n## `autolm {name}`\n\n```text\n{done.stdout.strip()}\n```\n"
        )
    return "\n".join(texts)


def _operations(language: str) -> str:
    speak(language)
    rows = [(op.name, op) for op in OPERATIONS]
    rows += [(name, record) for name, record in OF_VALUES.items() if name not in dict(rows)]
    heads = ("operation", "", "formula", "gradient", "at kinks")  # as `autolm ops` has them
    head = "".join(f"<th>{say(word)}</th>" for word in heads)
    lines = [f'<div class="operations" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>']
    for name, record in rows:
        kinks = getattr(record, "kinks", "")
        rule = "\n".join(map(say_rule, record.rule))
        cells = (name, record.symbol, say_rule(record.formula), rule, say_rule(kinks))
        marked = "".join(f"<td>{html.escape(cell).replace(chr(10), '<br>')}</td>" for cell in cells)
        lines.append(f'<tr id="operation-{name}">{marked}</tr>')
    speak("en")
    return "\n".join([*lines, "</tbody></table></div>", ""])


def _architecture() -> str:
    text = (DEMOS.parent / "CONTRIBUTING.md").read_text("utf-8")
    return _without_files(text[text.index("## Architecture") :])


def _guide() -> str:
    text = (DEMOS / "guide.md").read_text("utf-8")
    text = text[text.index("## ") :].replace('"pictures/', '"../../shared/pictures/')
    return _without_files(re.sub(r"\]\((?!http|#)[^)]*OPERATIONS.md\)", "](operations.md)", text))


def _without_files(text: str) -> str:
    """Replace links to files, which the site does not contain, by their words."""
    return re.sub(r"(?<!!)\[([^]\n]*)\]\((?!http|#|operations\.md\))[^)]*\)", r"\1", text)
