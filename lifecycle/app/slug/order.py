"""An order for a slug: what the command line and the environment of a build pod say, made into a request.

Source: deis slugbuilder (TAR_PATH, PUT_PATH, CACHE_PATH), BlueKing slug-pilot (SOURCE_GET_URL, SLUG_SET_URL,
CACHE_GET_URL, CACHE_SET_URL, REQUIRED_BUILDPACKS, PILOT_BUILDER_TIMEOUT).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import field, replace
from pathlib import Path
from typing import Literal

from lifecycle.app.ports import Ports
from lifecycle.app.slug.build import SlugBuilt, SlugRequest, build_slug
from lifecycle.app.slug.inside import has_input
from lifecycle.app.slug.site import Site, container_paths, container_site, is_inside, sandbox_site
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.errors import PylifeError, UsageError
from lifecycle.image.places import parse_place
from lifecycle.phases.inputs import EPOCH, Limits
from lifecycle.record import dataclass
from lifecycle.slug.archive import SIZE_LIMIT, parse_size
from lifecycle.slug.cache import CacheStore, ImageCache, folder_cache, object_cache, url_cache
from lifecycle.slug.environment import config_vars, read_env_dir
from lifecycle.slug.moments import Journal
from lifecycle.slug.storage import CREDENTIALS, Storage, open_storage
from lifecycle.slug.targets import ObjectTarget, Target, UrlTarget, parse_target
from lifecycle.source.fetch import is_url, shown_url
from lifecycle.source.remotes import Remotes

_CONTRACT = ("TAR_PATH", "PUT_PATH", "SOURCE_GET_URL", "SLUG_SET_URL", "CACHE_GET_URL", "CACHE_SET_URL")
_DURATION = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|h|m|s)")
_COMMA = re.compile(r",(?=[A-Za-z][A-Za-z0-9+.-]*://)")
"""Between two URLs; one within a URL is a part of it."""
_LATEST = 253_402_300_799
"""The end of the year 9999, in seconds: what comes later, archives and file systems cannot hold."""
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class NoSource(PylifeError):
    """A slugbuilder's container was started without an app."""

    code = "slug.no-source"
    exit_code = 2
    fix = (
        "Set SOURCE_GET_URL, mount the app at /tmp/app, or give an archive of it on standard input: "
        "git archive HEAD | docker run -i IMAGE - > slug.tgz"
    )


@dataclass(frozen=True, slots=True)
class SlugOrder:
    """What the command line says; None or empty where it says nothing and the environment may."""

    app: str | None = None
    outputs: tuple[str, ...] = ()
    types: str | None = None
    buildpacks: tuple[str, ...] = ()
    config_vars: Mapping[str, str] = field(default_factory=dict)
    cache: str | None = None
    clear_cache: bool = False
    stack: str | None = None
    builder: str | None = None
    source_version: str | None = None
    max_size: int | None = None
    log: str | None = None
    network: Literal["host", "none"] = "host"
    memory: int | None = None
    timeout: float | None = None

    @property
    def on_stdout(self) -> bool:
        """Whether the slug, or the list of its process types, is to be written to standard output."""
        return "-" in (*self.outputs, self.types)

    def limits(self, environment: Mapping[str, str]) -> Limits:
        """What the build may use."""
        timeout = self.timeout or _seconds(environment.get("PILOT_BUILDER_TIMEOUT", ""))
        return Limits(network=self.network, memory=self.memory, timeout=timeout)


def is_ordered(environment: Mapping[str, str]) -> bool:
    """Whether the variables of a build pod are there: where source, slug and cache are."""
    return any(environment.get(name) for name in _CONTRACT)


def carry_out(
    order: SlugOrder, environment: Mapping[str, str], ports: Ports, open_journal: Callable[[str, bool], Journal]
) -> SlugBuilt:
    """Build the slug that ``order`` and ``environment`` describe.

    ``open_journal`` gets the name of the log profile and whether standard output belongs to the slug. Raises
    UsageError when nothing says where the slug shall go.
    """
    if not order.outputs and not any(environment.get(name) for name in ("SLUG_SET_URL", "PUT_PATH")):
        why = "neither --output nor SLUG_SET_URL or PUT_PATH is given"
        raise UsageError(
            "Nothing says where the slug shall go", why=why, fix="Name a file with -o slug.tgz, a URL, or -."
        )
    if "-" in order.outputs and order.types == "-":
        raise UsageError(
            "The slug and its process types cannot both go to standard output", fix="Name a file for one of them."
        )
    request, log = resolve(order, environment, ports)
    with open_site(order, environment, ports) as site:
        return build_slug(request, site, ports, open_journal(log, order.on_stdout))


def open_site(order: SlugOrder, environment: Mapping[str, str], ports: Ports) -> AbstractContextManager[Site]:
    """This container where it is a slugbuilder's, else a root of the slugbuilder image."""
    if is_inside(environment):
        return container_site(environment, order.limits(environment), cached=order.cache != "off")
    return sandbox_site(order.builder, order.limits(environment), ports)


def resolve(order: SlugOrder, environment: Mapping[str, str], ports: Ports) -> tuple[SlugRequest, str]:
    """The request, and the name of the log profile that whoever ordered it reads."""
    inside = is_inside(environment)
    contract = is_ordered(environment)
    remotes = ports.remotes()
    storage = _storage(environment)
    if storage is not None:
        remotes = replace(remotes, environment={**remotes.environment, **storage.environment})
    own = config_vars(environment) if contract or inside else {}
    if inside:  # where the family mounts them
        own = {**read_env_dir(BuildRoot(Path("/")), container_paths(environment).env), **own}
    if url := environment.get("BUILDPACK_URL"):
        own["BUILDPACK_URL"] = url
    app = order.app or _app(environment, storage, inside)
    size = environment.get("SLUG_SIZE_LIMIT", "")
    request = SlugRequest(
        app=app,
        shown=_shown(app),
        remotes=remotes,
        targets=tuple(map(parse_target, order.outputs)) or _targets(environment, storage),
        types=parse_target(order.types) if order.types else _types(environment, storage),
        config_vars={**own, **order.config_vars},
        buildpacks=order.buildpacks,
        required=environment.get("REQUIRED_BUILDPACKS", ""),
        cache=_cache(order, environment, storage, remotes, ports, app),
        clear_cache=order.clear_cache,
        stack=order.stack or environment.get("STACK", ""),
        source_version=order.source_version or environment.get("SOURCE_VERSION", ""),
        request_id=environment.get("REQUEST_ID", ""),
        max_size=order.max_size if order.max_size is not None else parse_size(size) if size else SIZE_LIMIT,
        created=_created(environment),
    )
    return request, order.log or environment.get("PYLIFE_SLUG_LOG") or _log(environment, inside)


def _storage(environment: Mapping[str, str]) -> Storage | None:
    """The store in which TAR_PATH and PUT_PATH are keys. Raises BadStorage.

    BlueKing's platform gives its builders both URLs and keys: where each key has a URL that says the same, and nothing
    describes a store, the keys are for another program.
    """
    keys = {"TAR_PATH": "SOURCE_GET_URL", "PUT_PATH": "SLUG_SET_URL"}
    given = [url for key, url in keys.items() if environment.get(key)]
    described = any(environment.get(name) for name in ("BUILDER_STORAGE", "SLUG_BUCKET")) or CREDENTIALS.is_dir()
    if not given or (not described and all(environment.get(url) for url in given)):
        return None
    return open_storage(environment)


def _log(environment: Mapping[str, str], inside: bool) -> str:
    """Whose words the reader of the log expects, by the variables that it set."""
    if any(environment.get(name) for name in ("SLUG_SET_URL", "PILOT_BUILDER_TIMEOUT")):
        return "slug-pilot"
    if any(environment.get(name) for name in ("TAR_PATH", "PUT_PATH")):
        return "slugbuilder"
    return "herokuish" if inside else "pylife"


def _app(environment: Mapping[str, str], storage: Storage | None, inside: bool) -> str:
    if url := environment.get("SOURCE_GET_URL"):
        return url
    if (key := environment.get("TAR_PATH")) and storage is not None:
        return storage.address(key)
    if not inside:
        return "."
    paths = container_paths(environment)
    filled = [place for place in (paths.imported, paths.app) if os.path.isdir(place) and os.listdir(place)]
    if not filled and not has_input():
        why = f"{paths.imported} and {paths.app} hold nothing, SOURCE_GET_URL and TAR_PATH are not set"
        raise NoSource("There is no app to build", why=f"{why}, and standard input is empty")
    return filled[0] if filled else "-"


def _shown(app: str) -> str:
    """The place as people may see it: of an address neither the query, which may be a signature, nor a password."""
    if app == "-":
        return "standard input"
    if is_url(app):
        return str(UrlTarget(app))
    return shown_url(app) if "://" in app else app


def _targets(environment: Mapping[str, str], storage: Storage | None) -> tuple[Target, ...]:
    targets: list[Target] = []
    if url := environment.get("SLUG_SET_URL"):
        targets.append(parse_target(url))
    if (key := environment.get("PUT_PATH")) and storage is not None:
        targets.append(ObjectTarget(storage.address(f"{key}/slug.tgz")))
    return tuple(targets)


def _types(environment: Mapping[str, str], storage: Storage | None) -> Target | None:
    key = environment.get("PUT_PATH")
    return ObjectTarget(storage.address(f"{key}/Procfile")) if key and storage is not None else None


def _cache(
    order: SlugOrder,
    environment: Mapping[str, str],
    storage: Storage | None,
    remotes: Remotes,
    ports: Ports,
    app: str,
) -> CacheStore | None:
    """Where the cache is: as the command line says, as the environment says, else a folder of the app's own."""
    scratch = _sending(ports)
    if order.cache == "off":
        return None
    if order.cache:
        return parse_cache(order.cache, remotes, ports)
    get_url, put_url = environment.get("CACHE_GET_URL", ""), environment.get("CACHE_SET_URL", "")
    if get_url or put_url:
        return url_cache(get_url, put_url, remotes, scratch)
    if storage is not None:
        key = environment.get("CACHE_PATH")
        return object_cache(storage.address(f"{key}/cache.tgz"), remotes, scratch) if key else None
    if is_inside(environment):
        return None  # the directory itself is what stays there: a volume
    source = _shown(app) if "://" in app else os.path.abspath(app)  # a signature is another one each time
    folder = slug_caches(ports) / hashlib.sha256(os.fsencode(source)).hexdigest()[:16]
    with suppress(OSError):
        os.utime(folder)  # it is in use: what no build has used for a month goes
    return folder_cache(folder, remotes)


def slug_caches(ports: Ports) -> Path:
    """Where the caches of slug builds are that were given no other place: a folder for each source."""
    return ports.caches / "slugs"


def parse_cache(text: str, remotes: Remotes, ports: Ports) -> CacheStore:
    """The cache that --cache names: a folder, ``GET,PUT`` URLs, ``s3://…``, or an image's place (``oci:``, …)."""
    scratch = _sending(ports)
    if is_url(text):
        get_url, *others = _COMMA.split(text, maxsplit=1)
        return url_cache(get_url, others[0] if others else get_url, remotes, scratch)
    if text.startswith("s3://"):
        return object_cache(text, remotes, scratch)
    if text.startswith(("oci:", "docker://")):
        return ImageCache(parse_place(text), ports.images(), ports.sink)
    return folder_cache(Path(text), remotes)


def _sending(ports: Ports) -> Path:
    """Where archives of caches are made: not among the throw-away directories, of which every build that begins removes
    what nobody has locked."""
    return ports.home / "remotes" / "sending"


def _created(environment: Mapping[str, str]) -> int:
    text = environment.get("SOURCE_DATE_EPOCH", "")
    if text and not (text.isascii() and text.isdigit() and int(text) <= _LATEST):
        raise UsageError(f"SOURCE_DATE_EPOCH is {text!r}, not a number of seconds", fix="Give a number, or unset it.")
    return int(text) if text else EPOCH


def _seconds(text: str) -> float | None:
    """Seconds in a duration of Go's (``15m``, ``1m30s``); None, which is no limit, for no text and for nothing."""
    if not text:
        return None
    text = text.strip()
    if _DURATION.sub("", text) not in ("", "0"):
        raise UsageError(f"PILOT_BUILDER_TIMEOUT is {text!r}, not a duration", fix="Write it as 15m or 1h30m.")
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text)) or None
