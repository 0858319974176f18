"""What this host allows, and what is missing."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from lifecycle.app.settings import Settings
from lifecycle.sandbox.errors import IsolationRefused, NoIsolation
from lifecycle.sandbox.probe import probe
from lifecycle.sandbox.rung import Isolation, Rung

# Program → what pylife uses it for, and Debian's package.
_TOOLS = (
    ("mmdebstrap", "makes the default builder's images: apt-get install mmdebstrap"),
    ("newuidmap", "lends an ordinary user more than one id: apt-get install uidmap"),
)


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that pylife calls, where it was found, and what it is for."""

    name: str
    path: str | None
    purpose: str


@dataclass(frozen=True, slots=True)
class Report:
    """The chosen rung, or the refusal; what stands against a better one; the programs that pylife calls."""

    rung: Rung | None
    refusal: str | None
    reasons: tuple[str, ...]
    improvements: tuple[str, ...]
    tools: tuple[Tool, ...]
    settings: tuple[tuple[str, str, str], ...]

    @property
    def exit_code(self) -> int:
        """0 when something can be built here."""
        return 0 if self.rung else 1

    def as_dict(self) -> dict[str, object]:
        """The report as plain data."""
        return {
            "sandbox": self.rung.as_dict() if self.rung else None,
            "refusal": self.refusal,
            "reasons": list(self.reasons),
            "improvements": list(self.improvements),
            "tools": {tool.name: tool.path for tool in self.tools},
            "settings": {key: {"value": value, "origin": origin} for key, value, origin in self.settings},
        }


def examine(settings: Settings) -> Report:
    """Try what this host allows, on the file system of $PYLIFE_HOME (made when it is not there)."""
    home = settings.home.value
    home.mkdir(parents=True, exist_ok=True)
    rung, refusal = None, None
    try:
        rung = probe(Isolation.parse(settings.isolation.value), home)
        reasons, improvements = rung.reasons, rung.improvements
    except (NoIsolation, IsolationRefused) as error:
        refusal = error.what
        reasons = tuple((error.why or "").split("; "))
        improvements = tuple(error.fix.splitlines())
    # sbin is often not in an ordinary user's PATH, although its programs can be run
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    tools = tuple(Tool(name, shutil.which(name, path=path), purpose) for name, purpose in _TOOLS)
    return Report(rung, refusal, reasons, improvements, tools, tuple(settings.rows()))
