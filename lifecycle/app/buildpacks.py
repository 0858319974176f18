"""Which buildpacks the user asked for: --buildpack and the groups of project.toml, made into one group."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.source.descriptor import BuildpackSource, ProjectDescriptor, Script


class UnknownBuildpackArgument(PylifeError):
    """A buildpack was asked for that is neither a directory nor an ID."""

    code = "build.unknown-buildpack"
    exit_code = 2
    fix = "Give a directory that holds buildpack.toml, or ID or ID@VERSION as `pylife builder inspect` lists them."


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


@contextmanager
def choose_buildpacks(arguments: Sequence[str], project: ProjectDescriptor | None, app: Path) -> Iterator[Chosen]:
    """What the command line names, else what the project names. Inline scripts live as long as the block."""
    with tempfile.TemporaryDirectory(prefix="pylife-buildpacks-") as scratch:
        chooser = _Chooser(Path(scratch), app)
        group, pre, post = (project.group, project.pre, project.post) if project else ((), (), ())
        entries = [chooser.argument(item, Path.cwd()) for item in arguments]
        entries = entries or [chooser.source(item) for item in group]
        around = [tuple(chooser.source(item) for item in items) for items in (pre, post)]
        yield Chosen(tuple(entries), tuple(chooser.directories), *around)


class _Chooser:
    def __init__(self, scratch: Path, app: Path) -> None:
        self._scratch = scratch
        self._app = app
        self.directories: list[tuple[str, Path]] = []

    def argument(self, text: str, base: Path) -> str:
        """A directory, or an ID with or without a version."""
        path = (base / text.removeprefix("file://")).resolve()
        if (path / "buildpack.toml").is_file():
            return self._add(path)
        if os.sep in text and (text.startswith((".", os.sep)) or path.exists()):
            raise UnknownBuildpackArgument(f"{text} is not a buildpack", why=f"there is no {path / 'buildpack.toml'}")
        if "://" in text or text.endswith((".tgz", ".cnb")):
            raise UnknownBuildpackArgument(
                f"{text} cannot be used", why="a buildpack is taken from a directory or from the builder"
            )
        return text.removeprefix("urn:cnb:builder:")

    def source(self, item: BuildpackSource) -> str:
        if item.script is not None:
            return self._add(self._inline(item, item.script))
        if item.uri:
            return self.argument(item.uri, self._app)
        return f"{item.id}@{item.version}" if item.version else item.id

    def _add(self, directory: Path) -> str:
        from lifecycle.buildpack.descriptor import BuildpackStore

        identity = str(BuildpackStore(directory).load(directory / "buildpack.toml", ""))
        self.directories.append((identity, directory))
        return identity

    def _inline(self, item: BuildpackSource, script: Script) -> Path:
        """A buildpack made of a script in project.toml: it always detects and runs the script as its build.

        Source: CNB project-descriptor.md, "script".
        """
        id_ = item.id or f"inline/script-{len(self.directories)}"
        directory = self._scratch / str(len(self.directories))
        (directory / "bin").mkdir(parents=True)
        head = f'api = "{script.api}"\n[buildpack]\nid = "{id_}"\nversion = "{item.version or "0.0.0"}"\n'
        (directory / "buildpack.toml").write_text(head)
        for name, body in (("detect", "exit 0\n"), ("build", script.inline)):
            file = directory / "bin" / name
            file.write_text(f"#!{script.shell if name == 'build' else '/bin/sh'}\n{body}")
            file.chmod(0o755)
        return directory
