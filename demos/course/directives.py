"""Sphinx directives of the lessons: players, drawings, cells to run, exercises, questions.

```{player} loss            the backward pass of a variable of the lesson, and other arguments of
                            `player`; `:open:` a part; each line, `8: words`, links to a step
```{drawing} loss           its picture, with a caption
```{run}                    a program of Values that runs in the page
```{exercise} NAME          demos/exercises/NAME.py, marked; each line is a hint
```{build} NAME             demos/building/NAME.py, marked by NAME_tests.py; each line is a hint
```{predict} EXPRESSION     a number to predict; paragraphs: a hint, and the working
```{choose} NUMBER          a question inside the text: a definition list of explained answers, and
                            the number of the right one
```{write}                  a field for an answer in the reader's own words
```{parts}                  the table of the parts of the course, with hours and goals
```{slider} KIND            a picture with a slider, from sliders.js, with a caption
```{typed} MODEL, TOKENIZER a trained TinyLM that reads a typed text; the line is the first text
```{progress}               the number of solved exercises, and the stored work to download
```{answer}                 an answer that opens on request
```{items}                  the table of the published lesson's items, with links
"""

import html
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from course.lessons import DEMOS, exercises, in_table, items, made_name
from course.marking import mark, mark_building
from course.plan import overview
from course.words import CourseError

WORDS = {
    "en": {
        "run": "Run",
        "stop": "Stop",
        "mark": "Check",
        "reset": "Start again",
        "hint": "Hint",
        "solution": "Solution",
        "answer": "Open the answer",
        "open": "Open the player on its own",
        "player": "Player of the backward pass",
        "download": "Download this exercise",
        "number": "Your number",
        "program": "Python program",
        "write": "Write your answer here; it stays in this browser",
        "items": ("item", "where", "taught by"),
        "solved": "exercises solved",
        "hand in": "Download my work",
        "erase": "Erase my work",
        "lesson": "lesson {}",
        "check": "and check it on your computer:",
        "text": "Your text",
        "context": "Letters that the model sees",
        "temperature": "Temperature τ",
        "more": "Continue the text",
        "letter": "letter",
        "weight": "attention of the last letter",
        "loss": "mean loss",
        "unknown": "Letters that this model has not learned",
        "next": "Probability of the next letter",
        "disk": "This runs when the page comes from a server: python -m http.server",
    },
    "ko": {
        "run": "실행",
        "stop": "멈춤",
        "mark": "채점",
        "reset": "처음으로",
        "hint": "힌트",
        "solution": "풀이",
        "answer": "답 열기",
        "open": "플레이어만 따로 열기",
        "player": "역전파 플레이어",
        "download": "이 문제 내려받기",
        "number": "예측한 값",
        "program": "파이썬 프로그램",
        "write": "여기에 답을 써 보세요. 이 브라우저에만 남습니다",
        "items": ("항목", "어디에", "가르치는 문장"),
        "solved": "맞힌 문제",
        "hand in": "결과 내려받기",
        "erase": "기록 지우기",
        "lesson": "{}강",
        "check": "내 컴퓨터에서 검증하기:",
        "text": "나의 글",
        "context": "모델이 보는 글자의 수",
        "temperature": "온도 τ",
        "more": "이어서 쓰기",
        "letter": "글자",
        "weight": "마지막 글자의 어텐션",
        "loss": "평균 손실",
        "unknown": "이 모델이 배우지 않은 글자",
        "next": "다음 글자의 확률",
        "disk": "웹 주소에서 열었을 때만 실행됩니다: python -m http.server",
    },
}


class Course(SphinxDirective):
    """Base class: the page's language and the path to the site's root."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True

    @property
    def words(self) -> dict[str, str]:
        """Labels in the page's language."""
        return WORDS[self.config.language]

    @property
    def root(self) -> str:
        """Relative path from this page to the folder with both languages."""
        return "../" * (self.env.docname.count("/") + 1)

    def address_of(self, suffix: str) -> str:
        """Return the address of the file that the lesson wrote for this directive."""
        name = made_name(self.env.docname.rpartition("/")[2], self.arguments[0])
        return f"{self.root}shared/made/{name}{suffix}"

    def raw(self, text: str) -> Any:
        """Return HTML."""
        return nodes.raw("", text, format="html")

    def box(self, kind: str, *children: Any) -> list[Any]:
        """Return a box with the directive's content, followed by children."""
        container = nodes.container(classes=[kind])
        self.state.nested_parse(self.content, self.content_offset, container)
        container += children
        return [container]


class Player(Course):
    """A player of the backward pass of a variable, with buttons that go to some of its steps."""

    option_spec = {"open": directives.unchanged}  # noqa: RUF012, as docutils has it

    def run(self) -> list[Any]:
        """Return the nodes."""
        words = self.words
        place = {"lang": self.config.language, **self.options}
        page = f"{self.address_of('.html')}#{urlencode(place)}"
        moments = "".join(
            f'<button type="button" data-step="{step}">{html.escape(label.strip())}</button>'
            for step, label in (line.split(":", 1) for line in self.content)
        )
        return [
            self.raw(
                f'<div class="walk"><div class="buttons">{moments}</div>'
                f'<iframe class="player" src="{page}" title="{words["player"]}" loading="lazy">'
                f'</iframe><p class="note"><a href="{page}">{words["open"]}</a></p></div>'
            )
        ]


class Picture(Course):
    """A drawing of the graph of a variable, for the light and the dark theme."""

    def run(self) -> list[Any]:
        """Return the nodes."""
        caption, language = html.escape(" ".join(self.content)), self.config.language
        images = "".join(
            f'<a class="only-{theme}" href="{self.address_of(suffix)}">'
            f'<img src="{self.address_of(suffix)}" alt="{caption}"></a>'
            for theme, suffix in (("light", f"-{language}.svg"), ("dark", f"-{language}-dark.svg"))
        )
        return [
            self.raw(
                f'<figure class="drawing"><div tabindex="0">{images}</div>'
                f"<figcaption>{caption}</figcaption></figure>"
            )
        ]


class Cell(Course):
    """A text area with a program, and its buttons."""

    def cell(self, program: str, button: str, attributes: str = "") -> str:
        """Return the HTML of a cell."""
        words, rows = self.words, program.rstrip("\n").count("\n") + 1
        return (
            f'<div class="cell-to-run" data-root="{self.root}" data-stop="{words["stop"]}" '
            f"{attributes}>"
            f'<textarea spellcheck="false" autocapitalize="off" rows="{rows}" '
            f'aria-label="{words["program"]}">{html.escape(program.rstrip())}</textarea>'
            f'<div class="buttons"><button type="button" data-run>{words[button]}</button>'
            f'<button type="button" data-reset>{words["reset"]}</button></div>'
            '<pre class="out" aria-live="polite" tabindex="0"></pre></div>'
        )


class Run(Cell):
    """A program of Values that runs in the page."""

    def run(self) -> list[Any]:
        """Return the nodes."""
        return [self.raw(self.cell("\n".join(self.content), "run"))]


class Exercise(Cell):
    """A backward rule to write or to fix, marked in the page, with closed hints and solution."""

    folder = DEMOS / "exercises"

    def is_right(self, program: str, exercise: str) -> bool:
        """Mark a program."""
        return mark(program, exercise)[0]

    def attributes(self) -> str:
        """Return further HTML attributes of the cell."""
        return ""

    def footer(self, file: str) -> str:
        """Return the link to the file, and the command that checks it offline."""
        command = f"autolm check --no-diagnosis {file}"
        address = f"{self.root}shared/exercises/{file}"
        words = self.words
        return (
            f'<p class="note"><a href="{address}" download>{words["download"]}</a>, '
            f"{words['check']} <code>{command}</code></p>"
        )

    def run(self) -> list[Any]:
        """Make the cell; require that the exercise is wrong and that its solution is right."""
        name, words, folder = self.arguments[0], self.words, self.folder
        exercise, solved = (
            (folder / f"{file}.py").read_text("utf-8") for file in (name, f"{name}_solution")
        )
        verdicts = [self.is_right(program, exercise) for program in (exercise, solved)]
        if verdicts != [False, True]:
            raise CourseError("exercise", name=name, verdicts=verdicts)
        _copy(folder / f"{name}.py", Path(self.env.app.outdir).parent / "shared" / folder.name)
        hints = "".join(
            f"<details class='hint' data-hint><summary>{words['hint']} {number}</summary>"
            f"<p>{html.escape(hint)}</p></details>"
            for number, hint in enumerate(filter(None, self.content), 1)
        )
        return [
            self.raw(
                self.cell(exercise, "mark", f'data-exercise="{name}" {self.attributes()}')
                + hints
                + f'<template data-solution-of="{name}"><details data-solution>'
                f"<summary>{words['solution']}</summary><pre>{html.escape(solved)}</pre></details>"
                f"</template>{self.footer(f'{name}.py')}"
            )
        ]


class Build(Exercise):
    """A part of a language model to build, marked by test calls."""

    folder = DEMOS / "building"

    @property
    def tests(self) -> str:
        """The tests of this part."""
        return (self.folder / f"{self.arguments[0]}_tests.py").read_text("utf-8")

    def is_right(self, program: str, exercise: str) -> bool:
        """Mark a program."""
        return mark_building(program, self.tests)[0]

    def attributes(self) -> str:
        """Return the tests, for the marking in the page."""
        return f'data-tests="{html.escape(self.tests)}"'

    def footer(self, file: str) -> str:
        """Return the links to the file and to its tests."""
        shared = Path(self.env.app.outdir).parent / "shared"
        tests, address = file.replace(".py", "_tests.py"), f"{self.root}shared/building"
        _copy(self.folder / tests, shared / "building")
        _copy(DEMOS / "course" / "marking.py", shared / "building")
        links = " · ".join(
            f'<a href="{address}/{name}" download>{name}</a>'
            for name in (file, tests, "marking.py")
        )
        return (
            f'<p class="note">{links}, {self.words["check"]} '
            f"<code>python marking.py {file}</code></p>"
        )


def _copy(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file.name).write_bytes(file.read_bytes())


class Predict(Course):
    """A question whose answer is a number; paragraphs of help open after wrong answers."""

    option_spec = {"within": directives.unchanged}  # noqa: RUF012, as docutils has it

    def run(self) -> list[Any]:
        """Make the form; the paragraphs are a hint and, last, the working."""
        words, within = self.words, self.options.get("within", "0.01")
        form = self.raw(
            f'<form class="predict" data-predict="{float(self.arguments[0])!r}" '
            f'data-within="{within}"><input type="text" autocomplete="off" '
            f'aria-label="{words["number"]}" placeholder="{words["number"]}">'
            f'<button>{words["mark"]}</button><output aria-live="polite"></output></form>'
        )
        helps = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, helps)
        question = nodes.container("", form, classes=["question"])
        for paragraph in helps.children:
            question += nodes.container("", paragraph, classes=["help"])
        return [question]


class Write(Course):
    """A field for an answer in the reader's own words."""

    has_content = False

    def run(self) -> list[Any]:
        """Return the nodes."""
        label = self.words["write"]
        labels = f'placeholder="{label}" aria-label="{label}"'
        return [self.raw(f'<textarea class="write" rows="3" {labels}></textarea>')]


class Items(Course):
    """The table of the published lesson's items, with the sentence that teaches each."""

    has_content = False

    def run(self) -> list[Any]:
        """Return the nodes."""
        words, korean = self.words, self.config.language == "ko"
        lines: list[str] = []
        for item in items():
            text, sentence = item.korean if korean else item.english
            text = text.replace("|", "\\|")
            if item.anchor == "#":
                lines += [
                    "",
                    f"**{text}**",
                    "",
                    "| {} | {} | {} |".format(*words["items"]),
                    "| --- | --- | --- |",
                ]
            else:
                place = words["lesson"].format(item.lesson) if item.lesson else "→"
                lines.append(f"| {text} | [{place}](#{item.anchor}) | {in_table(sentence)} |")
        container = nodes.container(classes=["items"])
        self.state.nested_parse(StringList(lines, "items.tsv"), 0, container)
        return [container]


class Parts(Course):
    """The table of the parts of the course: lessons, hours and goals."""

    has_content = False

    def run(self) -> list[Any]:
        """Return the nodes."""
        container = nodes.container(classes=["parts"])
        lines = StringList(overview(self.config.language), "plan.py")
        self.state.nested_parse(lines, 0, container)
        return [container]


class Progress(Course):
    """The number of solved exercises; stored work can be downloaded or erased."""

    has_content = False

    def run(self) -> list[Any]:
        """Return the nodes."""
        words, total = self.words, exercises()
        return [
            self.raw(
                f'<div class="progress" data-total="{total}"><progress max="{total}" value="0" '
                f'aria-label="{words["solved"]}"></progress> <output></output>'
                f'<div class="buttons"><button type="button" data-download>{words["hand in"]}'
                f'</button><button type="button" data-erase>{words["erase"]}</button></div></div>'
            )
        ]


class Slider(Course):
    """A picture that changes with a slider, with a caption."""

    RANGES: ClassVar = {  # kind: symbol, minimum, maximum, step, initial value
        "descent": ("α", 0.02, 1.1, 0.02, 0.2),
        "temperature": ("τ", 0.1, 4, 0.05, 1),
    }

    def run(self) -> list[Any]:
        """Return the nodes."""
        kind = self.arguments[0]
        sign, low, high, step, value = self.RANGES[kind]
        caption = html.escape(" ".join(self.content))
        return [
            self.raw(
                f'<div class="slider" data-slider="{kind}"><label>{sign} <input type="range" '
                f'min="{low}" max="{high}" step="{step}" value="{value}" aria-label="{caption}">'
                f'</label><output></output><svg viewBox="0 0 320 180" role="img" '
                f'aria-label="{caption}"></svg><p class="note">{caption}</p></div>'
            )
        ]


class Choose(Course):
    """A question with answers to choose from; an opened answer shows its explanation."""

    def run(self) -> list[Any]:
        """Make one closed box for each answer."""
        parsed = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, parsed)
        (answers,) = parsed.findall(nodes.definition_list)
        box = nodes.container(classes=["choose"])
        for number, item in enumerate(answers, 1):
            answer, explanation = item.children
            verdict = "right" if number == int(self.arguments[0]) else "wrong"
            box += self.raw(f"<details class='choice' data-choice='{verdict}'><summary>")
            box += nodes.inline("", "", *answer.children)
            box += self.raw("</summary>")
            box += explanation.children
            box += self.raw("</details>")
        return [box]


class Typed(Course):
    """A trained TinyLM in the page: the loss of a typed text, and how it continues."""

    def run(self) -> list[Any]:
        """Make the text field, two sliders, the table of letters and the bars."""
        words, escape = self.words, html.escape
        data = {key: words[key] for key in ("letter", "weight", "loss", "unknown", "disk")}
        data["typed"] = self.address_of(".json")
        attributes = " ".join(f'data-{key}="{escape(value)}"' for key, value in data.items())
        return [
            self.raw(
                f'<div class="typed" {attributes}><label>{words["text"]} <input type="text" '
                f'data-text value="{escape(self.content[0])}" maxlength="60" autocomplete="off" '
                f'autocapitalize="off" spellcheck="false"></label>'
                f"<label>{words['context']} <output data-context></output> "
                f'<input type="range" min="1" max="8" value="8"></label>'
                f"<label>{words['temperature']} <output data-temperature></output> "
                f'<input type="range" min="0.1" max="2" step="0.05" value="1"></label>'
                f'<p aria-live="polite" class="mean"><output></output></p>'
                f'<div class="table-wrapper" tabindex="0"><table></table></div>'
                f'<p class="note">{words["next"]}</p>'
                f'<svg viewBox="0 0 320 172" role="img" aria-label="{words["next"]}"></svg>'
                f'<div class="buttons"><button type="button" data-more>{words["more"]}</button>'
                f'<button type="button" data-reset>{words["reset"]}</button></div></div>'
            )
        ]


class Answer(Course):
    """An answer that opens on request."""

    def run(self) -> list[Any]:
        """Return the nodes."""
        opening = self.raw(f"<details class='answer'><summary>{self.words['answer']}</summary>")
        container = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, container)
        return [opening, *container.children, self.raw("</details>")]


def setup(app: Any) -> dict[str, bool]:
    """Register the directives."""
    kinds = {
        "player": Player,
        "drawing": Picture,
        "run": Run,
        "exercise": Exercise,
        "build": Build,
        "predict": Predict,
        "write": Write,
        "items": Items,
        "parts": Parts,
        "progress": Progress,
        "slider": Slider,
        "choose": Choose,
        "typed": Typed,
        "answer": Answer,
    }
    for name, kind in kinds.items():
        app.add_directive(name, kind)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
