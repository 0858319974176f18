"""Which program ``# syntax=`` asks to read the Dockerfile: only the built-in one is known."""

from __future__ import annotations

from collections.abc import Mapping

from lifecycle.dockerfile.ast import File


def check_frontend(file: File, build_args: Mapping[str, str]) -> None:
    """Raises OtherFrontend when the directive, or BUILDKIT_SYNTAX, names another frontend than Docker's own."""
    raise NotImplementedError
