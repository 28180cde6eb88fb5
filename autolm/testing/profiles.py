"""How long to search: three hypothesis profiles, dev, ci and nightly.

A test suite loads one in its `conftest.py`; the environment variable HYPOTHESIS_PROFILE chooses.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from hypothesis import HealthCheck, settings

from autolm.outside.message import message


@dataclass
class Search:
    """Budget of a search, in addition to the settings of hypothesis."""

    seconds: float | None = None  # of the processor for each check, at least


search = Search()
EXAMPLES = {"dev": 12, "ci": 25, "nightly": 1000}


def load_profiles(name: str | None = None, seconds: float | None = None) -> str:
    """Register dev, ci and nightly with hypothesis, load one, and return its name.

    Without a name, HYPOTHESIS_PROFILE names the profile; its default is ci if CI is true, else dev.
    Examples are the same in every run, except for nightly.

    Parameters
    ----------
    name
        dev, ci or nightly.
    seconds
        CPU time of each check: it tries more examples until the time is over. By default the
        profile alone limits the search.

    Raises
    ------
    ValueError
        For another name.

    Examples
    --------
    >>> from hypothesis import settings
    >>> load_profiles("dev"), settings().max_examples
    ('dev', 12)
    """
    for profile, examples in EXAMPLES.items():
        settings.register_profile(
            profile,
            max_examples=examples,
            derandomize=profile != "nightly",
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
    default = "ci" if os.environ.get("CI") == "true" else "dev"
    if name is None:
        name = os.environ.get("HYPOTHESIS_PROFILE", default)
    if not isinstance(name, str) or name not in EXAMPLES:
        raise ValueError(
            message(
                "profile name {name!r} is not one of {names}", name=name, names=", ".join(EXAMPLES)
            )
        )
    settings.load_profile(name)
    search.seconds = seconds
    return name
