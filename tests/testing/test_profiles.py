import pytest
from hypothesis import settings

from autolm.testing import load_profiles


@pytest.fixture(autouse=True)
def same_profile_afterwards():
    before = settings.get_current_profile_name()
    yield
    settings.load_profile(before)


def test_nightly_searches_longest_and_dev_is_quick():
    profiles = map(load_profiles, ("dev", "ci", "nightly"))
    examples = [settings().max_examples for _ in profiles]
    assert examples == sorted(examples)
    assert len(set(examples)) == 3


def test_the_environment_chooses(monkeypatch):
    monkeypatch.setenv("HYPOTHESIS_PROFILE", "nightly")
    assert load_profiles() == "nightly"
    monkeypatch.delenv("HYPOTHESIS_PROFILE")
    monkeypatch.delenv("CI", raising=False)
    assert load_profiles() == "dev"
    monkeypatch.setenv("CI", "true")
    assert load_profiles() == "ci"


def test_an_unknown_profile_is_an_error():
    with pytest.raises(ValueError, match="profile name 'weekly' is not one of dev, ci, nightly"):
        load_profiles("weekly")
