"""Run the benchmarks: `python demos/benchmarks`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python put this folder on the path; the files import one another as a package.
    sys.path[0] = str(Path(__file__).parents[1])
    from benchmarks.command import main

    main()
