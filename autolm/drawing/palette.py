"""The colours of pictures.

No meaning depends on colour alone: constants have dashed borders, gradients dashed arrows, and
non-finite values double borders. Colours have six digits, because old versions of Graphviz accept
no others.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """The colours of one picture: fills and lines."""

    paper: str
    ink: str
    muted: str
    line: str
    data: str
    leaf: str
    leaf_line: str
    constant: str
    constant_line: str
    module: str
    module_line: str
    frame: str
    frame_line: str
    gradient: str
    alarm: str
    alarm_line: str


LIGHT = Palette(
    paper="#ffffff",
    ink="#1f2933",
    muted="#5f6b78",
    line="#7b8794",
    data="#fefefe",
    leaf="#dceaf7",
    leaf_line="#2166ac",
    constant="#f0f0ef",
    constant_line="#8a8f94",
    module="#f8f2e2",
    module_line="#8a6d1b",
    frame="#f6f7f9",
    frame_line="#c5ccd4",
    gradient="#a8480a",
    alarm="#fbe1d8",
    alarm_line="#c0350b",
)

DARK = Palette(
    paper="#14181d",
    ink="#e8ebee",
    muted="#9ba7b4",
    line="#7d8995",
    data="#1d232a",
    leaf="#17344f",
    leaf_line="#6fb1ea",
    constant="#2a2e33",
    constant_line="#8b939b",
    module="#332c18",
    module_line="#cfae55",
    frame="#191e24",
    frame_line="#3a444f",
    gradient="#f0a060",
    alarm="#4d1d10",
    alarm_line="#ff8a65",
)
