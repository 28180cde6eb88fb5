"""How thoroughly hypothesis searches: HYPOTHESIS_PROFILE is dev, ci or nightly."""

from autolm.testing import load_profiles

load_profiles()
