"""How much is tested: HYPOTHESIS_PROFILE (dev, ci, nightly) says how long a search is.

Of a large table, marked `table(n)`, `pytest` takes one row in n, and it leaves out what is marked
`long`; `pytest --whole`, and the nightly profile, take all.
"""

import os
import signal
from collections import Counter

import pytest

from autolm.engine.recording import recorder
from autolm.outside.language import usual_language
from autolm.testing import load_profiles

load_profiles()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)  # for the programs that tests start
if usual_language() != "en":  # tests read what the command says in English
    os.environ["LC_ALL"] = "C.UTF-8"
WHOLE = "every row of the large tables, not a sample of each, and what is long"


def pytest_addoption(parser):
    parser.addoption("--whole", action="store_true", help=WHOLE)


def pytest_configure(config):
    config.addinivalue_line("markers", "table(n): one row in n, but with --whole all")
    config.addinivalue_line("markers", "long: with --whole only")


def takes_all_rows(config):
    return config.getoption("whole") or os.environ.get("HYPOTHESIS_PROFILE") == "nightly"


def pytest_collection_modifyitems(config, items):
    if takes_all_rows(config):
        return
    rows = Counter()
    left_out = []
    for item in items:
        if item.get_closest_marker("long"):
            left_out.append(item)
        elif table := item.get_closest_marker("table"):
            if rows[item.function] % table.args[0]:
                left_out.append(item)
            rows[item.function] += 1
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(autouse=True)
def lines_that_a_debugger_records_are_recorded_in_no_other_test():
    before = recorder.get()
    yield
    recorder.set(before)


@pytest.fixture
def rows_of(pytestconfig):
    """Take of a list what this run takes of a table marked `table(n)`."""
    return lambda rows, n: rows if takes_all_rows(pytestconfig) else rows[::n]
