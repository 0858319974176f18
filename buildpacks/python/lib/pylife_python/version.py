"""Which Python: what the app asks for, where it says so, and who has it."""

from __future__ import annotations

import os
import re
import sys

from pylife_sdk.output import Failure, fail, listing

from pylife_python.wishes import FILE, Wish, line_of, read_wishes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from pylife_sdk.context import Build, Detect
    from pylife_sdk.runtimes import Found, NotFound

MISSPELT = (
    ".python-version.txt",
    ".python-versions",
    ".python-verison",
    ".python-vesion",
    ".python_version",
    ".pythonversion",
    ".pyhton-version",
    ".pyton-version",
    ".Python-version",
    ".PYTHON-VERSION",
    ".py-version",
    "python-version",
    "python-version.txt",
    "python_version",
    "python_version.txt",
    "Runtime.txt",
    "RUNTIME.txt",
    "runtime.text",
    "runtime.txt.txt",
    "runtimes.txt",
)
# When the last security fix of a release came, and the newest release that is known here.
_ENDED = {"3.9": "2025-10", "3.8": "2024-10", "3.7": "2023-06", "3.6": "2021-12", "3.5": "2020-09"}
_ENDING = {"3.10": "2026-10"}
_OLDEST_OF_3, _NEWEST_OF_3 = 10, 15
_NOT_FETCHED = ("runtime.network", "runtime.download-failed", "python.network", "python.uv-unavailable")


class Choice:
    """The Python version to use and why: ``origin`` is a clause for people, ``notes`` are things worth saying.
    ``found`` brings it there; it is None when nobody was asked."""

    __slots__ = ("file", "found", "notes", "origin", "version")

    def __init__(
        self, version: str, origin: str, notes: tuple[str, ...] = (), found: Found | None = None, file: str = ""
    ) -> None:
        self.version, self.origin, self.notes, self.found, self.file = version, origin, notes, found, file


def available() -> str:
    """The version of the build image's Python, which runs this program."""
    return "{}.{}.{}".format(*sys.version_info[:3])


def choose(app: str, there: str | None = None, context: Build | Detect | None = None) -> Choice:
    """The Python for the app: the first of its files that asks for one, else what is there.

    ``there`` is the build image's version; with a ``context`` other sources are asked, too. Raises ``Failure`` when
    nobody has what the app asks for, or when its words cannot be read.
    """
    there = there or available()
    wishes = _wishes(app, there)
    wish = wishes[0] if wishes else None
    found = None
    # The first source of the usual order is the image: nothing slow is loaded when a detection can answer by that.
    plain = context is None or not (hasattr(context, "layers") or context.env.get("BP_RUNTIME_SOURCES"))
    if context is not None and not (plain and (wish is None or wish.fits(there))):
        found = _find(app, wish, there, context)
        version = found.version if found else ""
    elif wish and not wish.fits(there):
        _explain_unavailable(app, wish, there, [f"available: Python {there}"])
    else:
        version = there
    if wish is None:
        return Choice(version, "the build image's own, since no file of the app asks for one", (), found)
    notes = _notes(wish, wishes, there, version)
    return Choice(version, f"asked for by {wish.file}:{wish.line} ({wish.text})", notes, found, wish.file)


def _wishes(app: str, there: str) -> list[Wish]:
    present = set(os.listdir(app))
    if FILE not in present:
        for name in MISSPELT:
            if name in present and "runtime.txt" not in present and os.path.isfile(os.path.join(app, name)):
                right = "runtime.txt" if "untime" in name.lower() else FILE
                fail(
                    "python.version-misspelt",
                    f"The file {name} looks like a misspelt {right}, which would be passed over.",
                    found=listing(app),
                    fix=f"git mv {name} {right}",
                )
    return read_wishes(app, there, present)


def _notes(wish: Wish, wishes: list[Wish], there: str, version: str) -> tuple[str, ...]:
    notes = []
    if wish.file == "runtime.txt":
        short = ".".join((version or there).split(".")[:2])
        notes.append(
            "runtime.txt is deprecated. Move to .python-version:\n"
            f"git rm runtime.txt && echo {short} > .python-version && git add .python-version"
        )
    minor = ".".join(version.split(".")[:2])
    if ended := (_ENDED | _ENDING).get(minor):
        notes.append(f"Python {minor} has had no security fixes since {ended}: move to a later one.")
    notes += [
        f"{other.file} asks for Python {other.text} and is not followed: {wish.file} comes first"
        for other in wishes[1:]
        if version and not other.fits(version)
    ]
    return tuple(notes)


def _find(app: str, wish: Wish | None, there: str, context: Build | Detect) -> Found | None:
    """The source of the version; None in a detection when only the build asks those that may have it."""
    from pylife_sdk.runtimes import NotFound, Runtime, find

    from pylife_python import uv
    from pylife_python.ranges import is_prerelease

    def fits(version: str) -> bool:
        try:
            early = is_prerelease(version)
        except ValueError:
            return False
        asked = wish is not None and re.search(r"\d(a|b|rc)\d", wish.text) is not None
        return (asked or not early) and (wish is None or wish.fits(version))

    # Nobody is asked for what has ended or was never released, unless the user names who is to be asked.
    order = "image,folder,mirror" if wish and _is_outside(wish) else "image,folder,mirror,uv"
    runtime = Runtime("python", default=order, image=lambda: (there, "/usr"), uv=(uv.VERSION, uv.provide_uv))
    try:
        return find(runtime, fits, context, want=wish.text if wish else "")
    except NotFound as absent:
        if absent.unasked:
            return None
        if wish is None:
            raise
        _explain_unavailable(app, wish, there, _rows(absent, wish))
    except Failure as failure:
        if wish is None or failure.id not in _NOT_FETCHED:
            raise
        raise Failure(
            failure.id,
            f"{wish.file}:{wish.line} asks for Python {wish.text}, and the build image has {there}. {failure.what}",
            failure.found,
            f"{failure.fix}\nor take the build image's Python:\n{wish.edit}",
        ) from None


def _rows(absent: NotFound, wish: Wish) -> list[str]:
    from pylife_sdk.runtimes.order import nearest

    return [
        f"{row.source}: {row.why or 'Python ' + ', '.join(nearest(row.versions, wish.text, limit=8))}"
        for row in absent.seen
    ]


def _is_outside(wish: Wish) -> bool:
    """Whether a version is asked for that has ended, or that is not released yet as far as is known here."""
    numbers = _numbers(wish)
    return wish.text[:1].isdigit() and (
        numbers[0] != 3 or (len(numbers) > 1 and not _OLDEST_OF_3 <= numbers[1] <= _NEWEST_OF_3)
    )


def _numbers(wish: Wish) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", wish.text)[:2]]


def _explain_unavailable(app: str, wish: Wish, there: str, rows: list[str]) -> NoReturn:
    where, found = f"{wish.file}:{wish.line}", "\n".join(rows)
    shown = f"{where}: {line_of(app, wish)}\n{found}"
    other = (
        f"{wish.edit}\nor build with a builder whose build image has Python {wish.text}\n"
        "or name a source that has it: pylife build --env BP_RUNTIME_SOURCES=image,folder:DIRECTORY,uv,mirror:URL ..."
    )
    numbers = _numbers(wish)
    exact = wish.text[:1].isdigit()
    minor = ".".join(map(str, numbers))
    if exact and (numbers[0] < 3 or (numbers[0] == 3 and 0 <= [*numbers, 99][1] < _OLDEST_OF_3)):
        ended = _ENDED.get(minor, "2020-01" if numbers[0] < 3 else "years")
        fail(
            "python.version-eol",
            f"{where} asks for Python {wish.text}, which has had no security fixes since {ended}.",
            found=shown,
            fix=other,
        )
    if exact and (numbers[0] > 3 or (len(numbers) > 1 and numbers[1] > _NEWEST_OF_3)):
        fail(
            "python.version-unknown",
            f"{where} asks for Python {wish.text}, and no such release is known.",
            found=shown,
            fix=other,
        )
    fail(
        "python.version-unavailable",
        f"{where} asks for Python {wish.text}, and the build image has {there}.",
        found=shown,
        fix=other,
    )
