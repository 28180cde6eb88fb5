"""Lets `python -m autolm` be the `autolm` command."""

from autolm.cli import main

main()
