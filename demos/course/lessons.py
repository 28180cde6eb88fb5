"""Read, check and run the lessons, and split each into a notebook for each language.

A lesson is a script in jupytext's percent format: text cells in both languages, code cells once.
Its printed output is recorded in `demos/outputs/`, because the text refers to the numbers; other
output stops the build. A cell that makes a picture describes it in both languages,
`# %% en="…" ko="…"`. The tag `varies` marks output that differs between runs; the tag `verdicts`
marks output of the package, which is translated.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from autolm.outside.language import say, speak
from course import plan
from course.words import LANGUAGES, CourseError

DEMOS = Path(__file__).parents[1]
OUTPUTS = DEMOS / "outputs"
VARIES = "⋯\n"
TIME_LIMIT = 120  # seconds for a cell
DIRECTIVE = re.compile(r"^```\{([\w-]+)\} ?(.*)$", re.MULTILINE)
BLOCK = re.compile(r"^```\{([\w-]+)\} ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
ANCHOR = re.compile(r"^\(([\w-]+)\)=\n", re.MULTILINE)
TITLE = re.compile(r"^# .*$", re.MULTILINE)
ENGLISH = re.compile(r"\b[a-z]{2,} [a-z]{3,}\b")  # two words
NUMBER = re.compile(r"(?<![\w./])\d+\.\d{3,}(?!\w|\.\d)")
MOMENT = re.compile(r"^(?::open: .*|\d+(?=:))", re.MULTILINE)  # of a player
SAME_IN_BOTH = (
    *("player", "drawing", "run", "exercise", "build", "predict", "slider", "choose", "typed"),
)

# Code that runs in the lesson's kernel, at the place of the directive, for each kind of directive.
MAKERS = {
    "player": "__import__('autolm').player({expression}, path={path!r} + '.html')",
    "drawing": "from autolm.outside import language\n"
    "for tongue, dark in __import__('itertools').product(('ko', 'en'), (False, True)):\n"
    "    language.speak(tongue)\n"
    "    __import__('autolm').render({expression}, f'{path}-{{tongue}}' + dark * '-dark' + '.svg',"
    " edges='chain rule', dark=dark)\n"
    "del language, tongue, dark",
    "typed": "__import__('course.typed_text', fromlist=['export']).export("
    "{expression}, {path!r} + '.json')",
    "predict": "print(repr(float(eval({expression!r}, {{"
    "'np': __import__('numpy'), 'math': __import__('math'), **globals()}}))))",
}


@dataclass
class Lesson:
    """A lesson or another page: its script and, after `run`, the notebook with outputs."""

    path: Path
    book: Any

    @property
    def name(self) -> str:
        """Name of the page: the file's name without its suffix."""
        return self.path.stem

    @property
    def record(self) -> Path:
        """File with the recorded output."""
        return OUTPUTS / f"{self.name}.txt"


def read(path: Path) -> Lesson:
    """Read a lesson; require text in each language between any two code cells."""
    book = jupytext.read(path, fmt="py:percent")
    end = nbformat.v4.new_code_cell("the end")
    texts: dict[str, list[str]] = {language: [] for language in LANGUAGES}
    for cell in [*book.cells, end]:
        if cell.cell_type == "markdown":
            texts[cell.metadata.lang].append(cell.source)
            continue
        code = cell.source.partition("\n")[0]
        counts = {language: len(parts) for language, parts in texts.items()}
        if len(set(counts.values())) > 1:
            raise CourseError("no language", lesson=path.name, code=code, counts=counts)
        named = {language: named_in("\n".join(parts)) for language, parts in texts.items()}
        if named["en"] != named["ko"]:
            raise CourseError("other directives", lesson=path.name, code=code, **named)
        texts = {language: [] for language in LANGUAGES}
    return Lesson(path, book)


def named_in(text: str) -> list[str]:
    """List anchors and directives with their arguments, which must agree between languages."""
    named = ANCHOR.findall(text)
    named += [f"{kind} {name}" for kind, name in DIRECTIVE.findall(text) if kind in SAME_IN_BOTH]
    players = (body for kind, _, body in BLOCK.findall(text) if kind == "player")
    return named + [step for body in players for step in MOMENT.findall(body)]


def run(lesson: Lesson, target: Path, folder: Path) -> None:
    """Run a lesson in its own kernel, in a folder, and write its players and drawings.

    Parameters
    ----------
    lesson
        The lesson; its cells get their outputs.
    target
        Folder for players, drawings and models.
    folder
        Working folder of the kernel.

    Raises
    ------
    CourseError
        If a cell fails.
    """
    cells, makers = [], []
    for cell in lesson.book.cells:
        cells.append(cell)
        if cell.cell_type == "markdown" and cell.metadata.lang == LANGUAGES[0]:
            for kind, expression in DIRECTIVE.findall(cell.source):
                if kind in MAKERS:
                    path = target / made_name(lesson.name, expression)
                    code = MAKERS[kind].format(expression=expression, path=str(path))
                    cells.append(nbformat.v4.new_code_cell(code))
                    makers.append((kind, expression, cells[-1]))
    whole = nbformat.v4.new_notebook(cells=cells)
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        whole,
        timeout=TIME_LIMIT,
        kernel_name="python3",
        resources=resources,
        extra_arguments=["--log-level=CRITICAL"],
    )
    try:
        client.execute()
    except CellExecutionError as error:
        message = f"{error.ename}: {error.evalue}"
        raise CourseError("failed", lesson=lesson.path.name, error=message) from error
    for cell in lesson.book.cells:
        if cell.cell_type == "code":  # as a script, a lesson shows no last expression of a cell
            cell.outputs = _joined(
                out for out in cell.outputs if out.output_type != "execute_result"
            )
    for kind, expression, maker in makers:
        if kind == "predict":
            answer = "".join(maker.outputs[0].text.split())
            for cell in lesson.book.cells:
                if cell.cell_type == "markdown":
                    cell.source = cell.source.replace(
                        f"```{{predict}} {expression}\n", f"```{{predict}} {answer}\n"
                    )


def made_name(lesson: str, expression: str) -> str:
    """Name the file that a directive of a lesson writes."""
    return f"{lesson}-{re.sub(r'[^A-Za-z0-9]+', '_', expression)}"


def printed(lesson: Lesson) -> str:
    """Return the printed output of a lesson, with dots for cells that vary."""
    pieces = []
    for cell in lesson.book.cells:
        if cell.cell_type == "code":
            text = "".join(output.text for output in cell.outputs if output.output_type == "stream")
            pieces.append(VARIES if text and "varies" in cell.metadata.get("tags", ()) else text)
    return "".join(pieces)


def compare(lesson: Lesson) -> None:
    """Require the recorded output, and that every long number in the text was printed."""
    now = printed(lesson)
    before = lesson.record.read_text("utf-8") if lesson.record.exists() else ""
    if now != before:
        lines = difflib.unified_diff(before.splitlines(), now.splitlines(), "recorded", "now", n=1)
        raise CourseError(
            "stale",
            lesson=lesson.path.name,
            record=lesson.record.relative_to(DEMOS.parent).as_posix(),
            difference="\n".join(list(lines)[:30]),
        )
    source = now + "".join(cell.source for cell in lesson.book.cells if cell.cell_type == "code")
    for cell in lesson.book.cells:
        text = cell.source if cell.cell_type == "markdown" else ""
        for number in NUMBER.findall(BLOCK.sub("", text)):
            if number not in source:
                raise CourseError("unmade number", lesson=lesson.path.name, number=number)


def in_language(lesson: Lesson, language: str) -> Any:
    """Return the notebook of one language, for a page."""
    cells = [
        deepcopy(cell)
        for cell in lesson.book.cells
        if cell.cell_type == "code" or cell.metadata.lang == language
    ]
    for cell in cells:
        if any("image/png" in out.get("data", ()) for out in cell.get("outputs", ())):
            if language not in cell.metadata:
                code = cell.source.partition("\n")[0]
                raise CourseError("no words", lesson=lesson.path.name, code=code)
            cell.metadata["mystnb"] = {"image": {"alt": cell.metadata[language]}}
    number = int(lesson.name[:2]) if lesson.name[:2].isdigit() else 0
    if number in plan.PLANS:
        head = f"\n\n{plan.head(number, language)}\n"
        first = next(cell for cell in cells if cell.cell_type == "markdown")
        first.source = TITLE.sub(lambda title: title[0] + head, first.source, count=1)
        cells.append(nbformat.v4.new_markdown_cell(plan.end(number, language)))
    for cell in cells if language == "ko" else []:
        for out in cell.get("outputs", ()):
            if "text" in out and "verdicts" in cell.metadata.get("tags", ()):
                out["text"] = _in_korean(out["text"])
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=about)


def _joined(outputs: Iterable[Any]) -> list[Any]:
    """Join consecutive pieces of output: MyST-NB drops the blank lines between them."""
    joined: list[Any] = []
    for out in outputs:
        last = joined[-1] if joined else {}
        if out.output_type == "stream" and last.get("name") == out.name:
            last["text"] += out.text
        else:
            joined.append(out)
    return joined


def _in_korean(printed: str) -> str:
    """Translate output of the package; a line that is translated only in part stays English.

    A sentence of a verdict that continues on a more indented line is joined first.
    """
    speak("ko")
    try:
        lines = []
        for sentence in re.findall(r"^  [a-z]+: .*(?:\n    \S.*)*|^.*", printed, re.MULTILINE):
            korean = say(re.sub(r"\n +", " ", sentence))
            lines.append(sentence if ENGLISH.search(korean) else korean)
        return "\n".join(lines)
    finally:
        speak("en")


def to_download(lesson: Lesson, language: str) -> Any:
    """Return the notebook of one language for Jupyter, without directives."""
    book = in_language(lesson, language)
    for cell in book.cells:
        if cell.cell_type == "markdown":
            plain = BLOCK.sub(partial(_plainly, language=language), cell.source)
            cell.source = ANCHOR.sub("", plain).strip()
    book.cells = [cell for cell in book.cells if cell.source]
    return book


def _plainly(block: re.Match[str], language: str) -> str:
    kind, name, body = block.groups()
    text = "\n".join(line for line in body.splitlines() if not line.startswith(":")).strip()
    answer, number = {"en": ("Answer", "Your number: …"), "ko": ("답", "예측한 값: …")}[language]
    if kind in ("exercise", "build"):
        folder = {"exercise": "exercises", "build": "building"}[kind]
        body = (DEMOS / folder / f"{name}.py").read_text("utf-8")
    if kind in ("exercise", "build", "run"):
        return f"```python\n{body}```"
    if kind == "player":
        return f"```python\nfrom autolm import player\n\nplayer({name})\n```"
    if kind == "choose":
        return "\n\n".join(
            f"<details><summary>{choice}</summary>\n\n{'✓' if right else '✗'} {why}\n\n</details>"
            for choice, why, right in choices(name, body)
        )
    if kind in ("predict", "answer"):
        closed = f"<details><summary>{answer}</summary>\n\n{text}\n\n</details>"
        return f"{number}\n\n{closed}" if kind == "predict" else closed
    return ""


def choices(right: str, body: str) -> list[tuple[str, str, bool]]:
    """Split the body of a `choose` into triples (answer, explanation, whether it is right)."""
    pairs = [pair.split("\n: ", 1) for pair in body.strip().split("\n\n")]
    return [(choice, why, str(i) == right) for i, (choice, why) in enumerate(pairs, 1)]


@dataclass(frozen=True)
class Item:
    """One item of the published lesson, or a heading, whose `anchor` is "#"."""

    anchor: str
    korean: tuple[str, str]  # its name, and the sentence under the anchor that teaches it
    english: tuple[str, str]
    lesson: int | None  # the number of the lesson with the anchor; None for another page


def items() -> list[Item]:
    """Read the table of the published lesson's items, and find the lesson of each."""
    homes = {
        anchor: path for path in scripts() for anchor in ANCHOR.findall(path.read_text("utf-8"))
    }
    table = []
    for line in (Path(__file__).parent / "items.tsv").read_text("utf-8").splitlines():
        anchor, korean, english, *sentences = line.split("\t")
        in_korean, in_english = sentences or ("", "")
        number = homes[anchor].name[:2] if anchor != "#" else ""
        lesson = int(number) if number.isdigit() else None
        table.append(Item(anchor, (korean, in_korean), (english, in_english), lesson))
    return table


def in_table(sentence: str) -> str:
    """Return a sentence of a lesson for a cell of a table: no links, no display formulas."""
    text = re.sub(r"\[([^]]*)\]\(#[^)]*\)", r"\1", sentence).replace("$$", "$")
    return text.replace("|", "\\|")


def exercises() -> int:
    """Count the marked exercises of all pages: rules, parts, predictions, choices."""
    texts = (path.read_text("utf-8") for path in scripts())
    kinds = [kind for text in texts for kind, _ in DIRECTIVE.findall(text)]
    return sum(kind in ("exercise", "build", "predict", "choose") for kind in kinds) // len(
        LANGUAGES
    )


def scripts() -> Iterator[Path]:
    """List the lessons, in order, and the other pages."""
    yield from sorted(DEMOS.glob("[0-9][0-9]_*.py"))
    yield from sorted((DEMOS / "pages").glob("*.py"))
