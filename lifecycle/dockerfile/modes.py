"""What ``--chmod`` asks for: an octal mode, or symbolic changes of the mode that is there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mode:
    """A mode to give: ``bits`` when octal (at most 07777), else changes to what is there. ``text`` is as written."""

    text: str
    bits: int | None
    changes: tuple[tuple[str, str, str], ...] = ()  # who (of "ugo"), operator, permissions

    @classmethod
    def parse(cls, text: str) -> Mode:
        """The mode that ``text`` means (``755``, ``u=rwX,go=rX``); raises ValueError with the reason."""
        raise NotImplementedError

    def apply(self, old: int, is_dir: bool) -> int:
        """The twelve mode bits of a file that had ``old``."""
        raise NotImplementedError
