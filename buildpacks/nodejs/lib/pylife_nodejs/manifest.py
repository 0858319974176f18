"""package.json, read once: what is asked of it has its type, or the failure names line and field."""

from __future__ import annotations

import json
import os

from pylife_sdk.output import fail, listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

NAME = "package.json"
_STRING_TABLES = ("scripts", "dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "engines")


class Manifest:
    """One package.json. ``shown`` is its path for people; a file that is not there is an empty one."""

    __slots__ = ("data", "directory", "raw", "shown")

    def __init__(self, directory: str, shown: str, raw: bytes, data: Mapping[str, Any]) -> None:
        self.directory, self.shown, self.raw, self.data = directory, shown, raw, data

    @property
    def exists(self) -> bool:
        return bool(self.raw)

    @property
    def name(self) -> str:
        return self.text("name")

    def text(self, field: str) -> str:
        """A field that is text, "" where it is anything else."""
        value = self.data.get(field)
        return value if isinstance(value, str) else ""

    def table(self, *path: str) -> Mapping[str, Any]:
        """A table, by its path; empty where there is none."""
        value: Any = self.data
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else {}

    @property
    def scripts(self) -> Mapping[str, str]:
        return self.table("scripts")

    @property
    def dependencies(self) -> dict[str, str]:
        """Everything that is installed for production."""
        return {**self.table("optionalDependencies"), **self.table("dependencies")}

    def needs(self, name: str) -> bool:
        """Whether a package is among the dependencies of any kind but peers."""
        return name in self.dependencies or name in self.table("devDependencies")


def read_manifest(directory: str, app: str) -> Manifest:
    """The package.json of a directory. Raises ``Failure`` for one that is not what npm takes."""
    path = os.path.join(directory, NAME)
    shown = os.path.relpath(path, app)
    try:
        with open(path, "rb") as file:
            raw = file.read()
    except FileNotFoundError:
        return Manifest(directory, shown, b"", {})
    except OSError as error:
        fail(
            "node.package-json-invalid",
            f"{shown} cannot be read: {error.strerror}.",
            found=listing(directory),
            fix=f"Commit {shown} as an ordinary file.",
        )
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        fail(
            "node.package-json-invalid",
            f"{shown} is UTF-16 text; npm reads UTF-8.",
            found=f"the first bytes of {shown}: {raw[:8].hex(' ')}",
            fix=f"iconv -f UTF-16 -t UTF-8 {shown} > tmp && mv tmp {shown}",
        )
    try:
        data = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        fail(
            "node.package-json-invalid",
            f"{shown} is not UTF-8 text.",
            found=f"byte {error.start}: {raw[error.start : error.start + 8].hex(' ')}",
            fix=f"Save {shown} as UTF-8.",
        )
    except RecursionError:
        fail(
            "node.package-json-invalid",
            f"{shown} is nested too deeply to be a package.json.",
            found=f"{len(raw)} bytes",
            fix=f"Commit the package.json of the app as {shown}.",
        )
    except json.JSONDecodeError as error:
        _invalid(shown, raw.decode("utf-8-sig"), error)
    if not isinstance(data, dict):
        fail(
            "node.package-json-invalid",
            f"{shown} holds {type(data).__name__}, not an object.",
            found=raw[:60].decode(errors="replace"),
            fix='Begin the file with { and give it at least a name: {"name": "my-app"}',
        )
    manifest = Manifest(directory, shown, raw, data)
    for field in _STRING_TABLES:
        _check_table(manifest, field)
    return manifest


def _invalid(shown: str, text: str, error: json.JSONDecodeError) -> NoReturn:
    lines = text.split("\n")
    line = lines[error.lineno - 1] if error.lineno <= len(lines) else ""
    before = text[: error.pos].rstrip()
    if any(each.startswith(("<<<<<<<", "=======", ">>>>>>>")) for each in lines):
        fix = "Finish the merge: keep one side and delete the lines with <<<<<<<, ======= and >>>>>>>."
    elif before.endswith(",") and text[error.pos : error.pos + 1] in "}]":
        fix = (
            f"Delete the comma before the {text[error.pos]} on line {error.lineno}: JSON has none after the last item."
        )
    elif "Expecting ',' delimiter" in error.msg:
        fix = f"Write a comma between the items at line {error.lineno}, column {error.colno}."
    elif line.lstrip().startswith(("//", "/*")) or text[error.pos : error.pos + 2] in ("//", "/*"):
        fix = f"Delete the comment on line {error.lineno}: JSON has none."
    elif not text.strip():
        fix = "Write at least {} into it, or: npm init -y"
    else:
        fix = f"Correct line {error.lineno}. This shows the place, too:\nnode -p \"require('./{shown}')\""
    column = min(error.colno - 1, 100)
    fail(
        "node.package-json-invalid",
        f"{shown} is no JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
        found=f"{shown}:{error.lineno}: {line.rstrip()[:160]}\n{' ' * (len(f'{shown}:{error.lineno}: ') + column)}^",
        fix=fix,
    )


def _check_table(manifest: Manifest, field: str) -> None:
    value = manifest.data.get(field)
    if value is None or (isinstance(value, list) and not value):
        return
    wrong = value if not isinstance(value, dict) else next((v for v in value.values() if not isinstance(v, str)), None)
    if wrong is not None:
        fail(
            "node.package-json-field",
            f'"{field}" in {manifest.shown} is to be an object whose values are strings.',
            found=f'"{field}": {json.dumps(value)[:160]}',
            fix=f'Write it as "{field}": {{"name": "value"}}.',
        )
