"""What files of an app ask for: each reader gives one file's wish for a Python, or says what is wrong with it."""

from __future__ import annotations

import os
import re

from pylife_sdk.output import fail
from pylife_sdk.python_app import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FILE = ".python-version"
_RELEASE = re.compile(r"(?:cpython-|python-)?(\d+)(?:\.(\d+))?(?:\.(\d+(?:(?:a|b|rc)\d+)?))?$")


class Wish:
    """What one file asks for: in which words, on which line, which versions do, and how to ask for another."""

    __slots__ = ("edit", "file", "fits", "line", "text")

    def __init__(self, file: str, text: str, line: int, fits: Callable[[str], bool], edit: str) -> None:
        self.file, self.text, self.line, self.fits, self.edit = file, text, line, fits, edit


def read_wishes(app: str, there: str, present: set[str]) -> list[Wish]:
    """The wishes of an app's files, the one that counts first. ``there`` is a version that could be written instead."""
    readers = {
        FILE: _python_version,
        "runtime.txt": _runtime_txt,
        "Pipfile.lock": _pipfile_lock,
        "pyproject.toml": _pyproject,
    }
    wishes = []
    for name, read in readers.items():
        path = os.path.join(app, name)
        if name in present and os.path.isfile(path) and (wish := read(path, there)):
            wishes.append(wish)
    return wishes


def line_of(app: str, wish: Wish) -> str:
    """The line of the file where a wish stands."""
    return dict(_lines(os.path.join(app, wish.file))).get(wish.line, "").strip()


def _python_version(path: str, there: str) -> Wish:
    with open(path, "rb") as file:
        start = file.read(64)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
        fail(
            "python.version-encoding",
            f"{FILE} is UTF-16 text, as PowerShell's > writes it; a version is read as UTF-8.",
            found=f"the first bytes of {FILE}: {start[:12].hex(' ')}",
            fix=f"iconv -f UTF-16 -t UTF-8 {FILE} > tmp && mv tmp {FILE}\ngit add {FILE}",
        )
    lines = _lines(path)
    wanted = [(number, text.strip()) for number, text in lines if text.strip() and not text.lstrip().startswith("#")]
    short = ".".join(there.split(".")[:2])
    edit = f"echo {short} > {FILE}"
    if len(wanted) != 1 or not _RELEASE.match(wanted[0][1]):
        several = len(wanted) > 1 and all(_RELEASE.match(text) for _, text in wanted)
        fail(
            "python.version-several" if several else "python.version-invalid",
            f"{FILE} names {len(wanted)} Python versions, and an app runs on one."
            if several
            else f"{FILE}:{wanted[-1][0] if wanted else 1} does not name one Python version.",
            found="\n".join(repr(text) for _, text in lines) or "(an empty file)",
            fix=f"Write one version such as {short} or {there}, and nothing else:\n{edit}",
        )
    number, text = wanted[0]
    return Wish(FILE, _release(text), number, _prefix(_release(text)), edit)


def _runtime_txt(path: str, there: str) -> Wish:
    wanted = [(number, text.strip()) for number, text in _lines(path) if text.strip()]
    short = ".".join(there.split(".")[:2])
    edit = f"git rm runtime.txt && echo {short} > {FILE}"
    if len(wanted) != 1 or not wanted[0][1].startswith("python-") or not _RELEASE.match(wanted[0][1]):
        fail(
            "python.version-invalid",
            "runtime.txt does not name one Python version.",
            found="\n".join(repr(text) for _, text in wanted) or "(an empty file)",
            fix=f"Move to {FILE}:\n{edit}",
        )
    text = _release(wanted[0][1])
    return Wish("runtime.txt", text, wanted[0][0], _prefix(text), edit)


def _pipfile_lock(path: str, there: str) -> Wish | None:
    import json

    try:
        with open(path, encoding="utf-8") as file:
            requires = table(json.load(file), "_meta", "requires")
    except ValueError:
        return None  # what is wrong with the lock is said when it is installed from
    text = str(requires.get("python_full_version") or requires.get("python_version") or "")
    if not _RELEASE.match(text):
        return None
    instead = " in place of python_full_version" if requires.get("python_full_version") else ""
    short = there.rpartition(".")[0]
    edit = f'Write into the Pipfile, below [requires]{instead}, then `pipenv lock`:\npython_version = "{short}"'
    return Wish("Pipfile.lock", text, _number(path, r'\s*"python_(full_)?version"'), _prefix(text), edit)


def _pyproject(path: str, there: str) -> Wish | None:
    from pylife_python.ranges import parse

    document = _toml(path)
    wanted, pattern = table(document, "project").get("requires-python"), "requires-python"
    if wanted is None:
        wanted, pattern = table(document, "tool", "poetry", "dependencies").get("python"), "python"
    if wanted is None:
        return None
    line = _number(path, rf"\s*{pattern}\s*=")
    short = ".".join(there.split(".")[:2])
    edit = f'Write on pyproject.toml:{line}\n{pattern} = ">={short}"'
    try:
        fits = parse(wanted)
    except (ValueError, TypeError):
        fail(
            "python.version-invalid",
            f"pyproject.toml:{line} has a {pattern} that is not a list of version clauses.",
            found=f"{pattern} = {wanted!r}",
            fix=edit,
        )
    return Wish("pyproject.toml", wanted, line, fits, edit)


def _toml(path: str) -> dict[str, Any]:
    import tomllib

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fail(
            "python.version-invalid",
            "pyproject.toml is not valid TOML.",
            found=str(error),
            fix="Correct the place that is named.",
        )


def _release(text: str) -> str:
    match = _RELEASE.match(text)
    return ".".join(part for part in match.groups() if part) if match else text


def _prefix(wanted: str) -> Callable[[str], bool]:
    """A release means any of its patches."""
    return lambda version: version == wanted or version.startswith(wanted + ".")


def _number(path: str, pattern: str) -> int:
    return next((number for number, text in _lines(path) if re.match(pattern, text)), 1)


def _lines(path: str) -> list[tuple[int, str]]:
    with open(path, encoding="utf-8-sig", errors="backslashreplace") as file:
        return list(enumerate(file.read().splitlines(), 1))
