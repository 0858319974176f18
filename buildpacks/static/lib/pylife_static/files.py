"""The files of a site: what is served, by which name, with which content."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pylife_sdk.output import fail

from pylife_static.rules import FILES

# What an app's root has beside its pages, where the root itself is the site.
NOT_PAGES = (
    "Aptfile",
    "Dockerfile",
    "Makefile",
    "Procfile",
    "app.json",
    "docker-compose.yml",
    "node_modules",
    "package-lock.json",
    "package.json",
    "pnpm-lock.yaml",
    "project.toml",
    "Staticfile",
    "static.json",
    "yarn.lock",
)
# A content hash in a name, as bundlers write it: main-BdX9_2kL.js, main.5b8a3c21.css, chunk-ABCDEFGH.js.
_HASHED = re.compile(r"[-.]([A-Za-z0-9_-]{8}|[0-9a-f]{16}|[0-9a-f]{20}|[0-9a-f]{32})(?:\.chunk)?\.[a-z0-9]+(?:\.map)?$")
_HEX = re.compile(r"[-.](?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])(?:[0-9a-f]{8}|[0-9a-f]{16}|[0-9a-f]{20}|[0-9a-f]{32})\.")
_CODE = (".js", ".mjs", ".css", ".woff", ".woff2", ".wasm")


@dataclass(frozen=True, slots=True)
class File:
    """A file that is served: ``path`` begins with a slash; ``immutable`` when its name says its content."""

    path: str
    digest: str
    immutable: bool


@dataclass(frozen=True, slots=True)
class Contents:
    """All of a site. ``hidden`` are the names in its root that are not served."""

    files: tuple[File, ...]
    hidden: tuple[str, ...]

    @property
    def paths(self) -> frozenset[str]:
        """The paths of all files."""
        return frozenset(file.path for file in self.files)

    @property
    def pages(self) -> list[str]:
        """The paths of the HTML pages, without a page for errors."""
        return [f.path for f in self.files if f.path.endswith((".html", ".htm")) and f.path != "/404.html"]

    def digest(self) -> str:
        """One name for all contents."""
        total = hashlib.sha256()
        for file in self.files:
            total.update(f"{file.path}\0{file.digest}\0".encode(errors="surrogateescape"))
        return total.hexdigest()


def read_contents(app: str, folder: str, sources: Sequence[str] = (), *, built: bool = False) -> Contents:
    """The files below ``folder``. ``sources`` are folders whose files a build only copies: their names say nothing.

    Raises ``Failure`` for a link that leads out of the app.
    """
    root = os.path.normpath(os.path.join(app, folder))
    hidden = [name for name in (*FILES, *(NOT_PAGES if root == os.path.normpath(app) else ())) if _there(root, name)]
    files = []
    for path in sorted(_walk(os.path.realpath(app), root, "")):
        if path.split("/", 1)[0] in hidden:
            continue
        copied = any(os.path.exists(os.path.join(app, source, path)) for source in sources)
        immutable = not copied and (_is_hashed(path) if built else path.endswith(_CODE) and bool(_HEX.search(path)))
        files.append(File(f"/{path}", _digest(os.path.join(root, path)), immutable))
    return Contents(tuple(files), tuple(hidden))


def _is_hashed(path: str) -> bool:
    match = _HASHED.search(path)
    if match is None or path.endswith((".html", ".htm")):
        return False
    text = match[1]
    # A word of eight letters is no hash: one has at least two kinds of characters, or is all upper case (Angular's).
    kinds = (any(c.islower() for c in text), any(c.isupper() for c in text), any(not c.isalpha() for c in text))
    return sum(kinds) >= 2 or (text.isupper() and text.isalpha())


def _walk(app: str, root: str, below: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The relative paths of the files below a folder, links followed, nothing that begins with a dot."""
    place = os.path.join(root, below)
    real = os.path.realpath(place)
    if real in seen:
        return
    with os.scandir(place) as entries:
        found = list(entries)
    for entry in found:
        path = f"{below}/{entry.name}" if below else entry.name
        if entry.name.startswith(".") and not (entry.name == ".well-known" and not below):
            continue
        if entry.is_symlink():
            _check_link(app, entry.path, path)
        if entry.is_dir():
            if not (not below and entry.name == "node_modules"):
                yield from _walk(app, root, path, seen | {real})
        elif entry.is_file():
            yield path


def _check_link(app: str, place: str, path: str) -> None:
    real = os.path.realpath(place)
    if real != app and not real.startswith(app + os.sep):
        fail(
            "static.link-leads-out",
            f"{path} is a link that leads out of the app: what it means in the image is not a file of yours.",
            found=f"{path} -> {os.readlink(place)}",
            fix=f"Put the file itself there, or remove the link:\ngit rm --cached {path}",
        )


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def _there(root: str, name: str) -> bool:
    return os.path.lexists(os.path.join(root, name))
