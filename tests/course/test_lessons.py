"""The lessons as written: two languages, exercises, the 70 items. Nothing is built here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jupytext", reason="pip install -e '.[course]'")

from course import lessons, plan
from course.lessons import ANCHOR, BLOCK, DIRECTIVE, Lesson, choices, items
from course.words import CourseError

ROOT = Path(__file__).parents[2]
SCRIPTS = list(lessons.scripts())
LESSONS = [path for path in SCRIPTS if path.name[0].isdigit()]
EXERCISES = {"exercise", "predict", "answer"}

each_script = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)


def written(tmp_path, text):
    path = tmp_path / "99_lesson.py"
    path.write_text(text, "utf-8")
    return path


def cell(language, text):
    return f'# %% [markdown] lang="{language}"\nr"""\n{text}\n"""\n\n'


@each_script
def test_each_language_says_the_same_between_any_two_cells(path):
    lesson = lessons.read(path)
    for language in ("en", "ko"):
        assert len(lessons.in_language(lesson, language).cells) >= 1


def test_a_lesson_without_one_language_is_refused(tmp_path):
    path = written(tmp_path, cell("en", "# Words") + "# %%\nprint(1)\n")
    with pytest.raises(CourseError) as error:
        lessons.read(path)
    assert "text is missing before 'print(1)'" in error.value.in_language("en")
    assert "두 언어로 모두" in error.value.in_language("ko")


@pytest.mark.parametrize(
    "other",
    [
        "```{player} b\n8: c\n```",
        "```{player} a\n7: c\n```",
        "```{player} a\n:open: b\n8: c\n```",
        "(there)=\n## b",
        "```{exercise} c\n```",
        "```{choose} 2\na\n: b\n```",
    ],
)
def test_languages_that_name_other_players_exercises_or_anchors_are_refused(tmp_path, other):
    text = cell("en", "```{player} a\n8: b\n```") + cell("ko", other)
    with pytest.raises(CourseError, match="other directives"):
        lessons.read(written(tmp_path, text))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_has_at_least_two_exercises(path):
    text = path.read_text("utf-8").split('lang="en"')[-1]
    assert sum(kind in EXERCISES for kind, _ in DIRECTIVE.findall(text)) >= 2


@each_script
def test_emphasis_is_closed_before_a_parenthesis_for_korean_letters_follow_it(path):
    """`**역전파(backpropagation)**는` would show its asterisks."""
    assert not re.search(r"\*\*[^*\n]*\)\*\*(?=[가-힣])", path.read_text("utf-8"))


def korean_of(path):
    return "".join(re.findall(r'lang="ko"\nr?"""\n(.*?)\n"""', path.read_text("utf-8"), re.DOTALL))


def test_the_glossary_has_every_term_and_a_lesson_gives_the_english_of_each():
    page = ROOT / "demos" / "pages" / "glossary.py"
    rows = re.findall(r"^\| (.+?) \| ([A-Za-z][^|]+?) \|", korean_of(page), re.MULTILINE)
    text = " ".join("".join(map(korean_of, LESSONS)).split())
    for term, english in rows:
        for word in english.split(", "):
            assert re.search(rf"[가-힣A-Z](\*\*)?\({word}[,)]|, {word}\)", text), (term, word)
    given = re.findall(r"\*\*([가-힣 -]+)\*\*\(([a-z -]+)\)", text)
    assert len(given) > 50
    assert {english for _, english in given} <= {word for _, e in rows for word in e.split(", ")}


def test_a_picture_without_words_for_it_in_each_language_stops_the_build():
    lesson = lesson_of("plot()", "")
    cell = lesson.book.cells[0]
    cell.outputs[0] = {"output_type": "display_data", "data": {"image/png": ""}, "metadata": {}}
    cell.metadata["en"] = "a curve"
    shown = lessons.in_language(lesson, "en").cells[0]
    assert shown.metadata["mystnb"] == {"image": {"alt": "a curve"}}
    with pytest.raises(CourseError, match="no words"):
        lessons.in_language(lesson, "ko")


def test_the_table_names_70_items_and_each_has_its_place():
    table = [item for item in items() if item.anchor != "#"]
    anchors = {a for path in SCRIPTS for a in ANCHOR.findall(path.read_text("utf-8"))}
    assert len(table) == 70
    assert {item.anchor for item in table} <= anchors


def section(anchor, language):
    """The text of a language from an anchor to the next heading."""
    for path in SCRIPTS:
        cells = re.findall(
            rf'lang="{language}"\nr?"""\n(.*?)\n"""', path.read_text("utf-8"), re.DOTALL
        )
        _, found, rest = "\n".join(cells).partition(f"({anchor})=\n")
        if found:
            heading, body = rest.split("\n", 1)
            return heading + "\n" + re.split(r"^#+ ", body, maxsplit=1, flags=re.MULTILINE)[0]
    raise KeyError(anchor)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_sentence_that_teaches_an_item_is_under_its_anchor(language):
    missing = []
    for item in items():
        if item.anchor != "#":
            name, sentence = item.korean if language == "ko" else item.english
            assert len(sentence) > 10, name
            if sentence not in " ".join(section(item.anchor, language).split()):
                missing.append((item.anchor, name, sentence))
    assert missing == []


def test_no_anchor_stands_twice():
    for language in ("en", "ko"):
        found = [
            anchor
            for path in SCRIPTS
            for part in path.read_text("utf-8").split("# %% [markdown] ")
            if part.startswith(f'lang="{language}"')
            for anchor in ANCHOR.findall(part)
        ]
        assert len(found) == len(set(found))


def lesson_of(code, output, text="", tags=()):
    import nbformat

    stream = nbformat.v4.new_output("stream", name="stdout", text=output)
    cells = [
        nbformat.v4.new_code_cell(code, outputs=[stream], metadata={"tags": list(tags)}),
        nbformat.v4.new_markdown_cell(text, metadata={"lang": "en"}),
    ]
    return Lesson(Path("99_lesson.py"), nbformat.v4.new_notebook(cells=cells))


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.setattr(lessons, "OUTPUTS", tmp_path)
    monkeypatch.setattr(lessons, "DEMOS", tmp_path / "demos")
    return tmp_path


def test_a_stale_record_stops_the_build(outputs):
    (outputs / "99_lesson.txt").write_text("2\n", "utf-8")
    with pytest.raises(CourseError) as error:
        lessons.compare(lesson_of("print(1)", "1\n"))
    assert "-2" in error.value.in_language("en")
    assert "+1" in error.value.in_language("ko")
    lessons.compare(lesson_of("print(2)", "2\n"))


def test_what_varies_is_not_compared(outputs):
    (outputs / "99_lesson.txt").write_text("⋯\n", "utf-8")
    lessons.compare(lesson_of("print(time())", "17\n", tags=["varies"]))


def test_a_number_that_no_cell_makes_stops_the_build(outputs):
    (outputs / "99_lesson.txt").write_text("0.6931\n", "utf-8")
    lessons.compare(lesson_of("print(log(2))", "0.6931\n", "It is 0.6931, about 0.69."))
    with pytest.raises(CourseError, match="unmade number"):
        lessons.compare(lesson_of("print(log(2))", "0.6931\n", "It is 0.6932."))


def test_a_notebook_to_download_has_no_directives_and_shows_the_exercise():
    lesson = lessons.read(LESSONS[0])
    for code in (c for c in lesson.book.cells if c.cell_type == "code"):
        code.outputs = []
    text = "\n".join(c.source for c in lessons.to_download(lesson, "ko").cells)
    assert not BLOCK.search(text)
    assert not ANCHOR.search(text)
    assert "def two_paths(w, x):" in text
    assert "player(y)" in text
    assert text.count("예측한 값") == 1
    assert text.count("<details>") == text.count("</details>") == 4  # a prediction, three choices


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_number_to_predict_has_a_hint_and_its_working(path):
    for kind, name, body in BLOCK.findall(path.read_text("utf-8")):
        if kind == "predict":
            text = body.rpartition(":within:")[2]
            assert len([part for part in text.split("\n\n") if part.strip()]) >= 2, name


CORE = [path for path in LESSONS if int(path.name[:2]) < plan.PARTS[-1].first]


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_a_lesson_asks_a_question_inside_its_text_and_explains_each_answer(path):
    blocks = BLOCK.findall(path.read_text("utf-8"))
    questions = [choices(right, body) for kind, right, body in blocks if kind == "choose"]
    assert len(questions) >= 2  # one in each language
    for question in questions:
        assert len(question) >= 3
        assert sum(right for _, _, right in question) == 1
        assert all(len(why) > 10 for _, why, _ in question)


RUNS = [
    pytest.param(body, id=path.stem)
    for path in LESSONS
    for kind, _, body in BLOCK.findall(path.read_text("utf-8").split('lang="en"')[-1])
    if kind == "run"
]


@pytest.mark.parametrize("program", RUNS)
def test_a_program_to_run_in_the_page_needs_no_more_than_the_engine(program):
    blocked = "import sys; sys.modules['numpy'] = None\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", blocked + program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_every_exercise_stands_in_a_lesson_and_has_its_solution():
    named = {
        name
        for path in LESSONS
        for kind, name in DIRECTIVE.findall(path.read_text("utf-8"))
        if kind == "exercise"
    }
    files = {path.stem for path in (ROOT / "demos" / "exercises").glob("*.py")}
    assert files == named | {f"{name}_solution" for name in named}


def test_every_part_to_build_stands_in_a_lesson_with_its_solution_and_tests():
    named = [
        name
        for path in LESSONS
        for kind, name in DIRECTIVE.findall(path.read_text("utf-8").split('lang="en"')[-1])
        if kind == "build"
    ]
    files = {path.stem for path in (ROOT / "demos" / "building").glob("*.py")}
    assert files == {name + end for name in named for end in ("", "_solution", "_tests")}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_can_be_looked_at_stepped_and_run(path):
    text = path.read_text("utf-8").split('lang="en"', 1)[-1]
    assert {"player", "run"} <= {kind for kind, _ in DIRECTIVE.findall(text)}


def test_the_script_of_the_published_lesson_runs_to_its_last_line(capsys):
    book = lessons.read(ROOT / "demos" / "17_the_lessons_script.py").book
    (script,) = [c.source for c in book.cells if "lesson-script" in c.metadata.get("tags", ())]
    exec(script, {})
    *epochs, last = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in epochs] == [f"Epoch {n}" for n in range(1, 6)]
    losses = [float(line.rpartition("= ")[2]) for line in epochs]
    assert losses == sorted(losses, reverse=True)
    assert re.fullmatch(r"예측된 다음 토큰: \d+ \(확률: 0\.0\d+\)", last)


def test_each_lesson_is_planned_and_needs_only_earlier_lessons():
    assert sorted(plan.PLANS) == [int(path.name[:2]) for path in LESSONS]
    tools = range(plan.PARTS[-1].first, plan.PARTS[-1].last + 1)
    for number, each in plan.PLANS.items():
        assert all(needed < number for needed in each.needs), number
        assert number in tools or not set(each.needs) & set(tools), number
        assert len(each.summary) == 3
        assert set(each.reading) <= set(plan.READING)
    assert [n for part in plan.PARTS for n in range(part.first, part.last + 1)] == sorted(
        plan.PLANS
    )


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_lesson_begins_with_its_aim_and_ends_with_its_summary(language):
    cells = lessons.in_language(lessons.read(LESSONS[5]), language).cells
    aim, *_ = plan.PLANS[6].aim if language == "en" else plan.PLANS[6].aim[::-1]
    title, _, rest = cells[0].source.partition("\n")
    assert title.startswith("# ")
    assert aim in rest.split("\n\n")[0]
    assert cells[-1].source.startswith("## ")
    assert "\n3. " in cells[-1].source


def test_korean_text_is_polite_and_free_of_the_words_that_were_found_wanting():
    found = "(?<!나)온 단어|단어가 왔|휘게|걸어 보|걸으|얼마나 잃|바닥|복소수 걸음|증명하기"
    for path in SCRIPTS:
        text = korean_of(path)
        assert not re.search(found, text), (path.name, re.search(found, text))
        plain = re.sub(r"```.*?```|`[^`]*`|\$[^$]*\$", "", text, flags=re.DOTALL)
        ends = re.findall(r"(?<![니시])다\.(?=\s|$)", plain)
        ends += re.findall(r'ko="[^"\n]*(?<![니시])다"', path.read_text("utf-8"))
        assert not ends, path.name


def test_what_is_printed_in_pieces_keeps_its_blank_lines():
    import nbformat

    pieces = [
        nbformat.v4.new_output("stream", name="stdout", text=text) for text in ("a\n\n", "b\n")
    ]
    assert [out.text for out in lessons._joined(pieces)] == ["a\n\nb\n"]
