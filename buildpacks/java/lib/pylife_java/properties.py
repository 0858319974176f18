"""Java properties files, as far as people write them by hand: ``key=value`` or ``key: value``."""

from __future__ import annotations


def parse_properties(text: str) -> dict[str, tuple[str, int]]:
    """Values with their line numbers; the last of several wins, comments begin with # or !."""
    found: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line[0] in "#!":
            continue
        ends = [at for at in (line.find("="), line.find(":")) if at > 0]
        if ends:
            at = min(ends)
            # A wrapper's URL is written with an escaped colon.
            found[line[:at].strip()] = (line[at + 1 :].strip().replace("\\:", ":").replace("\\=", "="), number)
    return found


def read_properties(path: str) -> dict[str, tuple[str, int]]:
    """The properties of a file; empty when there is none."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return parse_properties(file.read())
    except FileNotFoundError:
        return {}
