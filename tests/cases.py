"""Tables of cases: input and expected output in one file, so that a new case needs no Python.

A ``.case`` file holds any number of cases. ``##### NAME`` begins a case, ``=== SECTION`` a section of it; everything
up to the next such line is the section's text, byte for byte, without the last newline.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Case:
    """One case: its name (``file: name``), where it stands, and its sections in order."""

    name: str
    where: str
    sections: Mapping[str, str]

    def __str__(self) -> str:
        return self.name


def load_cases(folder: str) -> list[Case]:
    """Every case in the ``.case`` files of ``tests/data/<folder>``; raises ValueError for a malformed file."""
    cases = [case for path in sorted((DATA / folder).glob("*.case")) for case in _read(path)]
    if not cases:
        raise ValueError(f"there are no cases in tests/data/{folder}")
    names = [case.name for case in cases]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"cases of one name in tests/data/{folder}: {sorted(doubled)}")
    return cases


def _read(path: Path) -> list[Case]:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    parts = re.split(r"(?m)^##### (.*)\n", text)
    if parts[0].strip():
        raise ValueError(f"{path}: text before the first case")
    cases = []
    line = 1 + parts[0].count("\n")
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        pieces = re.split(r"(?m)^=== (.*)\n", body)
        if pieces[0].strip():
            raise ValueError(f"{path}:{line}: text before the first section of {name!r}")
        sections = {
            key.strip(): value.removesuffix("\n") for key, value in zip(pieces[1::2], pieces[2::2], strict=True)
        }
        cases.append(Case(f"{path.stem}: {name.strip()}", f"{path.name}:{line}", sections))
        line += 1 + body.count("\n")
    return cases
