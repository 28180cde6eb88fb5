"""The amount of physical memory, to refuse models and files that do not fit."""

import os


def physical_memory() -> int | None:
    """Return the bytes of memory of this machine; None if it is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
