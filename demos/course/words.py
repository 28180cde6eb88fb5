"""What the course's commands and pages say by themselves, in English and in Korean."""

from autolm.outside.language import LANGUAGES

# Each message once in each language; the names in braces are filled in.
MESSAGES = {
    "no language": (
        "{lesson}: text is missing before {code!r}: {counts}; write it in every language",
        "{lesson}: {code!r} 앞의 글이 빠졌습니다: {counts}. 두 언어로 모두 쓰세요",
    ),
    "other directives": (
        "{lesson}: before {code!r} the languages name other things: {en} and {ko}",
        "{lesson}: {code!r} 앞에서 두 언어가 서로 다른 것을 부릅니다: {en}, {ko}",
    ),
    "no words": (
        "{lesson}: the picture of {code!r} has no words for who does not see it: "
        '# %% en="…" ko="…"',
        '{lesson}: {code!r}의 그림을 말로 설명하지 않았습니다: # %% en="…" ko="…"',
    ),
    "failed": (
        "{lesson}: it ends in {error}",
        "{lesson}: 실행 중에 멈췄습니다: {error}",
    ),
    "stale": (
        "{lesson}: it prints something else than {record} says; look at the difference, then "
        "python demos/build.py --record:\n{difference}",
        "{lesson}: 출력이 {record}와(과) 다릅니다. 차이를 확인한 뒤 "
        "python demos/build.py --record 를 실행하세요:\n{difference}",
    ),
    "unmade number": (
        "{lesson}: the text says {number}, which no cell prints",
        "{lesson}: 글에 있는 {number}을(를) 출력하는 셀이 없습니다",
    ),
    "exercise": (
        "{name}: as it stands the exercise must be wrong, and its solution right; it is {verdicts}",
        "{name}: 연습문제는 그대로면 오답, 풀이는 정답이어야 하는데 {verdicts}입니다",
    ),
    "broken link": (
        "{page}: the link {link} leads nowhere",
        "{page}: 링크 {link}가 가리키는 곳이 없습니다",
    ),
    "leaves": (
        "{page}: it would fetch {link}; a page fetches nothing from elsewhere",
        "{page}: {link}을(를) 밖에서 가져옵니다. 페이지는 밖에서 아무것도 가져오지 않아야 합니다",
    ),
    "no npm": (
        "npm is not here: install Node.js 18 or newer (apt-get install nodejs npm)",
        "npm이 없습니다. Node.js 18 이상을 설치하세요 (apt-get install nodejs npm)",
    ),
    "npm failed": (
        "npm could not fetch the packages of {file}: {error}",
        "npm이 {file}의 패키지를 가져오지 못했습니다: {error}",
    ),
    "sphinx failed": (
        "Sphinx could not build the pages in {pages}; what it says stands above",
        "Sphinx가 {pages} 페이지를 만들지 못했습니다. 이유는 위에 있습니다",
    ),
    "no course": (
        "the course needs {package}: pip install -e '.[course]'",
        "과정을 만들려면 {package}이(가) 필요합니다: pip install -e '.[course]'",
    ),
    "running": ("{count} lessons and pages run", "강의와 페이지 {count}개를 실행합니다"),
    "writing": ("the pages are written", "페이지를 씁니다"),
    "recorded": ("recorded: {count} outputs", "출력 {count}개를 기록했습니다"),
    "done": (
        "{site}/index.html   {pages} pages, {seconds:.0f} s   "
        "to read it: python -m http.server -d {site}",
        "{site}/index.html   {pages}쪽, {seconds:.0f}초   "
        "읽으려면: python -m http.server -d {site}",
    ),
}


class CourseError(Exception):
    """What stops the build; it says what is wrong in the reader's language."""

    def __init__(self, message: str, **parts: object) -> None:
        super().__init__(message)
        self.message, self.parts = message, parts

    def told(self, language: str) -> str:
        """Say it in a language."""
        return say(self.message, language, **self.parts)


def say(message: str, language: str, **parts: object) -> str:
    """Return a message in a language."""
    return MESSAGES[message][LANGUAGES.index(language)].format(**parts)
