"""How thoroughly hypothesis searches: HYPOTHESIS_PROFILE is dev, ci or nightly."""

import pytest

from autolm.engine.graph import recorder
from autolm.testing import load_profiles

load_profiles()


@pytest.fixture(autouse=True)
def lines_that_a_debugger_records_are_recorded_in_no_other_test():
    before = recorder.get()
    yield
    recorder.set(before)
