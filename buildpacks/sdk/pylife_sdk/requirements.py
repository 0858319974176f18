"""Requirements files read for what they name: packages, nested files, local paths, and lines that cannot be meant.

Installing is the installer's work; this reading says what a layer depends on and finds mistakes with their line.
Source: pip's reference, "Requirements File Format".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from pylife_sdk.output import fail

_COMMENT = re.compile(r"(^|\s)#.*$")
_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(\[[^\]]*\])?\s*(.*)$", re.S)
_VERSIONS = re.compile(r"\(?\s*((~=|===|==|!=|<=|>=|<|>)\s*[^\s,;()]+\s*,?\s*)*\)?\s*(;.*)?$", re.S)
_ENV = re.compile(r"\$\{([A-Z0-9_]+)\}")
_OPTION = re.compile(r"(-[a-z]|--[a-z-]+)(?:\s*=\s*|\s+|(?<=^-[a-z])(?=\S))(.*)$", re.S)
_PER_REQUIREMENT = re.compile(r"\s--(hash|global-option|config-settings?|install-option)\b.*$", re.S)
_ARCHIVE = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


@dataclass(frozen=True, slots=True)
class Requirements:
    """All that a requirements file asks for, with the files it pulls in.

    ``files`` are paths in reading order; ``names`` are normalised package names; ``local`` are directories or
    archives of this machine that are installed from, ``editable`` those of them whose code stays where it is;
    ``hashed`` says that some requirement has a hash, which by pip's rule asks for one on all of them.
    """

    files: tuple[str, ...]
    names: frozenset[str]
    local: tuple[str, ...]
    hashed: bool
    editable: frozenset[str] = frozenset()


def read_requirements(path: str) -> Requirements:
    """Reads ``path`` and every file it includes.

    Raises ``Failure``: a file that is missing or not text, a line that is no requirement.
    """
    reading = _Reading(os.path.dirname(path))
    reading.read(os.path.normpath(path), None, constraint=False)
    editable = frozenset(reading.editable)
    return Requirements(tuple(reading.files), frozenset(reading.names), tuple(reading.local), reading.hashed, editable)


def normalize(name: str) -> str:
    """A package name in the one spelling that compares. Source: PyPA name normalization."""
    return re.sub(r"[-_.]+", "-", name).lower()


class _Reading:
    """The state of one reading. Paths that are installed from count from ``base``, included files from their file."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.files: dict[str, None] = {}
        self.names: set[str] = set()
        self.local: dict[str, None] = {}
        self.editable: set[str] = set()
        self.hashed = False

    def read(self, path: str, included_at: str | None, *, constraint: bool) -> None:
        if path in self.files:
            return
        self.files[path] = None
        for number, line in _logical_lines(_text(path, included_at)):
            where = f"{os.path.relpath(path)}:{number}"
            match = _OPTION.match(line) if line.startswith("-") else None
            flag, value = (match[1], match[2].strip()) if match else ("", line)
            if flag in ("-r", "--requirement", "-c", "--constraint"):
                # What a URL has is not known here: it is the installer's, and no part of the key.
                if "://" not in value:
                    nested = os.path.normpath(os.path.join(os.path.dirname(path), value))
                    constraining = constraint or flag in ("-c", "--constraint")
                    self.read(nested, f"{where}: {line}", constraint=constraining)
            elif flag in ("", "-e", "--editable") and not line.startswith("--"):
                place = self._requirement(value, line, where, constraint)
                if place and flag:
                    self.editable.add(place)

    def _requirement(self, text: str, line: str, where: str, constraint: bool) -> str | None:
        """Takes one requirement; the path that it installs from."""
        self.hashed = self.hashed or " --hash" in text
        if place := _local_path(_PER_REQUIREMENT.sub("", text), self.base):
            if not os.path.exists(place):
                _fail_missing(place, f"{where}: {line}", "installs from a path that is not there")
            self.local[place] = None
            return place
        name = _name(text, where)
        if name and not constraint:
            self.names.add(name)
        return None


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    joined, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        start = start or number
        if raw.endswith("\\") and not raw.lstrip().startswith("#"):
            joined += raw[:-1]
            continue
        line = _ENV.sub(lambda match: os.environ.get(match[1], match[0]), _COMMENT.sub("", joined + raw).strip())
        if line:
            yield start, line
        joined, start = "", 0


def _local_path(text: str, here: str) -> str | None:
    """The path that a requirement installs from, or None when it names a package or a URL elsewhere."""
    _, at, url = text.partition(" @ ")
    target = (url if at else text).split(";")[0].strip()
    if target.startswith("file:"):
        target = target.removeprefix("file:").removeprefix("//").split("#")[0]
        return os.path.normpath(os.path.join(here, target))
    if at or "://" in target:
        return None
    bare = re.sub(r"\[[^\]]*\]$", "", target)
    if bare.startswith((".", "/")) or bare.lower().endswith(_ARCHIVE) or ("/" in bare and not bare.startswith("git+")):
        return os.path.normpath(os.path.join(here, bare))
    return None


def _name(line: str, where: str) -> str | None:
    """The package that a requirement line names; None for a bare URL."""
    requirement = _PER_REQUIREMENT.sub("", line)
    if (
        "://" in requirement
        and " @ " not in requirement
        and not re.match(r"[A-Za-z0-9._-]+(\[[^\]]*\])?@", requirement)
    ):
        egg = re.search(r"#(?:.*&)?egg=([A-Za-z0-9._-]+)", requirement)
        return normalize(egg[1]) if egg else None
    match = _NAME.match(requirement)
    if not match or not (match[3].startswith("@") or _VERSIONS.match(match[3])):
        fail(
            "python.requirements-syntax",
            f"{where} is not a requirement that an installer understands.",
            found=line,
            fix=_advice(line, where),
        )
    return normalize(match[1])


def _advice(line: str, where: str) -> str:
    if (single := re.match(r"([A-Za-z0-9._-]+)\s*=\s*([0-9][^\s=]*)$", line)) is not None:
        return f"Write two equals signs on {where}:\n{single[1]}=={single[2]}"
    if line.startswith(("pip install", "pip3 install")):
        return f"Keep the package alone on {where}:\n{line.split('install', 1)[1].strip()}"
    if line.startswith(("<<<<<<<", "=======", ">>>>>>>")):
        return "Finish the merge: keep one side and delete the lines with <<<<<<<, ======= and >>>>>>>."
    return f"Write one requirement a line on {where}, such as:\ndjango==5.2.1"


def _text(path: str, included_at: str | None) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        if included_at is None:
            raise
        _fail_missing(path, included_at, f"includes a file that cannot be read ({error.strerror})")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        shown = os.path.relpath(path)
        fail(
            "python.requirements-encoding",
            f"{shown} is UTF-16 text, as PowerShell's > writes it; installers read UTF-8.",
            found=f"the first bytes of {shown}: {content[:8].hex(' ')}",
            fix=f"iconv -f UTF-16 -t UTF-8 {shown} > tmp && mv tmp {shown}",
        )
    return content.decode("utf-8-sig", errors="replace")


def _fail_missing(path: str, named_at: str, what: str) -> NoReturn:
    shown, directory = os.path.relpath(path), os.path.dirname(path) or "."
    present = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    fail(
        "python.requirements-include-missing",
        f"{named_at.split(': ')[0]} {what}: {shown}.",
        found=f"{named_at}\nin that folder: {', '.join(present[:20]) or 'nothing'}",
        fix=f"Correct the path on that line, or commit what it names:\ngit add {shown}",
    )
