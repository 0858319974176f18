"""What a check is: a name, a sentence, and a function that finds where a Dockerfile goes against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from lifecycle.dockerfile.ast import Node
from lifecycle.dockerfile.ignore import NOTHING_IGNORED, IgnoreRules
from lifecycle.dockerfile.location import Location
from lifecycle.dockerfile.survey import Survey
from lifecycle.errors import PylifeError
from lifecycle.record import dataclass

Level = Literal["warning", "error"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What the checks look at: the file, surveyed, and the ignore rules of its context."""

    survey: Survey
    ignore_rules: IgnoreRules = NOTHING_IGNORED


@dataclass(frozen=True, slots=True)
class Hit:
    """One place that a check objects to: what it says, at which instruction.

    A comment above ``node``, or above ``other`` (the instruction that made the check speak), can silence it;
    ``location`` is given where it is not the whole instruction.
    """

    message: str
    node: Node
    other: Node | None = None
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A check: its name as BuildKit has it, what it wants, how it finds hits, and whether it must be asked for."""

    name: str
    description: str
    find: Callable[[Subject], Iterable[Hit]]
    experimental: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: ``message`` about ``location``; ``rule`` names its page in docs/checks."""

    rule: str
    message: str
    location: Location
    level: Level = "warning"

    def as_dict(self) -> dict[str, object]:
        """The finding as plain data."""
        return {
            "rule": self.rule,
            "line": self.location.line,
            "detail": self.message,
            "level": self.level,
            "file": self.location.file,
            "end_line": self.location.end,
        }

    def __str__(self) -> str:
        return f"{self.rule}: {self.message} (line {self.location.line})"


class ChecksFailed(PylifeError):
    """The checks of a Dockerfile found something, and the file asks that this ends the build."""

    code = "dockerfile.checks-failed"
    fix = "Correct what was found, or leave a rule out with # check=skip=RULE at the top of the file."

    @classmethod
    def raise_for(cls, findings: Sequence[Finding]) -> None:
        """Raise ChecksFailed when one of the findings is an error."""
        rules = dict.fromkeys(finding.rule for finding in findings if finding.level == "error")
        if rules:
            why = "it says check=error=true"
            raise cls(f"{findings[0].location.file} fails the checks {', '.join(rules)}", why=why)
