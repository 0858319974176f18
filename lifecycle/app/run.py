"""``pylife run`` as a function: any process of an image, in the sandbox, as its user, with this terminal."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal

from lifecycle.app.engine import open_engine, unpack
from lifecycle.app.ports import Ports
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.errors import PylifeError
from lifecycle.image import Image
from lifecycle.image.places import load_image, locate
from lifecycle.oci import ImageConfig, Platform
from lifecycle.phases.layout import PROCESS_DIR, process_types
from lifecycle.platform.bindings import ROOT_VARIABLE, Binding
from lifecycle.record import dataclass
from lifecycle.sandbox.spec import File, Mount, RunSpec

BINDINGS = "/platform/bindings"
"""Where a process finds its bindings: the place that buildpacks know, so that one setting fits both."""
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class UnknownProcess(PylifeError):
    """The image has no process of the type that was asked for."""

    code = "run.unknown-process"
    exit_code = 2
    fix = "Choose one of the types listed, or leave --process out for the default one."


class NothingToRun(PylifeError):
    """The image names no program to start."""

    code = "run.nothing-to-run"
    exit_code = 2
    fix = "Give the program after --, or the type of a process with --process."


class UnknownUser(PylifeError):
    """The image's user is not in its /etc/passwd."""

    code = "run.unknown-user"
    fix = "Give --user a number, or rebuild the image with a user that it has."


class PortTaken(PylifeError):
    """Something listens already on the port that was asked for."""

    code = "run.port-taken"
    fix = "Choose another port with -p, or end what listens there."


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run. ``args`` replace the image's default arguments; ``port`` is what the process finds in $PORT."""

    name: str
    process: str | None = None
    args: tuple[str, ...] = ()
    entrypoint: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    port: int | None = None
    mounts: tuple[Mount, ...] = ()
    bindings: tuple[Binding, ...] = ()
    user: str | None = None
    workdir: str | None = None
    network: Literal["host", "none"] = "host"
    memory: int | None = None
    timeout: float | None = None
    platform: Platform | None = None


@dataclass(frozen=True, slots=True)
class User:
    """Who a process runs as, in numbers."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


def run(request: RunRequest, ports: Ports) -> int:
    """Run the process to its end and return its exit code (128 + n for signal n). Nothing it writes is kept."""
    if request.port is not None:
        check_free(request.host, request.port)
    with open_engine(ports) as engine:
        image = load_image(locate(request.name, ports.images()), ports.images(), request.platform or Platform.host())
        unpack(image, request.name, engine)
        with engine.snapshotter.prepare([layer.diff_id for layer in image.layers]) as root:
            inside = BuildRoot(root.path)
            user = resolve_user(request.user or image.config.user, inside)
            files = tuple(file for item in request.bindings for file in item.placed(BINDINGS, user.uid, user.gid))
            if not engine.rung.can_mount:
                _write(files, inside)
            spec = RunSpec(
                argv=command_line(request, image),
                root=str(root.path),
                env=environment(request, image.config, user),
                cwd=request.workdir or image.config.working_dir or "/",
                uid=user.uid,
                gid=user.gid,
                groups=user.groups,
                network=request.network,
                mounts=request.mounts,
                files=files if engine.rung.can_mount else (),
                memory=request.memory,
                timeout=request.timeout,
                trust_host=False,
            )
            with engine.sandbox.start(spec) as process, process.forward_signals():
                return process.wait().exit_code


def command_line(request: RunRequest, image: Image) -> tuple[str, ...]:
    """The entrypoint (a process's own, with --process) and the arguments, as every container engine joins them."""
    config = image.config
    if request.entrypoint is not None:
        entrypoint: tuple[str, ...] = (request.entrypoint,) if request.entrypoint else ()
    elif request.process is not None:
        types = process_types(config)
        if request.process not in types:
            raise UnknownProcess(
                f"{request.name} has no process {request.process!r}", why=f"it has {', '.join(types) or 'none'}"
            )
        entrypoint = (f"{PROCESS_DIR}/{request.process}",)
    else:
        entrypoint = config.entrypoint
    replaced = request.process is not None or request.entrypoint is not None
    argv = (*entrypoint, *(request.args or (() if replaced else config.cmd)))
    if not argv:
        raise NothingToRun(f"{request.name} does not say what to run", why="it has neither entrypoint nor command")
    return argv


def environment(request: RunRequest, config: ImageConfig, user: User) -> dict[str, str]:
    """The image's variables, HOME, TERM, PORT and the user's own, the later ones winning."""
    env = {"PATH": _DEFAULT_PATH, "HOME": user.home, **config.env}
    if "TERM" in os.environ and os.isatty(0):
        env["TERM"] = os.environ["TERM"]
    if request.port is not None:
        env["PORT"] = str(request.port)
    if request.bindings:
        env[ROOT_VARIABLE] = BINDINGS
    return {**env, **request.env}


def resolve_user(text: str, root: BuildRoot) -> User:
    """The user written as ``user[:group]``, names or numbers, looked up in the image's own files; root when empty.

    Source: OCI image-spec v1.1, config.md, "User".
    """
    name, _, group = (text or "0").partition(":")
    passwd = _records(root, "/etc/passwd", 7)
    entry = next((item for item in passwd if name in (item[0], item[2])), None)
    if entry is None and not name.isdigit():
        raise UnknownUser(f"The image has no user {name!r}")
    uid = int(entry[2]) if entry else int(name)
    gid = int(entry[3]) if entry else 0
    groups = _records(root, "/etc/group", 4)
    if group:
        found = next((item for item in groups if group in (item[0], item[2])), None)
        if found is None and not group.isdigit():
            raise UnknownUser(f"The image has no group {group!r}")
        return User(uid, int(found[2]) if found else int(group), (), entry[5] if entry else "/")
    more = tuple(int(item[2]) for item in groups if entry and entry[0] in item[3].split(",") and item[2].isdigit())
    return User(uid, gid, more, entry[5] if entry else "/")


def _records(root: BuildRoot, path: str, fields: int) -> list[Sequence[str]]:
    text = (root.read(path) or b"").decode("utf-8", "replace")
    rows = [line.split(":") for line in text.splitlines() if not line.startswith("#")]
    return [row for row in rows if len(row) >= fields and row[2].isdigit()]


def _write(files: Sequence[File], root: BuildRoot) -> None:
    """Without mounts: put the files into the throw-away root itself."""
    for file in files:
        root.make_dirs(file.target.rpartition("/")[0])
        root.write(file.target, file.content, mode=file.mode, owner=(file.uid, file.gid))


def check_free(host: str, port: int) -> None:
    """Raise PortTaken when something listens there already."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(f"Port {port} cannot be used", why=error.strerror) from error
