"""Which buildpacks the user asked for: --buildpack and the groups of project.toml, made into one group."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.builder.wrap import is_classic, is_native
from lifecycle.errors import PylifeError
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.source.descriptor import BuildpackSource, ProjectDescriptor, Script
    from lifecycle.source.remotes import Remotes


_ARCHIVES = (".tgz", ".tar", ".gz", ".bz2", ".xz", ".zst", ".zip", ".cnb")
_BUILDERS_OWN = "urn:cnb:builder:"


class UnknownBuildpackArgument(PylifeError):
    """A buildpack was asked for that is neither in a directory nor at an address nor an ID."""

    code = "build.unknown-buildpack"
    exit_code = 2
    fix = (
        "Give a directory with buildpack.toml, or with a classic buildpack's bin/detect and bin/compile; the address "
        "of one (https://host/path.git#REF, an archive); or ID or ID@VERSION as `pylife builder inspect` lists them."
    )


@dataclass(frozen=True, slots=True)
class Chosen:
    """The buildpacks asked for, in order, as ``ID`` or ``ID@VERSION``; empty for the builder's own order.

    ``directories`` are those that the builder does not have: (``ID@VERSION``, host directory). ``pre`` and ``post`` go
    around every group of the order.
    """

    entries: tuple[str, ...] = ()
    directories: tuple[tuple[str, Path], ...] = ()
    pre: tuple[str, ...] = ()
    post: tuple[str, ...] = ()


def brings_own(arguments: Sequence[str], project: ProjectDescriptor | None, app: Path) -> bool:
    """Whether a buildpack is asked for that the builder does not have, so that it has to be fetched or made."""
    group, around = (project.group, (*project.pre, *project.post)) if project else ((), ())
    if arguments and any(not _is_id(item, Path.cwd()) for item in arguments):
        return True
    return any(_is_own(item, app) for item in (*(() if arguments else group), *around))


def _is_own(item: BuildpackSource, app: Path) -> bool:
    return item.script is not None or bool(item.uri and not _is_id(item.uri, app))


def _is_id(text: str, base: Path) -> bool:
    """Whether ``text`` is a buildpack's ID, with or without a version, and not the place of one."""
    if text.startswith(_BUILDERS_OWN):
        return True
    if ":" in text or "#" in text or text.startswith((".", os.sep)) or text.endswith(_ARCHIVES):
        return False
    path = base / text
    return not (is_native(path) or is_classic(path) or (os.sep in text and path.exists()))


@contextmanager
def choose_buildpacks(
    arguments: Sequence[str], project: ProjectDescriptor | None, app: Path, remotes: Callable[[], Remotes]
) -> Iterator[Chosen]:
    """What the command line names, else what the project names.

    Inline scripts, what was fetched by ``remotes``, and wrapped classic buildpacks live as long as the block.
    """
    with tempfile.TemporaryDirectory(prefix="pylife-buildpacks-") as scratch:
        chooser = _Chooser(Path(scratch), app, remotes)
        group, pre, post = (project.group, project.pre, project.post) if project else ((), (), ())
        entries = [chooser.argument(item, Path.cwd()) for item in arguments]
        entries = entries or [chooser.source(item) for item in group]
        around = [tuple(chooser.source(item) for item in items) for items in (pre, post)]
        yield Chosen(tuple(entries), tuple(chooser.directories), *around)


class _Chooser:
    def __init__(self, scratch: Path, app: Path, remotes: Callable[[], Remotes]) -> None:
        self._scratch = scratch
        self._app = app
        self._remotes = remotes
        self._made = 0
        self.directories: list[tuple[str, Path]] = []

    def argument(self, text: str, base: Path, id: str = "") -> str:
        """The buildpack that ``text`` names, as ID with or without a version. ``id`` is for a classic one."""
        if _is_id(text, base):
            return text.removeprefix(_BUILDERS_OWN)
        if text.endswith(".cnb") or text.startswith(("docker:", "oci:", "urn:")):
            raise UnknownBuildpackArgument(
                f"{text} cannot be used", why="a buildpack is taken from a directory, an address or the builder"
            )
        local = text.removeprefix("file://")
        if ":" in local:  # a scheme, or a host and a path of ssh's
            return self._fetch(text, text, id)
        place, hash, ref = local.partition("#")
        path = (base / place).resolve()
        if not path.exists():
            raise UnknownBuildpackArgument(f"{text} is not a buildpack", why=f"there is no {path}")
        if not hash and (is_native(path) or is_classic(path)):
            return self._add(path, text, id)
        return self._fetch(f"{path}{hash}{ref}", text, id)

    def source(self, item: BuildpackSource) -> str:
        if item.script is not None:
            return self._add(self._inline(item, item.script), "")
        if item.uri:
            return self.argument(item.uri, self._app, item.id)
        return f"{item.id}@{item.version}" if item.version else item.id

    def _fetch(self, address: str, shown: str, id: str) -> str:
        from lifecycle.slug.fetch import fetch_directory
        from lifecycle.slug.selection import parse_reference

        reference = parse_reference(address)
        directory = fetch_directory(reference, self._remotes(), self._new() / reference.name)
        return self._add(directory, shown if address.startswith(os.sep) else str(reference), id)

    def _add(self, directory: Path, shown: str, id: str = "") -> str:
        from lifecycle.builder.wrap import wrap
        from lifecycle.buildpack.descriptor import BuildpackStore

        if is_native(directory):
            identity = str(BuildpackStore(directory).load(directory / "buildpack.toml", ""))
        elif is_classic(directory):
            wrapped = wrap(directory, self._new() / "wrapped", id=id)
            identity, directory = str(wrapped), self._scratch / str(self._made) / "wrapped"
        else:
            why = "there is neither a buildpack.toml nor a classic buildpack's bin/detect and bin/compile"
            raise UnknownBuildpackArgument(f"{shown} is not a buildpack", why=why)
        self.directories.append((identity, directory))
        return identity

    def _new(self) -> Path:
        """A new directory, which lives as long as the block."""
        self._made += 1
        directory = self._scratch / str(self._made)
        directory.mkdir()
        return directory

    def _inline(self, item: BuildpackSource, script: Script) -> Path:
        """A buildpack made of a script in project.toml: it always detects and runs the script as its build.

        Source: CNB project-descriptor.md, "script".
        """
        id_ = item.id or f"inline/script-{len(self.directories)}"
        directory = self._new()
        (directory / "bin").mkdir()
        head = f'api = "{script.api}"\n[buildpack]\nid = "{id_}"\nversion = "{item.version or "0.0.0"}"\n'
        (directory / "buildpack.toml").write_text(head)
        for name, body in (("detect", "exit 0\n"), ("build", script.inline)):
            file = directory / "bin" / name
            file.write_text(f"#!{script.shell if name == 'build' else '/bin/sh'}\n{body}")
            file.chmod(0o755)
        return directory
