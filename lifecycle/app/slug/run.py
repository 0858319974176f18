"""``pylife slug run`` as a function: a slug on the slugrunner image, in the sandbox, with this terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from lifecycle.app.engine import open_engine, unpack
from lifecycle.app.ports import Ports
from lifecycle.app.run import check_free, resolve_user
from lifecycle.app.slug.stack import ensure_slug_stack
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.events import step
from lifecycle.image.places import load_image, locate
from lifecycle.oci import Platform
from lifecycle.record import dataclass
from lifecycle.sandbox.spec import Mount, RunSpec
from lifecycle.slug.archive import read_slug
from lifecycle.slug.paths import Paths
from lifecycle.slug.place import shown_place
from lifecycle.slug.start import plan_start
from lifecycle.slug.transfer import fetch_slug
from lifecycle.source.remotes import Remotes


@dataclass(frozen=True, slots=True)
class SlugRunRequest:
    """What to run: ``slug`` is a file, a URL, an object's address, or ``-``; ``args`` as ``plan_start`` takes them.

    ``remotes`` is how it is fetched, where that is not as everything is.
    """

    slug: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    host: str = ""
    port: int | None = None
    mounts: tuple[Mount, ...] = ()
    user: str | None = None
    network: Literal["host", "none"] = "host"
    memory: int | None = None
    timeout: float | None = None
    remotes: Remotes | None = None


def run_slug(request: SlugRunRequest, ports: Ports) -> int:
    """Run the process to its end and return its exit code (128 + n for signal n). Nothing it writes is kept."""
    if request.port is not None:
        check_free(request.host, request.port)
    app = Paths().app
    with open_engine(ports) as engine:
        if request.image is None:
            image = ensure_slug_stack(ports, engine)[1]
        else:
            image = load_image(locate(request.image, ports.images()), ports.images(), Platform.host())
        unpack(image, request.image or "the slugrunner image", engine)
        with engine.snapshotter.prepare([layer.diff_id for layer in image.layers]) as root:
            inside = BuildRoot(root.path)
            user = resolve_user(request.user or image.config.user, inside)
            owner = (user.uid, user.gid) if engine.rung.ids != "single" else None
            inside.make_dirs(app, owner=owner)
            with step(ports.sink, "slug", "Unpack the slug") as told:
                stdin = sys.stdin.buffer if sys.stdin is not None else None
                with fetch_slug(request.slug, request.remotes or ports.remotes(), stdin) as stream:
                    read = read_slug(stream, root.path / app.strip("/"), shown_place(request.slug), owner=owner)
                told.detail = f"{read.entries} entries"
            port = {} if request.port is None else {"PORT": str(request.port)}
            start = plan_start(inside, app, request.args, {**image.config.env, **port, **request.env})
            spec = RunSpec(
                argv=start.argv,
                root=str(root.path),
                env=start.env,
                cwd=start.cwd,
                uid=user.uid,
                gid=user.gid,
                groups=user.groups,
                network=request.network,
                mounts=request.mounts,
                memory=request.memory,
                timeout=request.timeout,
                trust_host=False,
            )
            with engine.sandbox.start(spec) as process, process.forward_signals():
                return process.wait().exit_code
