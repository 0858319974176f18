"""What every failure carries: what happened, to which thing, why, and what to do next.

Each concrete class has a stable ``code`` (``area.reason``) and a page of that name in ``docs/errors/``.
Classes live beside the code that raises them; this module holds only the root, so that it imports nothing.
"""

from __future__ import annotations

from typing import ClassVar


class PylifeError(Exception):
    """The root of every error that pylife raises on purpose.

    ``what`` is one sentence naming the thing; ``why`` the cause as found; ``fix`` the next step for the user
    (the class's own when not given); ``where`` a place such as ``file:line`` or a URL without credentials.
    ``details`` is a short block of what was seen (a directory listing, the last output lines). With
    ``details_are_output`` each line of it was told as output before, and who saw that need not see it again.
    """

    code: ClassVar[str] = "internal"
    exit_code: int = 1
    details_are_output: ClassVar[bool] = False
    fix: str = "Run the command again with -v and report what it prints."

    def __init__(
        self,
        what: str,
        *,
        why: str | None = None,
        fix: str | None = None,
        where: str | None = None,
        details: str | None = None,
        exit_code: int | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        if fix is not None:
            self.fix = fix
        if exit_code is not None:
            self.exit_code = exit_code
        self.where = where
        self.details = details

    def __str__(self) -> str:
        text = self.what
        if self.where:
            text += f" ({self.where})"
        if self.why:
            text += f": {self.why}"
        return text

    def as_dict(self) -> dict[str, object]:
        """The error as plain data for the JSON renderer; absent parts are left out."""
        fields = {
            "code": self.code,
            "what": self.what,
            "why": self.why,
            "where": self.where,
            "details": self.details,
            "fix": self.fix,
            "exit_code": self.exit_code,
        }
        return {key: value for key, value in fields.items() if value is not None}


class UsageError(PylifeError):
    """The command line or a settings file asks for something that cannot be meant."""

    code = "usage"
    exit_code = 2
    fix = "See the command's --help for an example."
