"""What this host allows, what was chosen, and what was told: ``pylife doctor`` as data."""

from __future__ import annotations

from lifecycle.app.settings import Settings
from lifecycle.record import dataclass
from lifecycle.sandbox.doctor import Check
from lifecycle.sandbox.doctor import examine as examine_host
from lifecycle.sandbox.rung import Isolation, Rung


@dataclass(frozen=True, slots=True)
class Report:
    """The rung that a build would choose, None when there is none; a row for everything looked at; the settings."""

    rung: Rung | None
    checks: tuple[Check, ...]
    settings: tuple[tuple[str, str, str], ...]

    @property
    def exit_code(self) -> int:
        """0 when something can be built here."""
        return 0 if self.rung else 1

    def as_dict(self) -> dict[str, object]:
        """The report as plain data."""
        return {
            "sandbox": self.rung.as_dict() if self.rung else None,
            "checks": [check.as_dict() for check in self.checks],
            "settings": {key: {"value": value, "origin": origin} for key, value, origin in self.settings},
        }


def examine(settings: Settings) -> Report:
    """Try what this host allows, on the file system of $PYLIFE_HOME (made when it is not there)."""
    home = settings.home.value
    home.mkdir(parents=True, exist_ok=True)
    rung, checks = examine_host(Isolation.parse(settings.isolation.value), home)
    return Report(rung, checks, tuple(settings.rows()))
