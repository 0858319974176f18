"""Where a slug is built: a root filesystem made for it in the sandbox, or the very container that pylife runs in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lifecycle.app.engine import open_engine, unpack
from lifecycle.app.ports import Ports
from lifecycle.app.run import resolve_user
from lifecycle.app.slug.stack import ensure_slug_stack
from lifecycle.buildpack.execute import Runner
from lifecycle.buildpack.tree import BadFile, BuildRoot
from lifecycle.errors import PylifeError
from lifecycle.image import Image
from lifecycle.image.places import load_image, locate
from lifecycle.oci import Platform
from lifecycle.phases.inputs import Engine, Limits
from lifecycle.phases.layout import Owner
from lifecycle.phases.runner import SandboxRunner
from lifecycle.record import dataclass
from lifecycle.slug.archive import clear
from lifecycle.slug.direct import DirectRunner
from lifecycle.slug.environment import process_variables
from lifecycle.slug.paths import Paths
from lifecycle.slug.place import is_planted
from lifecycle.snapshot import Root

INSIDE = "PYLIFE_SLUG_IMAGE"
"""Set in the environment of slugbuilder and slugrunner: what runs there works on that container itself."""


class NotWritable(PylifeError):
    """The directories of a slug build cannot be made in this container."""

    code = "slug.not-writable"
    fix = (
        "Run the image as its own user (2000:2000) or as root with a container's usual capabilities; with a read-only "
        "root filesystem, mount writable volumes at /app and /tmp."
    )


@dataclass(frozen=True, slots=True)
class Site:
    """A root filesystem, how processes are started in it, and whose files they shall be.

    ``env`` are the variables that the image sets. ``engine``, ``image`` and ``snapshot`` are those of the sandbox; None
    in a container.
    """

    root: BuildRoot
    runner: Runner
    paths: Paths
    owner: Owner
    env: Mapping[str, str]
    engine: Engine | None = None
    image: Image | None = None
    snapshot: Root | None = None

    def host(self, inside: str) -> Path:
        """The host path of ``inside``."""
        return Path(self.root.host(inside))


@contextmanager
def sandbox_site(name: str | None, limits: Limits, ports: Ports) -> Iterator[Site]:
    """A root of the slugbuilder image (the default one without ``name``), thrown away with the block."""
    with open_engine(ports) as engine:
        if name is None:
            image = ensure_slug_stack(ports, engine)[0]
        else:
            image = load_image(locate(name, ports.images()), ports.images(), Platform.host())
        unpack(image, name or "the slugbuilder image", engine)
        mapped = engine.rung.ids != "single"
        with engine.snapshotter.prepare([layer.diff_id for layer in image.layers]) as root:
            inside = BuildRoot(root.path)
            user = resolve_user(image.config.user, inside)
            owner = Owner(user.uid, user.gid, mapped)
            runner = SandboxRunner(engine.sandbox, root.path, owner, limits)
            paths = Paths()
            _make(paths, inside, owner)
            yield Site(inside, runner, paths, owner, image.config.env, engine, image, root)


@contextmanager
def container_site(environment: Mapping[str, str], limits: Limits, *, cached: bool = True) -> Iterator[Site]:
    """This container itself, as the images of the family use theirs. ``environment`` may move the paths.

    What an earlier build left in the place of the build is removed first; the cache and the app stay. ``cached`` False
    gives the build an empty cache of its own beside them.
    """
    inside, paths = BuildRoot(Path("/")), container_paths(environment)
    fresh = [paths.build, chosen_path(paths)]
    if not cached:
        paths = replace(paths, cache=f"{paths.build}.cache")
        fresh.append(paths.cache)
    owner = _owner(inside)
    runner = DirectRunner(owner.chown, limits.timeout)
    try:
        for place in (*fresh, paths.cache, paths.env):
            if is_planted(place):  # by an earlier build, to have its target emptied and filled
                os.unlink(place)
        for place in filter(os.path.isdir, fresh):
            clear(place)
        _make(paths, inside, owner)
    except (BadFile, OSError) as error:
        raise NotWritable("This container is no place to build in", why=str(error)) from error
    yield Site(inside, runner, paths, owner, process_variables(environment))


def chosen_path(paths: Paths) -> str:
    """Where the buildpacks of one build are put: not among those installed, which may be a volume of the host's."""
    return f"{paths.build}.buildpacks"


def is_inside(environment: Mapping[str, str]) -> bool:
    """Whether this is a slug image's container."""
    return bool(environment.get(INSIDE))


def container_paths(environment: Mapping[str, str]) -> Paths:
    """The paths that the environment names. CACHE_PATH is the key of an object, no directory, where TAR_PATH or
    PUT_PATH is one."""
    keyed = any(environment.get(name) for name in ("TAR_PATH", "PUT_PATH"))
    given = {name: value for name, value in environment.items() if not (keyed and name == "CACHE_PATH")}
    return Paths.from_environment(given)


def _owner(root: BuildRoot) -> Owner:
    """The user ``slug`` where this process is root and may be another, else whoever this is."""
    if os.geteuid() != 0:
        return Owner(os.geteuid(), os.getegid(), mapped=False)
    user = resolve_user("slug", root)
    return Owner(user.uid, user.gid)


def _make(paths: Paths, root: BuildRoot, owner: Owner) -> None:
    for place in (paths.app, paths.build, paths.cache, paths.env, chosen_path(paths)):
        root.make_dirs(place, owner=owner.chown)
