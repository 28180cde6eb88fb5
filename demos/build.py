"""Build the course: `pip install -e '.[course]'`, then `python demos/build.py SITE`.

It writes SITE/index.html, SITE/{en,ko}/lessons/NN_name.html and SITE/{en,ko}/notebooks/: pages that
need nothing but themselves. Each lesson is run once, for both languages. The build stops if one
lacks a language, prints something else than is recorded, or if a link leads nowhere.
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
    parser.add_argument("site", nargs="?", type=Path, help="the folder to write")
    parser.add_argument("--record", action="store_true", help="record what the lessons print")
    parser.add_argument("--only", nargs="+", default=[], help="parts of the names of some lessons")
    parser.add_argument(
        "--language", choices=LANGUAGES, default=usual_language(), help="of messages"
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
        print(error.told(language), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
