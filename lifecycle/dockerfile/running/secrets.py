"""Secrets: what --secret gives, and what must not be seen of them.

A value is read when a step asks for it. It goes to the step as a file in memory or as a variable, and from there into
no layer, no key, no record; where the step prints it, ``Mask`` puts asterisks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from lifecycle.dockerfile.running.errors import BadSecret
from lifecycle.dockerfile.running.options import fields
from lifecycle.record import dataclass

#: bytes; what BuildKit takes
MAX_SIZE = 500 * 1024
#: shorter pieces would mask half of any output (``no``, ``1``) and protect nothing that could not be guessed
MIN_MASKED = 4
MASKED = "***"


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is: in the file ``path``, or in this process's environment variable ``variable``."""

    id: str
    path: str | None = None
    variable: str | None = None

    def read(self, environment: Mapping[str, str] = os.environ) -> bytes:
        """The value. Raises BadSecret when it is not there or too long."""
        if self.variable is not None:
            if self.variable not in environment:
                raise BadSecret(f"Secret {self.id!r} cannot be read", why=f"the variable {self.variable} is not set")
            return os.fsencode(environment[self.variable])
        assert self.path is not None
        try:
            with open(self.path, "rb") as file:
                value = file.read(MAX_SIZE + 1)
        except OSError as error:
            raise BadSecret(f"Secret {self.id!r} cannot be read", why=f"{self.path}: {error.strerror}") from error
        if len(value) > MAX_SIZE:
            raise BadSecret(f"Secret {self.id!r} is too long", why=f"{self.path} holds more than {MAX_SIZE} bytes")
        return value


def parse_secret(text: str, environment: Mapping[str, str] = os.environ) -> Secret:
    """What ``--secret id=NAME[,src=FILE|,env=VARIABLE][,type=file|env]`` names; it must be there.

    With an id alone, the variable of that name is the secret, else the file of that name. Raises BadSecret.
    """
    option = f"--secret {text}"
    found = fields(text, {"id": "id", "src": "src", "source": "src", "env": "env", "type": "type"}, option, BadSecret)
    name = found.get("id", "")
    if not name:
        raise BadSecret(f"{option} has no id")
    kind, path, variable = found.get("type"), found.get("src"), found.get("env")
    if kind not in (None, "file", "env"):
        raise BadSecret(f"{option} cannot be understood", why=f"type {kind!r} is neither file nor env")
    if path and variable:
        raise BadSecret(f"{option} cannot be understood", why="src and env are two different places")
    if kind == "env":
        path, variable = None, variable or path or name
    elif kind == "file" and variable:
        raise BadSecret(f"{option} cannot be understood", why="type=file wants src, not env")
    elif not path and not variable:
        path, variable = (None, name) if kind is None and name in environment else (name, None)
    secret = Secret(name, path or None, variable)
    secret.read(environment)
    return secret


class Mask:
    """Hides the values of secrets in lines of text: each line of a value, and its ends without white space."""

    def __init__(self, values: Iterable[bytes]) -> None:
        pieces = set()
        for value in values:
            text = value.decode("utf-8", "replace")
            for piece in (text, *text.splitlines()):
                if "\n" not in piece.strip() and len(piece.strip()) >= MIN_MASKED:
                    pieces.add(piece.strip())
        self._pieces = sorted(pieces, key=lambda piece: (-len(piece), piece))

    def __call__(self, line: str) -> str:
        for piece in self._pieces:
            line = line.replace(piece, MASKED)
        return line
