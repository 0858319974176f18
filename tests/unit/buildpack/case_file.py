"""Case files: a claim on the first line, then sections ``-- name --`` with their text."""

from __future__ import annotations

import re
from pathlib import Path

DATA = Path(__file__).parents[2] / "data" / "buildpack"
_SECTION = re.compile(r"^-- (.+) --\n", re.MULTILINE)


def cases(kind: str) -> list[Path]:
    found = sorted((DATA / kind).glob("*.case"))
    assert found, f"no case in {DATA / kind}"
    return found


def sections(path: Path) -> dict[str, str]:
    parts = _SECTION.split(path.read_text())
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]
