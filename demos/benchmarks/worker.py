"""Run one contestant in its own process, started and controlled by `race.py`.

    python -m benchmarks.worker benchmarks.tinylm_step contestant '["tinylm-lesson", "autolm", 1]'

Reads one line of JSON per request and answers with one line. Output of libraries goes to the error
stream.
"""

import json
import os
import sys
from contextlib import redirect_stdout
from importlib import import_module

from benchmarks.race import results_of, seconds_of


def main() -> None:
    module, function, arguments = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # compilers write there as well

    def answer(**content: object) -> None:
        print(json.dumps(content), file=answers, flush=True)

    with redirect_stdout(sys.stderr):
        try:
            contestant = getattr(import_module(module), function)(*json.loads(arguments))
        except (ImportError, RuntimeError, ValueError) as error:  # such as no compiler
            answer(absent=str(error))
            return
        answer(name=contestant.name)
        for line in sys.stdin:
            request = json.loads(line)
            if request["do"] == "results":
                answer(answer=results_of(contestant))
            else:
                answer(answer=seconds_of(contestant, request["calls"], request["collector"]))


if __name__ == "__main__":
    main()
