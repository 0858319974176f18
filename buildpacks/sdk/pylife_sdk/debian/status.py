"""Which Debian packages count as installed already, as a dpkg status file of our own.

What counts is the run image, where the app will be: the packages that the build image's list of it names, the
essential ones, and all that these need. Where there is no such list, only what no Debian system is without. Compilers
and headers that the build image has count too, as nothing needs them at launch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

RUN_PACKAGES = "/usr/share/pylife/run-packages"
BUILD_STATUS = "/var/lib/dpkg/status"
# The C library must be the system's own: its loader is not found by a search path. A package that wants a newer one
# is refused instead of breaking every program of the image.
_HELD = ("libc6", "libc-bin", "libc6-dev", "libc-dev-bin")
_BUILD_SECTIONS = ("libdevel", "devel")

_NAME = re.compile(r"\s*([a-z0-9][a-z0-9+.-]*)")


def base_status(*, complete: bool) -> str:
    """The text of the status file. ``complete`` counts on nothing of the run image but what is essential."""
    wanted = [] if complete else _read(RUN_PACKAGES).split()
    return present(_read(BUILD_STATUS), wanted)


def knows_run_image() -> bool:
    """Whether the build image says which packages its run image has."""
    return os.path.exists(RUN_PACKAGES)


def present(status: str, wanted: Iterable[str]) -> str:
    """The part of a build image's status file that counts: ``wanted``, essential packages, their needs, compilers."""
    stanzas = {_field(stanza, "Package"): stanza.strip("\n") for stanza in status.split("\n\n") if stanza.strip()}
    stanzas = {name: stanza for name, stanza in stanzas.items() if _field(stanza, "Status").endswith(" ok installed")}
    launched = closure(stanzas, wanted)
    lines = []
    for name, stanza in stanzas.items():
        if name not in launched and _field(stanza, "Section") not in _BUILD_SECTIONS:
            continue
        stays = name in _HELD
        if name not in launched:
            # What it needs may be away. apt would take it for another build of the same version, and renew it.
            stays = True
            stanza = re.sub(r"^(Pre-Depends|Depends|Breaks|Conflicts): .*\n(?:[ \t].*\n)*", "", stanza, flags=re.M)
        if stays:
            rest = re.sub(r"^(Package|Status): .*\n", "", stanza, flags=re.M)
            stanza = f"Package: {name}\nStatus: hold ok installed\n{rest}"
        lines.append(stanza + "\n\n")
    return "".join(lines)


def held(status: str) -> set[str]:
    """The packages that a status file of ``present`` has to stay as they are."""
    return set(re.findall(r"^Package: (\S+)\nStatus: hold ", status, re.M))


def closure(stanzas: dict[str, str], wanted: Iterable[str]) -> set[str]:
    """The names of essential and ``wanted`` packages, and of all that they depend on."""
    provided: dict[str, str] = {}
    for name, stanza in stanzas.items():
        for each in _field(stanza, "Provides").split(","):
            if match := _NAME.match(each):
                provided.setdefault(match[1], name)
    pending = [name for name, stanza in stanzas.items() if _field(stanza, "Essential") == "yes"]
    pending += (name for name in wanted if name in stanzas)
    found: set[str] = set()
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        for alternatives in _relations(stanzas[name]):
            there = [
                each if each in stanzas else provided[each]
                for each in alternatives
                if each in stanzas or each in provided
            ]
            pending += there[:1]
    return found


def _relations(stanza: str) -> list[list[str]]:
    """The alternatives of each dependency."""
    text = ",".join(_field(stanza, field) for field in ("Pre-Depends", "Depends"))
    return [[match[1] for part in relation.split("|") if (match := _NAME.match(part))] for relation in text.split(",")]


def _field(stanza: str, name: str) -> str:
    match = re.search(rf"^{name}: *(.*(?:\n[ \t].*)*)", stanza, re.M)
    return match[1].replace("\n", " ").strip() if match else ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""
