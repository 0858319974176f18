"""A build request with everything opened that reading a Dockerfile takes: context, files, secrets, sources."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.app.dockerfile.epoch import find_epoch
from lifecycle.app.dockerfile.reading import DockerfileText, read_texts
from lifecycle.app.dockerfile.request import DockerfileRequest
from lifecycle.app.dockerfile.sources import BuildSources
from lifecycle.archive.filetree import HostTree
from lifecycle.dockerfile.ast import parse
from lifecycle.dockerfile.frontend import check_frontend
from lifecycle.dockerfile.ignore import NOTHING_IGNORED, IgnoreRules, load_ignore_rules, without_home
from lifecycle.dockerfile.stages import Dockerfile, read_dockerfile
from lifecycle.record import dataclass
from lifecycle.source.context import BadBuildContext, Context, NamedContext, open_context, parse_build_context

if TYPE_CHECKING:
    from lifecycle.app.ports import Ports
    from lifecycle.dockerfile.running.secrets import Secret
    from lifecycle.dockerfile.running.ssh import SshSource


@dataclass(frozen=True, slots=True)
class Job:
    """A request with its sources opened and its Dockerfile read."""

    request: DockerfileRequest
    ports: Ports
    context: Context
    text: DockerfileText
    dockerfile: Dockerfile
    rules: IgnoreRules
    sources: BuildSources
    epoch: int
    secrets: Mapping[str, Secret]
    ssh: Mapping[str, SshSource]
    scratch: Callable[[], Path]


@contextmanager
def open_job(request: DockerfileRequest, ports: Ports) -> Iterator[Job]:
    """Open the context and read the Dockerfile; raises DockerfileError and what the sources raise."""
    with ExitStack() as stack:
        secrets, ssh = _secrets(request), _ssh(request)
        scratch = _Scratch(ports, stack)
        context = stack.enter_context(_open(request, ports, scratch, secrets))
        text = _text(request, context)
        file = parse(text.data, text.name)
        check_frontend(file, request.build_args)
        dockerfile = read_dockerfile(file)
        rules = _rules(request, context, text)
        named = {item.name: item for item in map(_build_context, request.contexts)}
        sources = BuildSources(
            ports,
            HostTree(context.directory, without_home(rules, context.directory, ports.home)),
            named,
            local=Path(request.context).is_dir(),
            pull=request.pull,
            remotes=lambda: ports.remotes(lambda name: secrets[name].read() if name in secrets else None),
            scratch=scratch.make,
        )
        stack.callback(sources.close)
        epoch = find_epoch(request.created, request.build_args, dockerfile, context, sources)
        yield Job(request, ports, context, text, dockerfile, rules, sources, epoch, secrets, ssh, scratch.make)


def _build_context(text: str) -> NamedContext:
    """A named context; one that is a path of this host must be there, whether a step asks for it or not."""
    found = parse_build_context(text)
    path = found.value.removeprefix("dir://")
    remote = found.kind == "image" or "://" in path or "@" in path or path.startswith("github.com/")
    if path != "-" and (found.kind == "layout" or not remote) and not os.path.exists(path):
        raise BadBuildContext(
            f"The context {found.name} is not there",
            why=f"{path} does not exist",
            where=f"--build-context {text}",
            fix="Correct the path; a relative one starts at the current directory.",
        )
    return found


class _Scratch:
    """Throw-away directories, made when they are asked for."""

    def __init__(self, ports: Ports, stack: ExitStack) -> None:
        self._ports = ports
        self._stack = stack

    def make(self) -> Path:
        from lifecycle.app.engine import scratch

        return self._stack.enter_context(scratch(self._ports))


@contextmanager
def _open(
    request: DockerfileRequest, ports: Ports, scratch: _Scratch, secrets: Mapping[str, Secret]
) -> Iterator[Context]:
    import sys

    plain = Path(request.context).is_dir()
    place = ports.home / "scratch" if plain else scratch.make()
    stdin = None if plain or sys.stdin is None else sys.stdin.buffer
    keep_git = is_true(request.build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR", ""))
    with open_context(
        request.context,
        place,
        ports.remotes(lambda name: secrets[name].read() if name in secrets else None),
        sub_path=request.sub_path,
        stdin=stdin,
        keep_git=keep_git,
    ) as context:
        yield context


def _secrets(request: DockerfileRequest) -> dict[str, Secret]:
    """What --secret gives, by id; raises BadSecret."""
    if not request.secrets:
        return {}
    from lifecycle.dockerfile.running.secrets import parse_secret

    return {item.id: item for item in map(parse_secret, request.secrets)}


def _ssh(request: DockerfileRequest) -> dict[str, SshSource]:
    """What --ssh gives, by id; raises BadSsh."""
    if not request.ssh:
        return {}
    from lifecycle.dockerfile.running.ssh import parse_ssh

    return {item.id: item for item in map(parse_ssh, request.ssh)}


def _text(request: DockerfileRequest, context: Context) -> DockerfileText:
    """The Dockerfile: the one that came as the context, else the files named."""
    if context.dockerfile is not None:
        return DockerfileText(context.dockerfile, context.name, context.directory / "Dockerfile")
    return read_texts(request.files, context.directory)


def _rules(request: DockerfileRequest, context: Context, text: DockerfileText) -> IgnoreRules:
    if request.ignore_file is not None:
        return IgnoreRules.parse(request.ignore_file.read_bytes(), str(request.ignore_file))
    return load_ignore_rules(context.directory, text.path) if context.ignores else NOTHING_IGNORED


def is_true(text: str) -> bool:
    """Whether a build argument that is a switch is on."""
    return text.lower() in ("1", "t", "true")
