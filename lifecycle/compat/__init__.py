"""Other tools' contracts, as thin adapters: what pylife does when it is called by another program's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn


def main(argv: Sequence[str]) -> NoReturn:
    """Be the program that ``argv[0]`` names, with the arguments behind it, and exit with its code."""
    from lifecycle.compat.slug import dispatch

    dispatch(argv)
