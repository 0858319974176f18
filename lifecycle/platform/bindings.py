"""Service bindings: certificates, clients' settings and passwords that a build or an app is given from outside.

A binding is a directory of one file for each secret, and a file ``type`` that says what they are. It is read when it is
named, reaches processes as files in memory, and gets into no layer, cache, label or log; of a key only a hash.
Source: CNB platform.md, "Bindings"; servicebinding.io, "Workload Projection".
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.sandbox.spec import File

ROOT_VARIABLE = "SERVICE_BINDING_ROOT"
_NAME = re.compile(r"[a-z0-9.-]{1,253}")
_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
_LIMIT = 8 << 20
_SHORTEST_SECRET = 4
_PUBLIC = frozenset({"type", "provider", "host", "port", "database", "username", "user"})
"""Files of a binding whose values are words that output may well hold for other reasons."""


class BadBinding(PylifeError):
    """What --binding names is not a service binding."""

    code = "binding.invalid"
    exit_code = 2
    fix = "Name a directory with a file `type` (ca-certificates, npmrc, maven, pip, …) and one file for each secret."


class UnreadableBinding(PylifeError):
    """A file of a service binding cannot be read."""

    code = "binding.unreadable"
    exit_code = 2
    fix = "Let this user read the directory and its files, or correct the path."


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding: its name, and the content of its files by their names, ``type`` among them."""

    name: str
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def type(self) -> str:
        return self.files["type"].decode("utf-8", "replace").strip()

    def placed(self, root: str, uid: int, gid: int) -> Iterator[File]:
        """The files as a run shows them below ``root``, readable by that user alone."""
        for key, content in self.files.items():
            yield File(f"{root}/{self.name}/{key}", content, 0o400, uid, gid)


def read_bindings(texts: Iterable[str]) -> tuple[Binding, ...]:
    """The bindings of ``[NAME=]DIR`` texts, by name. Raises BadBinding, UnreadableBinding."""
    found: dict[str, Binding] = {}
    for text in texts:
        binding = _read(text)
        if binding.name in found:
            raise BadBinding(
                f"Two bindings are named {binding.name}", fix=f"Give one another name: --binding NAME={text}"
            )
        found[binding.name] = binding
    return tuple(found[name] for name in sorted(found))


def digest_of(bindings: Iterable[Binding]) -> str:
    """A hash of names and contents."""
    total = hashlib.sha256()
    for binding in bindings:
        for key in sorted(binding.files):
            content = binding.files[key]
            total.update(f"{binding.name}/{key} {len(content)}\n".encode() + content)
    return total.hexdigest()


def secrets_of(bindings: Iterable[Binding]) -> Iterator[bytes]:
    """The values that no output may show: those of files with a single line. A whole file of settings is none."""
    for binding in bindings:
        for key, content in binding.files.items():
            value = content.strip()
            if key not in _PUBLIC and len(value) >= _SHORTEST_SECRET and b"\n" not in value:
                yield value


def _read(text: str) -> Binding:
    name, equals, place = text.partition("=")
    if not equals or "/" in name:
        name, place = "", text
    directory = Path(place).expanduser().absolute()
    name = name or directory.name
    if not _NAME.fullmatch(name):
        raise BadBinding(
            f"{name!r} is no name of a binding",
            why="it may hold small letters, digits, '.' and '-'",
            fix=f"Give it a name: --binding NAME={place}",
        )
    try:
        files = dict(_files(directory))
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not directory.is_dir():
            why = "it is not a directory" if directory.exists() else "it does not exist"
            raise BadBinding(f"The binding {directory} is no directory of secrets", why=why) from None
        raise UnreadableBinding(
            f"The binding {name} cannot be read", why=f"{error.filename}: {error.strerror}"
        ) from error
    if not files.get("type", b"").strip():
        why = "its file `type` is empty" if "type" in files else "it has no file `type`"
        raise BadBinding(
            f"{directory} is not a binding",
            why=why,
            fix=f"Say what it is for, in one word: echo ca-certificates > {directory / 'type'}",
            details="It holds " + (", ".join(sorted(files)) or "nothing"),
        )
    return Binding(name, files)


def _files(directory: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a binding; names that begin with two dots are the bookkeeping of mounted volumes."""
    total = 0
    for name in sorted(os.listdir(directory)):
        if name.startswith(".."):
            continue
        path = directory / name
        if not path.is_file():
            path.stat()  # a link that leads nowhere is named as what cannot be read
            raise BadBinding(f"{path} is not a file", why="a binding is a directory of files, one for each secret")
        if not _KEY.fullmatch(name):
            raise BadBinding(f"{name!r} in {directory} is no name of a secret", why="letters, digits, '.', '_' and '-'")
        with path.open("rb") as file:
            content = file.read(_LIMIT + 1 - total)
        total += len(content)
        if total > _LIMIT:
            raise BadBinding(f"{directory} is too large for a binding", why=f"it holds more than {_LIMIT >> 20} MiB")
        yield name, content
