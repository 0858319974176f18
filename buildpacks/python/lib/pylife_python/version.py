"""Which Python: what the app asks for, where it says so, and whether the build image has it."""

from __future__ import annotations

import os
import re
import sys

from pylife_sdk.output import fail

_RELEASE = re.compile(r"(?:cpython-|python-)?(\d+)(?:\.(\d+))?(?:\.(\d+))?$")
_CLAUSE = re.compile(r"(~=|===|==|!=|<=|>=|<|>)\s*(\d+(?:\.\d+)*)(\.\*)?$")


class Choice:
    """The Python version to use and why: ``origin`` is a clause for people, ``notes`` are things worth saying."""

    __slots__ = ("notes", "origin", "version")

    def __init__(self, version: str, origin: str, notes: tuple[str, ...] = ()) -> None:
        self.version, self.origin, self.notes = version, origin, notes


def available() -> str:
    """The version of the build image's Python, which runs this program."""
    return "{}.{}.{}".format(*sys.version_info[:3])


def choose(app: str, there: str | None = None) -> Choice:
    """The Python for the app: .python-version before runtime.txt before pyproject.toml before what is there.

    Raises ``Failure`` when the app asks for a version that is not there, or in words that cannot be read.
    """
    there = there or available()
    readers = {".python-version": _python_version, "runtime.txt": _runtime_txt, "pyproject.toml": _pyproject}
    asking = {}
    for name, read in readers.items():
        path = os.path.join(app, name)
        if os.path.isfile(path) and (asked := read(path, there)):
            asking[name] = asked
    if not asking:
        return Choice(there, "the build image's own, since no file of the app asks for one")
    name, (wanted, line, edit) = next(iter(asking.items()))
    if not _satisfied(wanted, there):
        fail(
            "python.version-unavailable",
            f"{name}:{line} asks for Python {wanted}, and the build image has {there}.",
            found=f"{name}:{line}: {_line(os.path.join(app, name), line)}\navailable: Python {there}",
            fix=f"{edit}\nor build with a builder whose build image has Python {wanted}.",
        )
    notes = []
    if name == "runtime.txt":
        short = ".".join(there.split(".")[:2])
        notes.append(
            "runtime.txt is deprecated. Move to .python-version:\n"
            f"git rm runtime.txt && echo {short} > .python-version && git add .python-version"
        )
    notes += [
        f"{other} asks for Python {asked[0]} and is not followed: {name} comes first"
        for other, asked in asking.items()
        if other != name and not _satisfied(asked[0], there)
    ]
    return Choice(there, f"asked for by {name}:{line} ({wanted})", tuple(notes))


def _python_version(path: str, there: str) -> tuple[str, int, str] | None:
    lines = _lines(path)
    wanted = [(number, text.strip()) for number, text in lines if text.strip() and not text.lstrip().startswith("#")]
    short = ".".join(there.split(".")[:2])
    edit = f"echo {short} > .python-version"
    if len(wanted) != 1 or not _RELEASE.match(wanted[0][1]):
        fail(
            "python.version-invalid",
            f".python-version:{wanted[-1][0] if wanted else 1} does not name one Python version.",
            found="\n".join(repr(text) for _, text in lines) or "(an empty file)",
            fix=f"Write one version such as {short} or {there}, and nothing else:\n{edit}",
        )
    number, text = wanted[0]
    return _release(text), number, edit


def _runtime_txt(path: str, there: str) -> tuple[str, int, str] | None:
    wanted = [(number, text.strip()) for number, text in _lines(path) if text.strip()]
    short = ".".join(there.split(".")[:2])
    if len(wanted) != 1 or not wanted[0][1].startswith("python-") or not _RELEASE.match(wanted[0][1]):
        fail(
            "python.version-invalid",
            "runtime.txt does not name one Python version.",
            found="\n".join(repr(text) for _, text in wanted) or "(an empty file)",
            fix=f"Move to .python-version:\ngit rm runtime.txt && echo {short} > .python-version",
        )
    edit = f"git rm runtime.txt && echo {short} > .python-version"
    return _release(wanted[0][1]), wanted[0][0], edit


def _pyproject(path: str, there: str) -> tuple[str, int, str] | None:
    import tomllib

    try:
        with open(path, "rb") as file:
            wanted = tomllib.load(file).get("project", {}).get("requires-python")
    except tomllib.TOMLDecodeError as error:
        fail(
            "python.version-invalid",
            "pyproject.toml is not valid TOML.",
            found=str(error),
            fix="Correct the place that is named.",
        )
    if wanted is None:
        return None
    line = next((number for number, text in _lines(path) if re.match(r"\s*requires-python\s*=", text)), 1)
    short = ".".join(there.split(".")[:2])
    edit = f'Write on pyproject.toml:{line}\nrequires-python = ">={short}"'
    clauses = [clause.strip() for clause in str(wanted).split(",") if clause.strip()]
    if not isinstance(wanted, str) or not all(_CLAUSE.match(clause) for clause in clauses):
        fail(
            "python.version-invalid",
            f"pyproject.toml:{line} has a requires-python that is not a list of version clauses.",
            found=f"requires-python = {wanted!r}",
            fix=edit,
        )
    return wanted, line, edit


def _release(text: str) -> str:
    match = _RELEASE.match(text)
    return ".".join(part for part in match.groups() if part) if match else text


def _satisfied(wanted: str, there: str) -> bool:
    """Whether ``there`` is what ``wanted`` means: a release (any of its patches) or version clauses."""
    have = _numbers(there)
    if wanted[:1].isdigit():
        asked = _numbers(wanted)
        return have[: len(asked)] == asked
    return all(_clause(clause.strip(), have) for clause in wanted.split(",") if clause.strip())


def _clause(clause: str, have: tuple[int, ...]) -> bool:
    match = _CLAUSE.match(clause)
    if match is None:
        return False
    operator, asked, star = match[1], _numbers(match[2]), bool(match[3])
    if star:
        same = have[: len(asked)] == asked
        return same if operator == "==" else not same
    width = max(len(asked), len(have))
    left, right = have + (0,) * (width - len(have)), asked + (0,) * (width - len(asked))
    match operator:
        case "==" | "===":
            return left == right
        case "!=":
            return left != right
        case "<=":
            return left <= right
        case ">=":
            return left >= right
        case "<":
            return left < right
        case ">":
            return left > right
        case _:
            return left >= right and have[: len(asked) - 1] == asked[:-1]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _lines(path: str) -> list[tuple[int, str]]:
    with open(path, encoding="utf-8-sig", errors="backslashreplace") as file:
        return list(enumerate(file.read().splitlines(), 1))


def _line(path: str, number: int) -> str:
    return dict(_lines(path)).get(number, "").strip()
