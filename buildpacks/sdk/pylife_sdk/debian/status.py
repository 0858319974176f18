"""Which Debian packages are there already where the app will run, as a dpkg status file.

Where the build image says what its run image has, that counts. Elsewhere it is what no Debian image can be without:
essential and required packages and what these need. Anything more that the build image has may be missing at launch.
"""

from __future__ import annotations

import os
import re

RUN_IMAGE = "/usr/share/pylife/run-image/status"
BUILD_IMAGE = "/var/lib/dpkg/status"

_NAME = re.compile(r"^\s*([a-z0-9][a-z0-9+.-]*)")


def base_status() -> tuple[str, bool]:
    """The text of a status file, and whether it is the run image's own."""
    if os.path.exists(RUN_IMAGE):
        return _read(RUN_IMAGE), True
    return essential(_read(BUILD_IMAGE)), False


def essential(status: str) -> str:
    """The part of a status file that has essential and required packages and all that they depend on."""
    stanzas = {_field(stanza, "Package"): stanza for stanza in status.split("\n\n") if stanza.strip()}
    providers = {
        _NAME.match(provided)[1]: name  # type: ignore[index]
        for name, stanza in stanzas.items()
        for provided in _field(stanza, "Provides").split(",")
        if _NAME.match(provided)
    }
    pending = [
        name
        for name, stanza in stanzas.items()
        if _field(stanza, "Essential") == "yes" or _field(stanza, "Priority") == "required"
    ]
    kept: set[str] = set()
    while pending:
        name = pending.pop()
        if name in kept or name not in stanzas:
            continue
        kept.add(name)
        for relation in _relations(stanzas[name]):
            there = [name for name in relation if name in stanzas or name in providers]
            pending += (each if each in stanzas else providers[each] for each in there[:1])
    return "\n\n".join(stanza.strip("\n") for name, stanza in stanzas.items() if name in kept) + "\n\n"


def _relations(stanza: str) -> list[list[str]]:
    """The alternatives of each dependency."""
    text = ",".join(_field(stanza, field) for field in ("Pre-Depends", "Depends"))
    return [
        [match[1] for part in relation.split("|") if (match := _NAME.match(part))]
        for relation in text.split(",")
        if relation.strip()
    ]


def _field(stanza: str, name: str) -> str:
    match = re.search(rf"^{name}: *(.*(?:\n[ \t].*)*)", stanza, re.M)
    return match[1].replace("\n", " ").strip() if match else ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""
