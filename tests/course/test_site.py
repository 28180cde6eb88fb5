"""The built course in a real browser: every page, both languages, run cells, exercises, players."""

import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

DEMOS = Path(__file__).parents[2] / "demos"
LESSONS = [path.stem for path in sorted(DEMOS.glob("[0-9]*.py"))]
EXERCISES = [
    path for path in sorted((DEMOS / "exercises").glob("*.py")) if "_solution" not in path.stem
]
WAIT = 120  # seconds, on a busy machine
FIRST = "lessons/01_scalars_and_the_chain_rule.html"


def until(browser, expression):
    start = time.monotonic()
    while not browser.evaluate(expression):
        assert time.monotonic() - start < WAIT, f"{expression} never held"
        time.sleep(0.05)


def pages_of(site, language):
    return sorted(
        p.relative_to(site / language).as_posix() for p in (site / language).rglob("*.html")
    )


def test_both_languages_have_the_same_pages_and_notebooks(site):
    assert pages_of(site, "en") == pages_of(site, "ko")
    for language in ("en", "ko"):
        pages = {path.stem for path in (site / language / "lessons").glob("*.html")}
        notebooks = {path.stem for path in (site / language / "notebooks").glob("*.ipynb")}
        assert pages == notebooks == set(LESSONS)


def test_notebooks_are_valid_and_run(site):
    nbformat = pytest.importorskip("nbformat")
    for path in sorted((site / "ko" / "notebooks").glob("*.ipynb")):
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
        assert any(cell.cell_type == "code" and cell.outputs for cell in book.cells)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_item_of_the_lesson_has_its_page_and_anchor(site, language):
    table = (site / language / "pages" / "lesson_items.html").read_text("utf-8")
    links = re.findall(r'<td><p><a class="[^"]*" href="([^"#]*)#([^"]+)"', table)
    assert len(links) == 70
    for page, anchor in links:
        target = (site / language / "pages" / page).read_text("utf-8")
        assert f'id="{anchor}"' in target, (page, anchor)


OVERFLOWING = """(() => {
  const wide = document.documentElement.clientWidth;
  return [...document.querySelectorAll("article *")].filter((element) => {
    if (element.getBoundingClientRect().right <= wide + 1) return false;
    for (let e = element; e.tagName !== "ARTICLE"; e = e.parentElement)
      if (/auto|scroll|hidden|clip/.test(getComputedStyle(e).overflowX)) return false;
    return !element.closest(".katex-mathml, .visually-hidden");
  }).map((element) => element.tagName + "." + element.className).slice(0, 3);
})()"""


# Cells of tables whose one word stands on more lines than one.
BROKEN_WORDS = """[...document.querySelectorAll("article td, article th")].filter((cell) => {
  if (!/^[\\wㄱ-힣]+$/.test(cell.textContent.trim())) return false;
  const word = document.createRange();
  const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) if (texts.currentNode.data.trim()) word.selectNode(texts.currentNode);
  return word.getClientRects().length > 1;
}).map((cell) => cell.textContent).slice(0, 3)"""


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_page_fits_a_phone_a_tablet_and_a_screen(site, address, browser, language):
    for page in pages_of(site, language):
        browser.open_url(f"{address}/{language}/{page}")
        for width in (390, 740, 1280):
            browser.send(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=900,
                deviceScaleFactor=1,
                mobile=False,
            )
            for scheme in ("light", "dark"):
                feature = {"name": "prefers-color-scheme", "value": scheme}
                browser.send("Emulation.setEmulatedMedia", features=[feature])
                assert browser.evaluate(OVERFLOWING) == [], (page, width, scheme)
            if width == 390:
                browser.until("document.fonts.status === 'loaded'")
                assert browser.evaluate(BROKEN_WORDS) == [], page
        elsewhere = [r for r in browser.requests if not r.startswith((address, "data:"))]
        assert elsewhere == [], page
        assert browser.problems == [], page


@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_page_shows_the_signs_of_its_source(site, address, browser, language):
    for page in pages_of(site, language):
        if page.startswith(("lessons", "pages")) or page == "index.html":
            browser.open_url(f"{address}/{language}/{page}")
            text = browser.evaluate(
                """(() => { const copy = document.querySelector("article").cloneNode(true);
                for (const e of copy.querySelectorAll("pre, code, textarea, template, .katex"))
                  e.remove();
                return copy.textContent; })()"""
            )
            assert not re.search(r"\*\*|\$|\(#|```|\\[a-z]{3}", text), (page, text)
            assert browser.evaluate('document.querySelectorAll(".katex-error").length') == 0


def test_korean_pages_have_no_english_of_the_theme(site):
    for page in (site / "ko").rglob("*.html"):
        text = page.read_text("utf-8")
        labels = re.findall(r'<(?:img|a|summary)[^>]* (?:alt|title|aria-label)="([^"]{3,})"', text)
        if not page.is_relative_to(site / "ko" / "reference"):
            assert [label for label in labels if not re.search("[가-힣]", label)] == [], page
        for words in (
            "On this page",
            "Back to top",
            "Toggle site navigation",
            ">Next<",
            ">Previous<",
        ):
            assert words not in text, (page, words)


def test_what_the_page_runs_python_with_needs_nothing_else(site, tmp_path):
    with zipfile.ZipFile(site / "shared" / "autolm.zip") as archive:
        archive.extractall(tmp_path)
    program = "import marking; from autolm.outside.language import say, speak; speak('ko')\n"
    program += "print(say('ZeroDivisionError: division by zero'))"
    done = subprocess.run(
        [sys.executable, "-S", "-X", "utf8", "-c", program],
        cwd=tmp_path,
        env={},
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.stdout, done.stderr) == ("ZeroDivisionError: 0으로 나누었습니다\n", "")


@pytest.fixture
def first_lesson(address, browser):
    browser.send(
        "Emulation.setDeviceMetricsOverride",
        width=1280,
        height=900,
        deviceScaleFactor=1,
        mobile=False,
    )
    browser.open_url(f"{address}/ko/{FIRST}")
    return browser


def test_a_cell_runs_stops_and_runs_again(first_lesson):
    first_lesson.evaluate('cell = document.querySelector(".cell-to-run:not([data-exercise])")')
    first_lesson.evaluate('press = () => cell.querySelector("[data-run]").click()')
    first_lesson.evaluate('out = () => cell.querySelector(".out").textContent')
    first_lesson.evaluate('rests = () => cell.querySelector("[data-run]").textContent === "실행"')
    first_lesson.evaluate("press()")
    until(first_lesson, "out() === '1.0 2.0\\n' && rests()")
    first_lesson.evaluate(
        'cell.querySelector("textarea").value = "print(1)\\nwhile True: pass"; press()'
    )
    until(first_lesson, "out().startsWith('1')")
    assert first_lesson.evaluate('cell.querySelector("[data-run]").textContent') == "멈춤"
    first_lesson.evaluate("press()")
    assert "멈췄습니다" in first_lesson.evaluate("out()")
    first_lesson.evaluate('cell.querySelector("textarea").value = "print(6 * 7)"; press()')
    until(first_lesson, "out() === '42\\n' && rests()")
    first_lesson.evaluate('cell.querySelector("textarea").value = "1 / 0"; press()')
    until(first_lesson, "out() === '1번째 줄: ZeroDivisionError: 0으로 나누었습니다\\n'")
    told = {
        "print('a', end='')": "a",
        "from autolm import Value\\nValue('a')": "2번째 줄: TypeError: int나 float 하나가 있어야",
        "import numpy": "NumPy와 Tensor는 노트북을",
    }
    for program, words in told.items():
        first_lesson.evaluate(f'cell.querySelector("textarea").value = "{program}"; press()')
        until(first_lesson, f'out().includes("{words}") && rests()')


def test_a_cell_that_prints_without_end_is_cut_and_can_be_stopped(first_lesson):
    first_lesson.evaluate('cell = document.querySelector(".cell-to-run:not([data-exercise])")')
    first_lesson.evaluate('button = cell.querySelector("[data-run]")')
    first_lesson.evaluate('out = () => cell.querySelector(".out").textContent')
    first_lesson.evaluate(
        'cell.querySelector("textarea").value = "for i in range(3000): print(i)\\n1 / 0"'
    )
    first_lesson.evaluate("button.click()")
    until(first_lesson, "out().includes('999\\n… 2000줄 더\\n')")
    until(first_lesson, "out().includes('ZeroDivisionError') && button.textContent === '실행'")
    first_lesson.evaluate('cell.querySelector("textarea").value = "while True: print(7)"')
    first_lesson.evaluate("button.click()")
    until(first_lesson, "out().startsWith('7\\n7') && button.textContent === '멈춤'")
    first_lesson.evaluate("button.click()")
    assert first_lesson.evaluate("out().endsWith('■ 멈췄습니다')")


def test_an_exercise_is_marked_wrong_and_then_right_and_then_the_solution_is_there(first_lesson):
    first_lesson.evaluate('cell = document.querySelector("[data-exercise=two_paths]")')
    assert not first_lesson.evaluate('!!document.querySelector("[data-solution]")')
    first_lesson.evaluate('cell.querySelector("[data-run]").click()')
    until(first_lesson, 'cell.dataset.verdict === "wrong"')
    told = first_lesson.evaluate('cell.querySelector(".out").textContent')
    assert "엔진의 답: 2.7" in told
    assert first_lesson.evaluate('document.querySelector("[data-solution]").open') is False
    answer = (DEMOS / "exercises" / "two_paths_solution.py").read_text("utf-8")
    first_lesson.evaluate(f'cell.querySelector("textarea").value = {answer!r}')
    first_lesson.evaluate('cell.querySelector("[data-run]").click()')
    until(first_lesson, 'cell.dataset.verdict === "right"')


def test_a_prediction_is_marked(first_lesson):
    first_lesson.evaluate('form = document.querySelector("form.predict")')
    for written, verdict in (("6", "wrong"), ("7", "right")):
        first_lesson.evaluate(f'form.querySelector("input").value = "{written}"')
        first_lesson.evaluate("form.requestSubmit()")
        assert first_lesson.evaluate("form.dataset.verdict") == verdict


def test_an_answer_that_is_chosen_shows_why_it_is_right_or_wrong(first_lesson):
    first_lesson.evaluate('answers = [...document.querySelectorAll(".choice")]')
    assert not first_lesson.evaluate("answers.some((answer) => answer.open)")
    marks = "answers.map((a) => getComputedStyle(a.querySelector('summary'), '::before').content)"
    for place, (kind, mark) in enumerate((("wrong", "✗"), ("right", "✓"))):
        first_lesson.evaluate(f'answers[{place}].querySelector("summary").click()')
        assert first_lesson.evaluate(f"answers[{place}].dataset.choice") == kind
        until(first_lesson, f"{marks}[{place}].includes('{mark}')")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_typed_text_gets_its_loss_and_a_wider_context_lowers_it(address, browser, language):
    page = f"{address}/{language}/lessons/13_training_and_perplexity.html"
    browser.open_url(page)
    browser.evaluate('box = document.querySelector(".typed")')
    browser.evaluate('said = () => box.querySelector(".mean output").textContent')
    until(browser, "said().includes('PPL')")
    browser.evaluate('[width, tau] = box.querySelectorAll("[type=range]")')
    losses = []
    for context in (1, 3, 64):
        browser.evaluate(f"width.value = {context}; width.oninput()")
        losses.append(float(re.search(r"\d+\.\d+", browser.evaluate("said()"))[0]))
    assert losses == sorted(losses, reverse=True)
    browser.evaluate('text = box.querySelector("[data-text]")')
    browser.evaluate("text.value = 'the 뷁'; text.oninput()")
    assert "뷁" in browser.evaluate("said()")
    assert browser.evaluate('box.querySelector("[data-more]").disabled')
    browser.evaluate("text.value = 'the '; text.oninput()")
    browser.evaluate('box.querySelector("[data-more]").click()')
    assert browser.evaluate("text.value").startswith("the ")
    assert browser.evaluate("text.value.length") > 4


def test_the_player_in_a_page_steps_by_keyboard(first_lesson):
    first_lesson.evaluate('document.querySelector("iframe.player").scrollIntoView()')
    inside = 'document.querySelector("iframe.player").contentDocument'
    until(first_lesson, f'!!{inside}?.querySelector("#what")?.textContent')
    before = first_lesson.evaluate(f'{inside}.querySelector("#what").textContent')
    first_lesson.evaluate('document.querySelector("iframe.player").contentWindow.focus()')
    first_lesson.press("ArrowRight")
    until(first_lesson, f'{inside}.querySelector("#what").textContent !== {before!r}')


def test_a_moment_moves_the_player_which_speaks_the_language_of_the_page(first_lesson):
    first_lesson.evaluate('walk = document.querySelector(".walk"); walk.scrollIntoView()')
    first_lesson.evaluate('inside = () => walk.querySelector("iframe").contentDocument')
    until(first_lesson, '!!inside()?.querySelector("#what")?.textContent')
    assert first_lesson.evaluate("inside().documentElement.lang") == "ko"
    first_lesson.evaluate("moment = walk.querySelector('[data-step=\"6\"]'); moment.click()")
    until(first_lesson, 'inside().querySelector("#position").textContent.startsWith("6 ")')
    assert first_lesson.evaluate("moment.ariaPressed") == "true"
    first_lesson.evaluate('walk.querySelector("iframe").contentWindow.focus()')
    first_lesson.press("ArrowRight")
    until(first_lesson, """walk.querySelector('[aria-pressed="true"]').dataset.step === "7" """)


@pytest.mark.parametrize("solved", [False, True])
def test_the_command_refuses_every_exercise_and_accepts_every_solution(site, solved):
    files = [p.with_name(f"{p.stem}_solution.py") if solved else p for p in EXERCISES]
    command = [sys.executable, "-m", "autolm", "check", "--no-diagnosis", *map(str, files)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    wrong = set(re.findall(r"(?:gradient|purity|forward) of (\w+) is WRONG", done.stdout))
    assert "diagnosis" not in done.stdout
    assert wrong == (set() if solved else {path.stem for path in EXERCISES})
