"""What the images of the family do when they are started: everything here works on the container it runs in.

Source: deis/slugrunner, ``/runner/init``; herokuish, ``/start``, ``/exec``, ``slug import``.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import cast

from lifecycle.app.engine import scratch
from lifecycle.app.ports import Ports
from lifecycle.app.run import User, resolve_user
from lifecycle.app.slug.site import INSIDE, container_paths, is_inside
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.errors import PylifeError
from lifecycle.events import Message, Sink
from lifecycle.sandbox.stdio import give_pipes
from lifecycle.slug import first
from lifecycle.slug.archive import clear, read_slug
from lifecycle.slug.environment import read_env_dir
from lifecycle.slug.place import check_writable, is_filled, move_around, shown_place, volumes_in
from lifecycle.slug.start import Start, plan_start
from lifecycle.slug.storage import open_storage
from lifecycle.slug.transfer import fetch_slug
from lifecycle.source.remotes import Remotes
from lifecycle.store.errors import disk_errors

ROOT = BuildRoot(Path("/"))
_SLUG_URLS = ("SLUG_GET_URL", "SLUG_URL")
"""BlueKing's platform sets both: the first can be fetched as it is, the second is then the key of an object."""
PATIENCE = 5.0
"""Seconds without anything on standard input after which it is said what is waited for."""
_ADDRESS = (
    "Set SLUG_GET_URL to an address, a signed one for example, or describe the store: BUILDER_STORAGE, SLUG_BUCKET."
)
_OURS = (INSIDE, "PYLIFE_HOME")
"""What the images' programs set for themselves: no variable of the app's."""


class NotInside(PylifeError):
    """A command that works on its own container was called outside of a slug image."""

    code = "slug.not-inside"
    exit_code = 2
    fix = "Use `pylife slug build` and `pylife slug run`, or run it in the image: pylife run pylife/slugbuilder -- …"


class AppNotEmpty(PylifeError):
    """A slug was to be unpacked where there is an app already."""

    code = "slug.app-not-empty"
    fix = "Empty the directory, or set APP_PATH to another one."


class NoSlug(PylifeError):
    """A process of an app was to be started, and there is no app."""

    code = "slug.missing"
    exit_code = 2
    fix = "Set SLUG_URL, or give the slug on standard input: cat slug.tgz | docker run -i IMAGE start web"


def check_inside(environment: Mapping[str, str], verb: str) -> None:
    """Raise NotInside on any host: what ``verb`` does to /app is meant for a container."""
    if not is_inside(environment):
        raise NotInside(f"{verb} is for slug images", why="this is not one")


def init(args: Sequence[str], environment: Mapping[str, str], ports: Ports) -> None:
    """Have the slug at its place, then become the process that ``args`` ask for. Does not return.

    The slug is in the image already, else at SLUG_GET_URL or SLUG_URL, else comes on standard input. A command
    (``bash``) may also do without one. Raises NoSlug.
    """
    check_inside(environment, "init")
    app = container_paths(environment).app
    if not is_filled(app):
        url, remotes = slug_place(environment, ports.remotes())
        if url or has_input(ports.sink):
            import_slug(url or "-", app, environment, ports, remotes)
        elif not args or args[0] == "start":
            raise NoSlug("There is no slug to start", why=f"{app} and standard input are empty, SLUG_URL is not set")
    environment = {name: value for name, value in environment.items() if name not in _SLUG_URLS}
    become(plan_start(ROOT, app, args, environment), environment)


def import_slug(
    place: str, app: str, environment: Mapping[str, str], ports: Ports, remotes: Remotes | None = None
) -> int:
    """Unpack the slug at ``place`` into the directory ``app``; returns the number of entries. Raises AppNotEmpty.

    Volumes may be mounted in ``app``: what they hold stays. What is downloaded is not kept.
    """
    if is_filled(app):
        raise AppNotEmpty(f"The slug cannot be unpacked into {app}", why="there is something in it already")
    with disk_errors(Path(app)):
        os.makedirs(app, exist_ok=True)
    check_writable(ROOT, app)
    user = _user(environment)
    owner = (user.uid, user.gid) if user is not None else None
    with scratch(ports) as work:
        fetching = replace(remotes or ports.remotes(), cache=work)
        with fetch_slug(place, fetching, sys.stdin.buffer) as stream, _room(app) as room:
            return read_slug(stream, room, shown_place(place), owner=owner).entries


@contextlib.contextmanager
def _room(app: str) -> Iterator[Path]:
    """An empty directory whose content is the app's after the block: ``app`` itself, unless volumes are in it."""
    if not volumes_in(app):
        yield Path(app)
        return
    with disk_errors(Path(app)):
        room = tempfile.mkdtemp(prefix=".slug-", dir=app)
    try:
        yield Path(room)
    except BaseException:
        clear(room)
        os.rmdir(room)
        raise
    with disk_errors(Path(app)):
        move_around(room, app)


def start(args: Sequence[str], environment: Mapping[str, str]) -> None:
    """Become a process of the app in this container, with the variables of its env directory. Does not return."""
    check_inside(environment, "procfile")
    paths = container_paths(environment)
    known = {**read_env_dir(ROOT, paths.env), **environment}
    become(plan_start(ROOT, paths.app, args, known), environment)


def become(start: Start, environment: Mapping[str, str]) -> None:
    """Replace this process: where it is root, as the user ``slug``; where it is the container's first, behind one that
    hands signals on. Does not return.
    """
    user = _user(environment)
    os.chdir(start.cwd)
    if user is not None:
        give_pipes(range(3), user.uid)
        os.setgroups(list(user.groups))
        os.setgid(user.gid)
        os.setuid(user.uid)
    env = {name: value for name, value in start.env.items() if name not in _OURS}
    argv = list(start.argv)
    if os.getpid() == 1:
        argv = [sys.executable, "-ISB", first.__file__, *argv]
    os.execvpe(argv[0], argv, env)


def slug_place(environment: Mapping[str, str], remotes: Remotes) -> tuple[str, Remotes]:
    """Where the environment says that the slug is, and how to get there; an empty text when it does not.

    With BUILDER_STORAGE, SLUG_URL is the key of an object. Raises NoSlug, BadStorage.
    Source: deis/slugrunner, rootfs/bin/get_object.
    """
    place = next((environment[name] for name in _SLUG_URLS if environment.get(name)), "")
    if not place or "://" in place or os.path.isfile(place):
        return place, remotes
    if not environment.get("BUILDER_STORAGE"):
        why = f"{place} is no address, and nothing says in which store it is a key"
        raise NoSlug("There is no slug at SLUG_URL", why=why, fix=_ADDRESS)
    storage = open_storage(environment)
    return storage.address(place), replace(remotes, environment={**remotes.environment, **storage.environment})


def _user(environment: Mapping[str, str]) -> User | None:
    """Who apps run as, where this process is root and may choose; HEROKUISH_SETUIDGUID=false keeps root."""
    if os.geteuid() != 0 or environment.get("HEROKUISH_SETUIDGUID", "").lower() == "false":
        return None
    return resolve_user("slug", ROOT)


def has_input(sink: Sink | None = None) -> bool:
    """Whether something comes on standard input; waits for it, but not for a person at a terminal. ``sink`` is told
    when nothing comes for a while: whoever left it open may not know."""
    if sys.stdin is None or sys.stdin.isatty():
        return False
    if sink is not None and not select.select([sys.stdin], [], [], PATIENCE)[0]:
        sink.emit(Message("Waiting for an archive on standard input"))
    return bool(cast("BufferedReader", sys.stdin.buffer).peek(1))
