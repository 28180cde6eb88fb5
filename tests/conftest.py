"""How thoroughly hypothesis searches: HYPOTHESIS_PROFILE is dev, ci or nightly."""

import os

import pytest

from autolm.engine.graph import recorder
from autolm.outside.language import usual_language
from autolm.testing import load_profiles

load_profiles()
if usual_language() != "en":  # tests read what the command says in English
    os.environ["LC_ALL"] = "C.UTF-8"


@pytest.fixture(autouse=True)
def lines_that_a_debugger_records_are_recorded_in_no_other_test():
    before = recorder.get()
    yield
    recorder.set(before)
