"""The last lines that a buildpack printed before it failed: what its error shows of them, and the step they lead to."""

from __future__ import annotations

import re
from collections import deque

_LINES = 50
_PAGE = re.compile(r"\bpylife explain ([A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9])")


class LastWords:
    """Fifty lines at most: a whole report of one of pylife's own buildpacks, with what it found."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES)

    def add(self, line: str) -> None:
        self._lines.append(line)

    @property
    def details(self) -> str | None:
        return "\n".join(self._lines) or None

    @property
    def fix(self) -> str | None:
        """What to do, where they name a page of ``pylife explain``; the last one counts. None where they name none."""
        codes = _PAGE.findall("\n".join(self._lines))
        return f"Do what the buildpack says above. More about it: pylife explain {codes[-1]}" if codes else None
