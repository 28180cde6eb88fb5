"""One contestant in a process of its own; `race.py` starts it, and tells it when to run.

    python -m benchmarks.worker benchmarks.tinylm_step contestant '["tinylm-lesson", "autolm", 1]'

It reads a line of JSON for each thing to do, and answers with one. What libraries print goes to the
error stream.
"""

import json
import os
import sys
from contextlib import redirect_stdout
from importlib import import_module

from benchmarks.race import results_of, seconds_of


def main() -> None:
    module, function, told = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # compilers write there as well

    def answer(**content: object) -> None:
        print(json.dumps(content), file=answers, flush=True)

    with redirect_stdout(sys.stderr):
        try:
            contestant = getattr(import_module(module), function)(*json.loads(told))
        except (ImportError, RuntimeError, ValueError) as error:  # such as no compiler
            answer(absent=str(error))
            return
        answer(name=contestant.name)
        for line in sys.stdin:
            asked = json.loads(line)
            if asked["do"] == "results":
                answer(answer=results_of(contestant))
            else:
                answer(answer=seconds_of(contestant, asked["calls"], asked["collector"]))


if __name__ == "__main__":
    main()
