"""Build the site: run the lessons, gather assets, call Sphinx for each language, check links."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat

import autolm
from course import lessons, reference
from course.lessons import DEMOS, Lesson
from course.links import check_links
from course.words import LANGUAGES, CourseError

HERE = Path(__file__).parent
Tell = Callable[..., None]
DOWNLOAD = {"en": "Download this lesson as a notebook", "ko": "이 강의를 노트북으로 내려받기"}
# Licence files below node_modules; the packages of Pyodide and Python contain none.
LICENCES = {
    "KaTeX": "katex/LICENSE",
    "Pretendard": "pretendard/dist/LICENSE.txt",
    "autolm": "../../LICENSE",
}
# Furo writes these in English in every language.
FURO_IN_KOREAN = {
    "Back to top": "맨 위로",
    "Skip to content": "본문으로 가기",
    "On this page": "이 페이지의 내용",
    "Toggle site navigation sidebar": "차례 열고 닫기",
    "Toggle table of contents sidebar": "이 페이지의 내용 열고 닫기",
    "Toggle Light / Dark / Auto color theme": "밝게 / 어둡게 / 자동",
    "Light mode": "밝게",
    "Dark mode": "어둡게",
    "Auto light/dark, in light mode": "자동 (지금은 밝게)",
    "Auto light/dark, in dark mode": "자동 (지금은 어둡게)",
    "Menu": "차례",
    "Expand": "펼치기",
    "Contents": "차례",
    "Toggle navigation of ": "펼치기: ",
    "Next": "다음",
    "Previous": "이전",
    "Home": "처음",
    "Link to this heading": "이 제목의 주소",
    "Link to this definition": "이 정의의 주소",
    "Toggle hidden content": "열고 닫기",
    "Made with ": "만든 도구: ",
    "Please activate JavaScript to enable the search functionality.": (
        "찾으려면 자바스크립트가 켜져 있어야 합니다."
    ),
}
CHOOSE = """<!doctype html>
<html lang="ko"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>autolm</title><link rel="icon" href="ko/_static/icon.svg">
<style>body {{ font: 1.3rem/1.8 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto;
padding: 0 1rem; color-scheme: light dark }} a {{ display: block; margin: 1rem 0 }}</style>
<h1>autolm</h1>
<a href="ko/index.html">한국어 · LLM 학습의 완전한 수학</a>
<a href="en/index.html" lang="en">English · the complete mathematics of training an LLM</a>
</html>
"""


def run_all(only: Sequence[str], target: Path, tell: Tell) -> list[Lesson]:
    """Read and run lessons and pages, two at a time."""
    everything = [lessons.read(path) for path in lessons.scripts()]
    chosen = [lesson for lesson in everything if not only or any(o in lesson.name for o in only)]
    tell("running", count=len(chosen))
    paths = [str(DEMOS.parent), str(DEMOS), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))  # for the kernels

    def run(lesson: Lesson) -> None:
        with tempfile.TemporaryDirectory() as folder:
            lessons.run(lesson, target, Path(folder))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(run, chosen))
    return chosen


def record(only: Sequence[str], tell: Tell) -> int:
    """Record the output of the lessons in demos/outputs/; return how many records changed."""
    changed = 0
    with tempfile.TemporaryDirectory() as target:
        for lesson in run_all(only, Path(target), tell):
            now = lessons.printed(lesson)
            before = lesson.record.read_text("utf-8") if lesson.record.exists() else ""
            if now != before:
                lesson.record.write_text(now, "utf-8")
                changed += 1
    return changed


def build(site: Path, only: Sequence[str], tell: Tell) -> int:
    """Build the site; return the number of its pages."""
    packages = fetch_packages()
    target = site / "shared" / "made"
    target.mkdir(parents=True, exist_ok=True)
    chosen = run_all(only, target, tell)
    for lesson in chosen:
        lessons.compare(lesson)
    gather(site / "shared", packages)
    tell("writing")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        about = reference.pages()
        for language in LANGUAGES:
            _write_sources(work / language, site / language, chosen, language, about)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda language: _sphinx(work, site, language), LANGUAGES))
    for page in (site / "ko").rglob("*.html"):
        page.write_text(_in_korean(page.read_text("utf-8")), "utf-8")
    (site / "index.html").write_text(CHOOSE.format(), "utf-8")
    return check_links(site)


def fetch_packages() -> Path:
    """Install the pinned packages with npm unless they are installed; return node_modules."""
    folder, pinned = DEMOS / "node_modules", DEMOS / "package-lock.json"
    stamp = folder / ".of"
    if not (stamp.exists() and stamp.read_text() == pinned.read_text("utf-8")):
        command = ["npm", "ci", "--silent", "--no-audit", "--no-fund"]
        try:
            subprocess.run(command, cwd=DEMOS, check=True, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise CourseError("no npm") from error
        except subprocess.CalledProcessError as error:
            lines = error.stderr.strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
            raise CourseError("npm failed", file="demos/package.json", error=lines[0]) from error
        stamp.write_text(pinned.read_text("utf-8"))
    return folder


def gather(shared: Path, packages: Path) -> None:
    """Copy what the pages load into the site: fonts, Python, the engine, pictures, licences."""
    for name in ("katex", "pretendard", "pyodide"):
        (shared / name).mkdir(parents=True, exist_ok=True)
    css = (packages / "katex/dist/katex.min.css").read_text("utf-8")
    css = re.sub(r",url\(fonts/[^)]*\.(woff|ttf)\) format\([^)]*\)", "", css)
    (shared / "katex/katex.min.css").write_text(css, "utf-8")
    for font in (packages / "katex/dist/fonts").glob("*.woff2"):
        _copy(font, shared / "katex/fonts")
    typeface = packages / "pretendard/dist/web/variable"
    _copy(typeface / "pretendardvariable-dynamic-subset.css", shared / "pretendard")
    for font in (typeface / "woff2-dynamic-subset").glob("*.woff2"):
        _copy(font, shared / "pretendard/woff2-dynamic-subset")
    core = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
    for name in (*core, "pyodide-lock.json"):
        _copy(packages / "pyodide" / name, shared / "pyodide")
    _copy(HERE / "worker.js", shared)
    for name, licence in LICENCES.items():
        (shared / "licences").mkdir(exist_ok=True)
        shutil.copyfile(packages / licence, shared / "licences" / f"{name}.txt")
    for picture in (DEMOS / "pictures").glob("*.[sp][vn]g"):
        _copy(picture, shared / "pictures")
    root = Path(autolm.__file__).parent
    with zipfile.ZipFile(shared / "autolm.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(root / "__init__.py", "autolm/__init__.py")
        for package in ("engine", "outside"):  # these need only the standard library
            for file in sorted((root / package).glob("*.*")):
                archive.write(file, f"autolm/{package}/{file.name}")
        archive.write(HERE / "marking.py", "marking.py")


def _copy(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / file.name)


def _write_sources(
    work: Path,
    out: Path,
    chosen: Sequence[Lesson],
    language: str,
    about: dict[str, tuple[str, ...]],
) -> None:
    (out / "notebooks").mkdir(parents=True, exist_ok=True)
    for lesson in chosen:
        book = lessons.in_language(lesson, language)
        folder = "lessons" if lesson.path.parent == DEMOS else "pages"
        if folder == "lessons":
            file = f"{lesson.name}.ipynb"
            nbformat.write(lessons.to_download(lesson, language), out / "notebooks" / file)
            link = f'<a href="../notebooks/{file}" download>{DOWNLOAD[language]}</a>'
            book.cells.append(nbformat.v4.new_markdown_cell(link))
        target = work / (
            f"{folder}/{lesson.name}.ipynb" if lesson.name != "index" else "index.ipynb"
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(book, target)
    for name, texts in about.items():
        target = work / "reference" / f"{name}.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(texts[LANGUAGES.index(language)], "utf-8")


def _sphinx(work: Path, site: Path, language: str) -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    command += [
        "-c",
        str(HERE),
        "-D",
        f"language={language}",
        "-d",
        str(work / f"{language}.trees"),
    ]
    done = subprocess.run([*command, str(work / language), str(site / language)])
    if done.returncode:
        raise CourseError("sphinx failed", pages=language)


def _in_korean(page: str) -> str:
    """Translate the theme's English: whole texts, and labels of elements."""
    for english, korean in FURO_IN_KOREAN.items():
        end = "" if english.endswith(" ") else r'(?=\s*[<"])'  # a final space: only a beginning
        page = re.sub(rf'(?<=[>"])(\s*){re.escape(english)}{end}', rf"\1{korean}", page)
    return page
