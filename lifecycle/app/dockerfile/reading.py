"""Finding and reading Dockerfiles."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass

FALLBACKS = ("Dockerfile", "dockerfile", "Containerfile")
STDIN = "-"


class DockerfileNotFound(PylifeError):
    """There is no Dockerfile where one was looked for."""

    code = "dockerfile.not-found"
    exit_code = 2
    fix = "Name it with --dockerfile FILE; a relative path is looked for here, then in the context."


@dataclass(frozen=True, slots=True)
class DockerfileText:
    """The Dockerfile's bytes. ``name`` is what errors call it, ``path`` where its own ignore file would be beside."""

    data: bytes
    name: str
    path: Path


def read_texts(files: Sequence[str], context: Path) -> DockerfileText:
    """The Dockerfiles named, one after the other as one; raises DockerfileNotFound."""
    texts = [_read(name, context) for name in files]
    if len(texts) == 1:
        return texts[0]
    data = b"".join(text.data if text.data.endswith(b"\n") else text.data + b"\n" for text in texts)
    return DockerfileText(data, "+".join(text.name for text in texts), texts[0].path)


def _read(name: str, context: Path) -> DockerfileText:
    if name == STDIN:
        data = sys.stdin.buffer.read() if sys.stdin is not None else b""
        return DockerfileText(data, "standard input", context / "Dockerfile")
    path = find_dockerfile(name, context)
    try:
        return DockerfileText(path.read_bytes(), _shown(path), path)
    except OSError as error:
        raise DockerfileNotFound(f"{path} cannot be read", why=error.strerror) from error


def candidates(name: str, context: Path) -> Iterator[Path]:
    """Where the file ``name`` is looked for: here, then in the context; ``Dockerfile`` in other spellings too."""
    wanted = Path(name)
    spellings = FALLBACKS if wanted.name == FALLBACKS[0] else (wanted.name,)
    for spelling in spellings:
        yield wanted.with_name(spelling)
        yield context / wanted.with_name(spelling)


def find_dockerfile(name: str, context: Path) -> Path:
    """The first of ``candidates`` that is there; raises DockerfileNotFound."""
    found = next((path for path in candidates(name, context) if path.is_file()), None)
    if found is None:
        directory = next((path for path in candidates(name, context) if path.is_dir()), None)
        if directory is not None:
            inside = next((directory / spelling for spelling in FALLBACKS if (directory / spelling).is_file()), None)
            fix = f"Write -f {inside}." if inside else "Name a file."
            raise DockerfileNotFound(f"{name} is no Dockerfile", why=f"{directory} is a directory", fix=fix)
        raise DockerfileNotFound(f"There is no Dockerfile {name}", why=f"neither here nor in the context {context}")
    return found


def _shown(path: Path) -> str:
    """The path as people write it: relative where that is shorter."""
    text = os.path.relpath(path)
    return text if not text.startswith("..") else str(path)
