"""The Procfile: one ``type: command`` a line, read as each tool that knows it does.

``heroku`` is the default dialect: Heroku's format, but what Heroku passes over in silence and nobody can mean is
refused or warned of. In every dialect a carriage return at a line's end is no part of the command, an entry without a
command is none, and bytes that are not UTF-8 text are refused.

Source: Heroku's Dev Center, "The Procfile".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.slug.dialects import DIALECTS, Dialect, Rules

_MARKERS = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")


class BadProcfile(PylifeError):
    """A line is not of the form ``type: command``. ``line`` counts from 1; 0 stands for the whole file."""

    code = "procfile.syntax"
    fix = "Write a type, a colon, a space and a command, all on one line, such as\nweb: gunicorn app:app"

    def __init__(
        self, what: str, *, line: int = 0, file: str = "Procfile", why: str | None = None, fix: str | None = None,
        details: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(what, where=f"{file}:{line}" if line else file, why=why, fix=fix, details=details)
        self.line = line


class MergeMarker(BadProcfile):
    """A line is a mark that git left in an unfinished merge."""

    code = "procfile.merge-marker"
    fix = "Keep one side, delete the lines with <<<<<<<, ======= and >>>>>>>, then\ngit add Procfile && git commit"


class DuplicateType(BadProcfile):
    """Two lines have one process type."""

    code = "procfile.duplicate"
    fix = "Delete one of the lines, or give one another type."


class BadType(BadProcfile):
    """A process type has a name that cannot be used."""

    code = "procfile.name"
    fix = "Give the process a type of letters, digits and - only."


class BadEncoding(BadProcfile):
    """The file is not UTF-8 text."""

    code = "procfile.encoding"
    fix = "Save it as UTF-8. From PowerShell's UTF-16:\niconv -f UTF-16 -t UTF-8 Procfile > tmp && mv tmp Procfile"


class NoProcess(BadProcfile):
    """The file names no process."""

    code = "procfile.empty"
    fix = "Write one process a line, such as\nweb: gunicorn app:app\nor delete the file."


@dataclass(frozen=True, slots=True)
class Entry:
    type: str
    command: str
    line: int


@dataclass(frozen=True, slots=True)
class Procfile:
    """The processes in the file's order, each type once; ``warnings`` are sentences for the user, with the line."""

    entries: tuple[Entry, ...]
    warnings: tuple[str, ...] = ()

    @property
    def types(self) -> tuple[str, ...]:
        """The process types, sorted."""
        return tuple(sorted(entry.type for entry in self.entries))

    @property
    def commands(self) -> dict[str, str]:
        """The command of each type, in the file's order."""
        return {entry.type: entry.command for entry in self.entries}

    def command(self, type: str) -> str | None:
        """The command of ``type``; None when the file does not name it."""
        return self.commands.get(type)


def parse_procfile(raw: bytes, dialect: Dialect = "heroku", file: str = "Procfile") -> Procfile:
    """The processes in ``raw``; ``file`` names it in messages. Raises BadProcfile where that tool refuses the file."""
    reading = _Reading(DIALECTS[dialect], file, dialect)
    return reading.read(raw)


class _Reading:
    """One reading of a file: what was found so far."""

    def __init__(self, rules: Rules, file: str, dialect: Dialect) -> None:
        self.rules = rules
        self.file = file
        self.heroku = dialect == "heroku"
        self.lines: list[str] = []
        self.entries: dict[str, Entry] = {}
        self.warnings: list[str] = []

    def read(self, raw: bytes) -> Procfile:
        self.lines = self._text(raw).split("\n")
        if self.rules.yaml:
            self._yaml()
        else:
            for number, line in enumerate(self.lines, 1):
                self._line(line.rstrip("\r"), number)
        if not self.entries:
            if not self.rules.empty:
                self._refuse(NoProcess, "The Procfile names no process", 0)
            self.warnings.append(f"{self.file} names no process.")
        for type, trumped in (self.rules.trumps or {}).items():
            if type in self.entries and trumped in self.entries:
                del self.entries[trumped]
                self.warnings.append(f"{self.file} has both {type} and {trumped}: {trumped} is left out.")
        ordered = sorted(self.entries.values(), key=lambda entry: entry.line)
        return Procfile(tuple(ordered), tuple(self.warnings))

    def _text(self, raw: bytes) -> str:
        why = ""
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            why = "it is UTF-16"
        elif b"\0" in raw:
            why = "it has NUL bytes"
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            why = why or f"byte {raw[error.start]:#04x} at offset {error.start} belongs to no UTF-8 character"
        if why:
            what = "The Procfile is not UTF-8 text"
            raise BadEncoding(what, file=self.file, why=why, details=f"the first bytes: {raw[:12].hex(' ')}")
        if text.startswith("\ufeff"):
            if not self.rules.bom:
                what = "The Procfile begins with a byte order mark, which would be part of the first type"
                raise BadEncoding(what, file=self.file, line=1, fix="Save it as UTF-8 without a byte order mark (BOM).")
            self._warn(1, "a byte order mark begins the file. It is overlooked here; save the file without it")
            text = text[1:]
        return text

    def _line(self, line: str, number: int) -> None:
        shown = line.strip()
        if line.startswith(_MARKERS):
            self._bad(MergeMarker, "this is a mark of an unfinished merge", number)
            return
        if not shown or shown.startswith(self.rules.comments):
            return
        before, separator, after = shown.partition(self.rules.separator)
        type, command = before.rstrip() if self.rules.padded else before, after.strip()
        if self.rules.inline:
            noted = re.match(r"(.*)\s#.", command) or re.match(r"(.*)\s//.", command)
            command = noted[1].strip() if noted else command
            command = "" if command.startswith(self.rules.comments) else command
        if not separator or not type or not command:
            missing = "colon" if ":" not in shown else "command" if type and separator else "type"
            if missing == "type" and type:
                missing = "space after the colon"
            self._bad(BadProcfile, f"this line has no {missing}", number)
            return
        self._tell_of_blanks(line, before, after, number)
        self._add(Entry(self._name(type, command, number), command, number))

    def _tell_of_blanks(self, line: str, before: str, after: str, number: int) -> None:
        if not self.heroku:
            return
        if not after[:1].isspace():
            self._warn(number, "a space is missing after the colon: Heroku overlooks such a line")
        if before != before.rstrip():
            self._warn(number, "a blank stands before the colon: Heroku takes the colon for a part of the command")
        if line.startswith("\t") or after.startswith("\t"):
            self._warn(number, "a tab stands beside the type: platforms that read the Procfile as YAML refuse it")

    def _name(self, type: str, command: str, number: int) -> str:
        """The type as the tool knows it. Raises BadType for one that it refuses."""
        rules = self.rules
        name = type.replace("_", "-").lower() if rules.corrects else type
        if rules.name is not None and not rules.name.fullmatch(name):
            if any(blank in type for blank in " \t"):
                self._refuse(BadProcfile, "A line of the Procfile has blanks in what should be its type", number)
            better = re.sub(r"[^A-Za-z0-9-]+|(?<=-)-+", "-", type).strip("-").lower() or "worker"
            what = f"The process type {type!r} has characters that a type cannot have"
            self._refuse(BadType, what, number, f"{better}: {command}")
        if rules.longest and len(name) > rules.longest:
            what = f"The process type {type!r} is longer than {rules.longest} characters"
            self._refuse(BadType, what, number, "Give the process a shorter type.")
        if name != type:
            self._warn(number, f"the type {type} is taken as {name}: types have lower case letters, digits and - only")
        return name

    def _add(self, entry: Entry) -> None:
        earlier = self.entries.get(entry.type)
        if earlier is not None:
            if self.rules.twice == "refuse":
                seen = "\n".join(f"{self.file}:{each.line}: {each.type}: {each.command}" for each in (earlier, entry))
                fix = f"Delete line {earlier.line} or line {entry.line}, or give one of them another type."
                what = f"The Procfile names the process {entry.type} twice"
                raise DuplicateType(what, line=entry.line, file=self.file, details=seen, fix=fix)
            taken = earlier if self.rules.twice == "first" else entry
            self._warn(entry.line, f"{entry.type} was on line {earlier.line} already: line {taken.line} is taken")
            entry = taken
        self.entries[entry.type] = entry

    def _yaml(self) -> None:
        """Reads the file as the platform does, as a YAML mapping of texts."""
        from lifecycle.slug.yaml import BadYaml, load

        for number, line in enumerate(self.lines, 1):
            if line.startswith(_MARKERS):
                self._bad(MergeMarker, "this is a mark of an unfinished merge", number)
        try:
            found = load("\n".join(self.lines).encode())
        except BadYaml as error:
            what = "The Procfile cannot be read as YAML, as this platform reads it"
            self._refuse(BadProcfile, what, error.line, why=error.why)
        if found is None:
            return
        if not isinstance(found, dict):
            self._refuse(BadProcfile, "The Procfile is no mapping of process types to commands", 1)
        for type, command in found.items():
            number = self._line_of(str(type))
            if not isinstance(type, str) or not isinstance(command, str) or not command.strip():
                self._refuse(BadProcfile, f"The process {type} has no command of one line", number)
            self._add(Entry(self._name(type, command.strip(), number), command.strip(), number))

    def _line_of(self, type: str) -> int:
        pattern = re.compile(rf"\s*['\"]?{re.escape(type)}['\"]?\s*:")
        return max((number for number, line in enumerate(self.lines, 1) if pattern.match(line)), default=1)

    def _warn(self, number: int, text: str) -> None:
        self.warnings.append(f"{self.file}:{number}: {text}.")

    def _bad(self, error: type[BadProcfile], text: str, number: int) -> None:
        """Refuses a line that is no entry, or overlooks it with a warning."""
        if self.rules.strict:
            what = "The Procfile has marks of an unfinished merge"
            if error is BadProcfile:
                what = "A line of the Procfile is not of the form `type: command`"
            self._refuse(error, what, number, why=text)
        self._warn(number, f"{text}; it is overlooked")

    def _refuse(
        self, error: type[BadProcfile], what: str, number: int, fix: str | None = None, why: str | None = None
    ) -> NoReturn:
        """Raises ``error`` for a line, with its neighbours; the whole file when ``number`` is 0."""
        first = max(number - 1, 1)
        around = self.lines[first - 1 : number + 1] if number else self.lines[:5]
        details = "\n".join(f"{self.file}:{n}: {text.rstrip()}" for n, text in enumerate(around, first))
        raise error(what, line=number, file=self.file, why=why, fix=fix, details=details)


def render_types_yaml(commands: Mapping[str, str]) -> bytes:
    """The process types as platforms read them, a line each: YAML, and a Procfile too.

    A command that YAML cannot hold as it stands (``a: b``, `` # ``, a quote in front) is quoted as YAML wants it,
    because YAML readers are whom this file is for. ``{}`` when there are none.
    """
    from lifecycle.slug.yaml import dump

    if not commands:
        return b"{}\n"
    entries = (dump({type: command}, quoted=len(f"{command}.".splitlines()) > 1) for type, command in commands.items())
    return "".join(entries).encode()
