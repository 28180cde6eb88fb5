"""How thoroughly hypothesis searches: HYPOTHESIS_PROFILE is dev, ci or nightly.

No profile measures time: a busy machine must not fail a test.
"""

import os

from hypothesis import HealthCheck, settings

untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", untimed, max_examples=15)
settings.register_profile("ci", untimed, max_examples=25, derandomize=True)
settings.register_profile("nightly", untimed, max_examples=1000)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") == "true" else "dev")
)
