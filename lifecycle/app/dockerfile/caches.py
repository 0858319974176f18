"""The caches of a build: this machine's, those that --cache-from names, and those that --cache-to writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lifecycle.events import Message
from lifecycle.graph.local import LocalCache
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.app.dockerfile.request import DockerfileRequest
    from lifecycle.app.ports import Ports
    from lifecycle.dockerfile.running.caches import CacheDirectory
    from lifecycle.graph.cache import Cache
    from lifecycle.graph.document import Mounts
    from lifecycle.graph.node import Node, Vertex
    from lifecycle.graph.remote import ImageCache
    from lifecycle.graph.solver import Solver
    from lifecycle.graph.spec import CacheTarget
    from lifecycle.image import Layer
    from lifecycle.sandbox import Rung


@dataclass(frozen=True, slots=True)
class StepCaches:
    """Where steps are looked for, in order, and where they are put afterwards.

    ``filled`` are the caches read whose cache mounts are wanted too.
    """

    caches: tuple[Cache, ...]
    targets: tuple[CacheTarget, ...] = ()
    filled: tuple[ImageCache, ...] = ()

    @property
    def inline(self) -> bool:
        """Whether the image itself is to be a cache."""
        return any(target.inline for target in self.targets)

    @property
    def moves_mounts(self) -> bool:
        """Whether cache mounts travel: they can only be touched with the engine open."""
        return bool(self.filled) or any(target.mounts for target in self.targets)


def step_caches(request: DockerfileRequest, ports: Ports) -> StepCaches:
    """The caches that the request asks for; raises BadCacheOption, UnsupportedCache."""
    local = LocalCache(ports.caches / "graph", ports.store)
    to = [*request.cache_to]
    if request.build_args.get("BUILDKIT_INLINE_CACHE", "").lower() in ("1", "t", "true"):
        to.append("type=inline")
    if not (request.cache_from or to or request.cache_repo):
        return StepCaches((local,))
    from lifecycle.graph.exporting import open_cache
    from lifecycle.graph.repository import DEFAULT_TTL, RepositoryCache, cache_repository
    from lifecycle.graph.spec import parse_cache_from, parse_cache_to
    from lifecycle.image.places import OciPlace

    images, caches, filled = ports.images(), [local], []
    for source in map(parse_cache_from, request.cache_from):
        if isinstance(source.place, OciPlace) and not source.place.path.exists():
            ports.sink.emit(Message(f"There is no cache at {source.place} yet", "warning"))
            continue
        cache = open_cache(source, images, ports.sink)
        caches.append(cache)  # type: ignore[arg-type]
        filled += [cache] if source.mounts else []
    if request.cache_repo:
        ttl = DEFAULT_TTL if request.cache_ttl is None else request.cache_ttl
        repository = RepositoryCache(cache_repository(request.cache_repo), images, ttl=ttl, sink=ports.sink)
        caches.append(repository)  # type: ignore[arg-type]
    return StepCaches(tuple(caches), tuple(map(parse_cache_to, to)), tuple(filled))


def export(caches: StepCaches, solver: Solver, targets: Sequence[Vertex], mounts: Mounts, ports: Ports) -> None:
    """Write every cache that is not inline; raises what writing raises, where the cache is not to be forgiving."""
    from lifecycle.graph.exporting import export_cache

    for target in caches.targets:
        if not target.inline:
            records = solver.records(targets, target.mode)
            export_cache(target, records, mounts if target.mounts else (), ports.images(), ports.sink)


# -- cache mounts ------------------------------------------------------------------------------------------------


def fill_mounts(caches: StepCaches, request: DockerfileRequest, ports: Ports, rung: Rung) -> None:
    """Fill cache mounts that are not here yet from the caches that brought some along."""
    from lifecycle.dockerfile.running.caches import cache_directory, import_cache

    for cache in caches.filled:
        for name, layer in cache.mounts():
            place = cache_directory(ports.home, rung.storage_key, name, _namespace(request))
            with layer.uncompressed() as stream:
                import_cache(place, stream, own=rung.ids != "single")


def pack_mounts(nodes: Sequence[Node], request: DockerfileRequest, ports: Ports, rung: Rung) -> Mounts:
    """Every cache mount that the steps use, as a layer of what is in it."""
    from lifecycle.archive.compress import Profile
    from lifecycle.dockerfile.running.caches import export_cache
    from lifecycle.image.layer import write_layer

    found: dict[str, Layer] = {}
    for name, place in _used(nodes, request, ports, rung):
        if name not in found:
            found[name] = write_layer(export_cache(place), ports.store, profile=Profile.parse(request.compression))
    return tuple(found.items())


def _used(
    nodes: Sequence[Node], request: DockerfileRequest, ports: Ports, rung: Rung
) -> Iterator[tuple[str, CacheDirectory]]:
    from lifecycle.dockerfile.operations import RunStep
    from lifecycle.dockerfile.running.caches import cache_directory

    for node in nodes:
        if isinstance(node.operation, RunStep):
            for mount in node.operation.mounts:
                if mount.mount.type == "cache":
                    yield (
                        mount.cache_id,
                        cache_directory(ports.home, rung.storage_key, mount.cache_id, _namespace(request)),
                    )


def _namespace(request: DockerfileRequest) -> str:
    return request.build_args.get("BUILDKIT_CACHE_MOUNT_NS", "")
