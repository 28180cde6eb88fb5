"""Commands of `autolm`, by what they are for (floor 4)."""
