"""What people read while a buildpack works: headings, notes, warnings, and failures that say what to do."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn


def heading(text: str) -> None:
    """Begins a step."""
    print(f"-----> {text}", flush=True)


def note(text: str) -> None:
    """A line (or several) below the present step."""
    for line in text.splitlines():
        print(f"       {line}".rstrip(), flush=True)


def warn(text: str) -> None:
    """Something that does not stop the build but that somebody should look at."""
    # Written at once: whoever reads both streams would put lines of the other one in between.
    sys.stderr.write("".join(f" !     {line}".rstrip() + "\n" for line in text.splitlines()))
    sys.stderr.flush()


class Failure(Exception):
    """The build cannot go on for a reason that the user can mend.

    ``id`` is stable and has a page in docs/errors; ``what`` is one sentence; ``found`` is what was seen, as it was
    seen; ``fix`` is what to do, with the command where there is one.
    """

    def __init__(self, id: str, what: str, found: str, fix: str) -> None:
        super().__init__(what)
        self.id, self.what, self.found, self.fix = id, what, found, fix


def fail(id: str, what: str, *, found: str, fix: str) -> NoReturn:
    """Ends the build with a failure that has a page of its own."""
    raise Failure(id, what, found, fix)


def report(failure: Failure) -> None:
    """Prints a failure to stderr: what happened, what was found, how to mend it, where to read more."""
    found = "\n".join(f"  {line}" for line in failure.found.splitlines())
    fix = "\n".join(f"  {line}" for line in failure.fix.splitlines())
    sys.stdout.flush()
    warn(f"\nError: {failure.what}\n\nFound:\n{found}\n\nTo mend it:\n{fix}\n")
    warn(f"[{failure.id}] More: pylife explain {failure.id}")


def listing(directory: str, limit: int = 20) -> str:
    """The names in a directory as one indented column, folders with a slash, cut after ``limit``."""
    with os.scandir(directory) as entries:
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in entries)
    return column(names, limit) if names else "(nothing)"


def column(names: Iterable[str], limit: int = 20) -> str:
    """Names one a line; the number of those left out is said."""
    names = list(names)
    more = [f"... and {len(names) - limit} more"] if len(names) > limit else []
    return "\n".join(names[:limit] + more)
