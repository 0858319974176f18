"""The Procfile: one ``type: command`` a line.

Source: Heroku's Dev Center, "The Procfile". Comments, blank lines, tabs and CRLF are allowed.
"""

from __future__ import annotations

from pylife_sdk.output import fail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Entry:
    """A process type and its command, with its line."""

    __slots__ = ("command", "line", "type")

    def __init__(self, type: str, command: str, line: int) -> None:
        self.type, self.command, self.line = type, command, line


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


def default_type(entries: Sequence[Entry]) -> str:
    """The process that the image starts by itself: ``web``, or the only one; "" when none of several is to be first."""
    types = [entry.type for entry in entries]
    return "web" if "web" in types else types[0] if len(types) == 1 else ""


def _entry(text: str, number: int, content: bytes) -> Entry:
    type, _, command = (part.strip() for part in text.partition(":"))
    if not type or not command or len(type.split()) > 1:
        fail(
            "procfile.syntax",
            f"Procfile:{number} is not of the form `type: command`.",
            found=_around(content, number),
            fix=f"Write a type, a colon and a command on line {number}, such as\nweb: {text.strip().rstrip(':')}",
        )
    if not all(map(_is_allowed, type)):
        parts = "".join(c if _is_allowed(c) else " " for c in type).split()
        better = "-".join(part.strip("-") for part in parts if part.strip("-")) or "worker"
        fail(
            "procfile.name",
            f"Procfile:{number} names a process {type!r}; a type has letters, digits, - and _ only.",
            found=_around(content, number),
            fix=f"{better}: {command}",
        )
    return Entry(type, command, number)


def _is_allowed(character: str) -> bool:
    return character in "-_" or (character.isascii() and character.isalnum())


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
