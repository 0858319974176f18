"""What ``--chmod`` asks for: an octal mode, or symbolic changes of the mode that is there.

Source: BSD's setmode(3), as BuildKit has it, with no umask.
"""

from __future__ import annotations

import re

from lifecycle.record import dataclass

_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o0007, "a": 0o6777}
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000}
_STICKY = 0o1000

_OCTAL = re.compile(r"[0-7]+")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXstugo]*)+)")
_CHANGE = re.compile(r"([-+=])([rwxXstugo]*)")


@dataclass(frozen=True, slots=True)
class Mode:
    """A mode to give: ``bits`` when octal (at most 07777), else changes to what is there. ``text`` is as written."""

    text: str
    bits: int | None
    changes: tuple[tuple[str, str, str], ...] = ()  # who (of "ugoa", or nobody named), operator, permissions

    @classmethod
    def parse(cls, text: str) -> Mode:
        """The mode that ``text`` means (``755``, ``u=rwX,go=rX``); raises ValueError with the reason."""
        if text[:1].isdigit():
            if not _OCTAL.fullmatch(text) or int(text, 8) > 0o7777:
                raise ValueError("a mode in digits is octal, between 0 and 07777")
            return cls(text, int(text, 8))
        changes = []
        for clause in text.split(","):
            match = _CLAUSE.fullmatch(clause)
            if not match:
                raise ValueError(f"{clause!r} is not a change of mode such as u=rwX or go-w")
            changes += [(match[1], operator, permissions) for operator, permissions in _CHANGE.findall(match[2])]
        return cls(text, None, tuple(changes))

    def apply(self, old: int, is_dir: bool) -> int:
        """The twelve mode bits of a file that had ``old``."""
        if self.bits is not None:
            return self.bits
        mode = old & 0o7777
        executable = is_dir or bool(mode & 0o111)
        for who, operator, permissions in self.changes:
            mode = _changed(mode, who, operator, permissions, executable)
        return mode


def _changed(mode: int, who: str, operator: str, permissions: str, executable: bool) -> int:
    affected = 0
    for letter in who or "a":
        affected |= _WHO[letter]
    special = who.strip("o") or not who  # setuid, setgid and sticky are not for "others" alone
    bits = 0
    copies = []
    for letter in permissions:
        if letter in _SHIFT:
            copies.append(letter)
        elif letter == "X":
            bits |= 0o111 if executable or operator == "-" else 0
        elif letter == "t":
            bits |= _STICKY if special else 0
        elif letter != "s" or special:
            bits |= _BITS[letter]
    bits &= affected | _STICKY
    if operator == "=" and not (copies and not bits):
        mode &= ~(affected | bits & _STICKY)
    for letter in copies:
        value = mode >> _SHIFT[letter] & 7
        for target in "ugo" if not who or "a" in who else who:
            shift = _SHIFT[target]
            if operator == "=":
                mode &= ~(7 << shift)
            mode = mode & ~(value << shift) if operator == "-" else mode | value << shift
    return mode & ~bits if operator == "-" else mode | bits
