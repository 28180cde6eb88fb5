"""The reference beside the lessons, written from the code itself: the names, commands, operations."""


def pages() -> dict[str, str]:
    """Return each page of the reference: its name, and its text in MyST."""
    return {}
