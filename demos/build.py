"""Build the course: `pip install -e '.[course]'`, then `python demos/build.py SITE`.

Writes SITE/index.html, SITE/{en,ko}/lessons/NN_name.html and SITE/{en,ko}/notebooks/; the pages
load nothing from other servers. Each lesson runs once, for both languages. The build stops if a
lesson lacks a language or prints something other than its record, and at a broken link.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from course.words import LANGUAGES, CourseError, say

from autolm.outside.language import usual_language


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", nargs="?", type=Path, help="target folder")
    parser.add_argument("--record", action="store_true", help="record the output of the lessons")
    parser.add_argument("--only", nargs="+", default=[], help="parts of names of lessons to build")
    parser.add_argument(
        "--language", choices=LANGUAGES, default=usual_language(), help="language of messages"
    )
    options = parser.parse_args()
    if options.site is None and not options.record:
        parser.error("name a folder, SITE, or --record")
    start = time.perf_counter()
    language = options.language
    try:
        try:
            from course.site import build, record
        except ModuleNotFoundError as error:
            raise CourseError("no course", package=error.name) from error

        def tell(message: str, **parts: object) -> None:
            print(say(message, language, **parts), flush=True)

        if options.record:
            tell("recorded", count=record(options.only, tell))
        if options.site is not None:
            pages = build(options.site.resolve(), options.only, tell)
            seconds = time.perf_counter() - start
            tell("done", site=options.site, pages=pages, seconds=seconds)
    except CourseError as error:
        print(error.in_language(language), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
