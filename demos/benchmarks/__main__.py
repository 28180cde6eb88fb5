"""Run the benchmarks: `python demos/benchmarks`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python was given the folder; its files name one another as those of a package.
    sys.path[0] = str(Path(__file__).parents[1])
    from benchmarks.command import main

    main()
