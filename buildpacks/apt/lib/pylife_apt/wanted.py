"""The packages that an app asks for: the lines of its Aptfile, and a table of its project.toml.

Source: Heroku's apt buildpack (Aptfile: one package or .deb address a line) and its buildpack for Debian packages
(``[com.heroku.buildpacks.deb-packages] install``).
"""

from __future__ import annotations

import os
import re
import tomllib
from typing import Any, NoReturn

from pylife_sdk.context import read_bytes
from pylife_sdk.output import fail

from pylife_apt.detect import TABLE, has_request, misspelt

_SPEC = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~-]+)?$")
_DEB_URL = re.compile(r"https?://\S+\.deb(?:\?\S*)?$")
_SUM = re.compile(r"#\s*sha-?256\s*[:=]\s*([0-9a-fA-F]{64})\b", re.I)


class Wanted:
    """One thing asked for. ``spec`` is a package as apt-get has it, the address of a .deb or its path in the app.

    ``origin`` is where it is written. ``alone`` leaves out what it needs; ``force`` takes it even
    if the images have it.
    """

    __slots__ = ("alone", "force", "origin", "sha256", "spec")

    def __init__(self, spec: str, origin: str, *, sha256: str = "", alone: bool = False, force: bool = False) -> None:
        self.spec, self.origin, self.sha256, self.alone, self.force = spec, origin, sha256, alone, force

    @property
    def is_url(self) -> bool:
        """Whether it is the address of a .deb."""
        return "://" in self.spec

    @property
    def is_file(self) -> bool:
        """Whether it is a .deb in the app."""
        return not self.is_url and self.spec.endswith(".deb")


def read_wanted(app: str) -> list[Wanted]:
    """All that is asked for, each once, in the order of the files. Raises ``Failure`` for what cannot be meant."""
    if wrong := misspelt(sorted(os.listdir(app))):
        fail(
            "apt.file-misspelt",
            f"{wrong[0]} asks for Debian packages, but the name must be exactly Aptfile.",
            found=f"in the app's root: {', '.join(wrong)}",
            fix=f"git mv {wrong[0]} Aptfile",
        )
    wanted: list[Wanted] = []
    if has_request(app, "Aptfile"):
        wanted += _aptfile(app)
    if has_request(app, "project.toml"):
        wanted += _project(app)
    return list({each.spec: each for each in reversed(wanted)}.values())[::-1]


def _aptfile(app: str) -> list[Wanted]:
    try:
        text = read_bytes(os.path.join(app, "Aptfile")).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fail(
            "apt.bad-line",
            "The Aptfile is not UTF-8 text.",
            found=str(error),
            fix="Save it as UTF-8: iconv -f UTF-16 -t UTF-8 Aptfile > tmp && mv tmp Aptfile",
        )
    wanted: list[Wanted] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line, origin = raw.strip(), f"Aptfile:{number}"
        if not line or line.startswith("#"):
            continue
        if line.startswith((":repo:", "deb ", "deb-src ")):
            _refuse_source(f"{origin}: {line}")
        words = re.sub(r"(^|\s)#.*", "", line).split()
        total = match[1].lower() if (match := _SUM.search(line)) else ""
        wanted += (_parse(word, origin, line, app, total) for word in words)
    return wanted


def _parse(word: str, origin: str, line: str, app: str, sha256: str) -> Wanted:
    if _DEB_URL.match(word):
        return Wanted(word, origin, sha256=sha256)
    if word.endswith(".deb") and "://" not in word:
        path = os.path.normpath(word)
        if path.startswith(("/", "../")) or not os.path.isfile(os.path.join(app, path)):
            fail(
                "apt.file-missing",
                f"{origin} names a package file that the app does not have.",
                found=f"{origin}: {line}",
                fix=f"Commit the file, or correct its path, which counts from the app's root:\ngit add {word}",
            )
        return Wanted(path, origin)
    if not _SPEC.match(word):
        _refuse_word(word, origin, line)
    return Wanted(word, origin)


def _refuse_word(word: str, origin: str, line: str) -> NoReturn:
    words = [each for each in line.split() if _SPEC.match(each) and each not in ("apt", "apt-get", "sudo", "install")]
    if line.startswith(("apt ", "apt-get ", "sudo ")) or word.startswith("-"):
        fix = f"Keep the packages alone on {origin}:\n{' '.join(words)}"
    elif word.startswith(("<<<<<<<", "=======", ">>>>>>>")):
        fix = "Finish the merge: keep one side and delete the lines with <<<<<<<, ======= and >>>>>>>."
    elif _SPEC.match(word.lower().rstrip(",;")):
        fix = f"Debian's names are in lower case, without commas:\n{word.lower().rstrip(',;')}"
    elif "://" in word:
        fix = "Give the address of a .deb file, with its checksum behind it:\nhttps://example.com/x.deb # sha256:…"
    else:
        fix = f"Write packages one a line on {origin}, such as:\nlibpq-dev"
    fail("apt.bad-line", f"{origin} is no name of a Debian package.", found=f"{origin}: {line}", fix=fix)


def _refuse_source(where: str) -> NoReturn:
    fail(
        "apt.repository-unsupported",
        "An app cannot add sources of Debian packages: those of the build image are used.",
        found=where,
        fix="Name the .deb files of that repository, each with its checksum:\n"
        "https://example.com/x.deb # sha256:…\n"
        "or build with a builder whose /etc/apt has the source and its key.",
    )


def _project(app: str) -> list[Wanted]:
    try:
        document = tomllib.loads(read_bytes(os.path.join(app, "project.toml")).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        _refuse_project(f"it is no TOML: {error}")
    table: Any = document
    for part in TABLE.split("."):
        table = table.get(part, {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict):
        _refuse_project(f"{TABLE} is no table")
    if table.get("sources"):
        _refuse_source(f"project.toml: sources in [{TABLE}]")
    packages = table.get("install", [])
    if not isinstance(packages, list):
        _refuse_project(f"install = {packages!r} is no list")
    wanted = []
    for number, entry in enumerate(packages, 1):
        origin = f"project.toml, install {number}"
        fields = {"name": entry} if isinstance(entry, str) else entry
        name = fields.get("name") if isinstance(fields, dict) else None
        if not isinstance(name, str):
            _refuse_project(f"package {number} has no name: {entry!r}")
        item = _parse(name, origin, name, app, str(fields.get("sha256", "")).lower())
        item.alone, item.force = fields.get("skip_dependencies") is True, fields.get("force") is True
        wanted.append(item)
    return wanted


def _refuse_project(why: str) -> NoReturn:
    fail(
        "apt.bad-project-toml",
        f"project.toml does not say which Debian packages are wanted: {why}.",
        found=f"[{TABLE}] of project.toml",
        fix=f'Write a list of names:\n[{TABLE}]\ninstall = ["libpq-dev", "ffmpeg"]',
    )
