"""Messages of the build, in English and Korean."""

from autolm.outside.language import LANGUAGES

# (English, Korean) for each message, with the fields in braces.
MESSAGES = {
    "no language": (
        "{lesson}: text is missing before {code!r}: {counts}; write it in both languages",
        "{lesson}: {code!r} 앞의 글이 빠졌습니다: {counts}. 두 언어로 모두 쓰세요",
    ),
    "other directives": (
        "{lesson}: before {code!r} the languages have different directives: {en} and {ko}",
        "{lesson}: {code!r} 앞에서 두 언어의 지시자가 다릅니다: {en}, {ko}",
    ),
    "no words": (
        '{lesson}: the picture of {code!r} has no alternative text: # %% en="…" ko="…"',
        '{lesson}: {code!r}의 그림에 대체 텍스트가 없습니다: # %% en="…" ko="…"',
    ),
    "failed": (
        "{lesson}: failed with {error}",
        "{lesson}: 실행 중에 멈췄습니다: {error}",
    ),
    "stale": (
        "{lesson}: the output differs from {record}; check the difference, then run "
        "python demos/build.py --record:\n{difference}",
        "{lesson}: 출력이 {record}와(과) 다릅니다. 차이를 확인한 뒤 "
        "python demos/build.py --record 를 실행하세요:\n{difference}",
    ),
    "unmade number": (
        "{lesson}: no cell prints the number {number} of the text",
        "{lesson}: 글에 있는 {number}을(를) 출력하는 셀이 없습니다",
    ),
    "exercise": (
        "{name}: the exercise must be wrong and its solution right, got {verdicts}",
        "{name}: 연습문제는 오답, 풀이는 정답이어야 하는데 {verdicts}입니다",
    ),
    "broken link": (
        "{page}: broken link {link}",
        "{page}: 링크 {link}가 가리키는 곳이 없습니다",
    ),
    "leaves": (
        "{page}: loads {link}; a page must not load files from other servers",
        "{page}: {link}을(를) 다른 서버에서 가져옵니다. 페이지는 다른 서버의 파일을 쓰면 안 됩니다",
    ),
    "no npm": (
        "npm is not installed: install Node.js 18 or newer (apt-get install nodejs npm)",
        "npm이 없습니다. Node.js 18 이상을 설치하세요 (apt-get install nodejs npm)",
    ),
    "npm failed": (
        "npm could not fetch the packages of {file}: {error}",
        "npm이 {file}의 패키지를 가져오지 못했습니다: {error}",
    ),
    "sphinx failed": (
        "Sphinx could not build the pages in {pages}; see its messages above",
        "Sphinx가 {pages} 페이지를 만들지 못했습니다. 위의 메시지를 보세요",
    ),
    "no course": (
        "the course needs {package}: pip install -e '.[course]'",
        "과정을 만들려면 {package}이(가) 필요합니다: pip install -e '.[course]'",
    ),
    "running": ("running {count} lessons and pages", "강의와 페이지 {count}개를 실행합니다"),
    "writing": ("writing the pages", "페이지를 씁니다"),
    "recorded": ("recorded: {count} outputs", "출력 {count}개를 기록했습니다"),
    "done": (
        "{site}/index.html   {pages} pages, {seconds:.0f} s   "
        "to read it: python -m http.server -d {site}",
        "{site}/index.html   {pages}쪽, {seconds:.0f}초   "
        "읽으려면: python -m http.server -d {site}",
    ),
}


class CourseError(Exception):
    """An error that stops the build, with a message in both languages."""

    def __init__(self, message: str, **parts: object) -> None:
        super().__init__(message)
        self.message, self.parts = message, parts

    def in_language(self, language: str) -> str:
        """Return the message in a language."""
        return say(self.message, language, **self.parts)


def say(message: str, language: str, **parts: object) -> str:
    """Return a message in a language."""
    return MESSAGES[message][LANGUAGES.index(language)].format(**parts)
