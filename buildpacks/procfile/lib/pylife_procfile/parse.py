"""The Procfile: one ``type: command`` a line.

Source: Heroku's Dev Center, "The Procfile". Comments, blank lines, tabs and CRLF are allowed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pylife_sdk.output import fail

_LINE = re.compile(r"\s*([^\s:]+)\s*:\s*(.*?)\s*$")
_TYPE = re.compile(r"[A-Za-z0-9_-]+$")


@dataclass(frozen=True, slots=True)
class Entry:
    """A process type and its command, with its line."""

    type: str
    command: str
    line: int


def parse(content: bytes) -> list[Entry]:
    """The processes in the file's order. Raises ``Failure`` with the line that cannot be meant."""
    entries: list[Entry] = []
    for number, text in enumerate(_text(content).splitlines(), 1):
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        if text.startswith(("<<<<<<<", "=======", ">>>>>>>", "|||||||")):
            fail(
                "procfile.merge-marker",
                f"Procfile:{number} is a marker of an unfinished merge.",
                found=_around(content, number),
                fix="Keep one side, delete the lines with <<<<<<<, ======= and >>>>>>>, then\n"
                "git add Procfile && git commit",
            )
        entry = _entry(text, number, content)
        earlier = next((other for other in entries if other.type == entry.type), None)
        if earlier is not None:
            fail(
                "procfile.duplicate",
                f"The Procfile names the process {entry.type} twice.",
                found=f"Procfile:{earlier.line}: {entry.type}: {earlier.command}\n"
                f"Procfile:{number}: {entry.type}: {entry.command}",
                fix=f"Delete line {earlier.line} or line {number}, or give one of them another type.",
            )
        entries.append(entry)
    if not entries:
        fail(
            "procfile.empty",
            "The Procfile names no process.",
            found=_text(content).strip() or "(an empty file)",
            fix="Write one process a line, such as\nweb: gunicorn app:app --bind 0.0.0.0:$PORT\nor git rm Procfile",
        )
    return entries


def _entry(text: str, number: int, content: bytes) -> Entry:
    match = _LINE.match(text)
    if match is None or not match[2]:
        fail(
            "procfile.syntax",
            f"Procfile:{number} is not of the form `type: command`.",
            found=_around(content, number),
            fix=f"Write a type, a colon and a command on line {number}, such as\nweb: {text.strip().rstrip(':')}",
        )
    if not _TYPE.match(match[1]):
        better = re.sub(r"[^A-Za-z0-9_-]+", "-", match[1]).strip("-") or "worker"
        fail(
            "procfile.name",
            f"Procfile:{number} names a process {match[1]!r}; a type has letters, digits, - and _ only.",
            found=_around(content, number),
            fix=f"{better}: {match[2]}",
        )
    return Entry(match[1], match[2], number)


def _text(content: bytes) -> str:
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise UnicodeDecodeError("utf-16", content[:8], 0, 2, "UTF-16")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        fail(
            "procfile.encoding",
            "The Procfile is not UTF-8 text.",
            found=f"the first bytes: {content[:12].hex(' ')}",
            fix="Save it as UTF-8. From PowerShell's UTF-16:\n"
            "iconv -f UTF-16 -t UTF-8 Procfile > tmp && mv tmp Procfile",
        )


def _around(content: bytes, number: int) -> str:
    lines = content.decode("utf-8-sig", errors="replace").splitlines()
    first = max(number - 2, 1)
    return "\n".join(f"Procfile:{n}: {text}" for n, text in enumerate(lines[first - 1 : number + 1], first))
