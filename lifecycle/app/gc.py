"""Freeing what nothing needs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator

from lifecycle.app.ports import Ports
from lifecycle.graph import LocalCache
from lifecycle.image import Image, StorePlace, load, select
from lifecycle.oci import Digest
from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True)
class Freed:
    """What one collector removed: how many of which things, and the bytes that they took on disk."""

    things: str
    count: int
    bytes: int


def step_cache(ports: Ports) -> LocalCache:
    """The results of Dockerfile steps on this machine."""
    return LocalCache(ports.caches / "graph", ports.store)


def _from_store(ports: Ports) -> list[Freed]:
    """Records of the build graph's cache that are of no use any more, then blobs that no image or record needs."""
    cache = step_cache(ports)
    records = 0

    def needed() -> Iterator[Digest]:
        nonlocal records
        records = cache.collect()
        yield from (layer.descriptor.digest for layer in cache.layers())

    report = ports.store.gc(needed)
    return [
        Freed("blobs and leftovers", report.blobs + report.partial_files, report.bytes),
        Freed("cached steps", records, 0),
    ]


def _from_snapshots(ports: Ports) -> list[Freed]:
    """Unpacked layers that are in no image of the store and no cached step, and what killed builds left."""
    if not any((ports.home / name).is_dir() for name in ("snapshots", "scratch")):
        return []
    from lifecycle.app.dockerfile.failed import failed_steps
    from lifecycle.app.engine import enter_rung
    from lifecycle.snapshot import Yard, collect_snapshots, sweep_snapshots

    enter_rung(ports)  # trees of lent ids can only be removed inside the namespace
    wanted = {str(layer) for layer in _known_layers(ports)}
    wanted |= {str(layer) for step in failed_steps(ports) for layer in step.layers}
    before = _free(ports)
    count = sweep_snapshots(ports.home) + collect_snapshots(ports.home, lambda diff_id: diff_id in wanted)
    count += Yard(str(ports.home / "scratch")).sweep()
    return [Freed("unpacked layers", count, max(_free(ports) - before, 0))]


def _from_failed(ports: Ports) -> list[Freed]:
    """Root filesystems of steps that failed, whose layers go with the unpacked ones; builds that nobody repeats."""
    from lifecycle.app.dockerfile import failed, memo

    return [Freed("failed steps", failed.forget_old(ports), 0), Freed("remembered builds", memo.forget_old(ports), 0)]


def _from_caches(ports: Ports) -> list[Freed]:
    """Build caches of images that the store does not have any more; those of archives and layouts stay."""
    from lifecycle.phases.cache import BuildCache, cache_owner

    names = {ref.name for ref, _ in ports.store.items()}
    before, count = _free(ports), 0
    for directory in sorted(ports.caches.iterdir()) if ports.caches.is_dir() else ():
        owner = cache_owner(directory)
        if not owner or owner in names:
            continue
        with BuildCache(directory) as cache:
            cache.clear()
        count += 1
    return [Freed("build caches", count, max(_free(ports) - before, 0))]


def _from_shared(ports: Ports) -> list[Freed]:
    """Downloads of package managers that no build has used in a month, or that are more than is kept."""
    if not (ports.caches / "shared").is_dir():
        return []
    from lifecycle.app.engine import enter_rung
    from lifecycle.app.shared_cache import collect_shared

    enter_rung(ports)  # trees of lent ids can only be removed inside the namespace
    before = _free(ports)
    count = collect_shared(ports)
    return [Freed("shared downloads", count, max(_free(ports) - before, 0))] if count else []


def _from_slugs(ports: Ports) -> list[Freed]:
    """Caches of slug builds that no build has used in a month; those at places of their own stay."""
    from lifecycle.app.shared_cache import KEPT_SECONDS
    from lifecycle.app.slug.order import slug_caches

    top, before = slug_caches(ports), _free(ports)
    old = [path for path in top.glob("*/") if time.time() - path.stat().st_mtime > KEPT_SECONDS]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return [Freed("caches of slugs", len(old), max(_free(ports) - before, 0))] if old else []


def _from_remotes(ports: Ports) -> list[Freed]:
    """Downloads and clones that no build has asked for in a week."""
    from lifecycle.source.forget import forget_remotes

    before = _free(ports)
    count = forget_remotes(ports.home / "remotes")
    return [Freed("downloads and clones", count, max(_free(ports) - before, 0))] if count else []


# In order: what the store no longer has, unpacked layers and caches need not keep either.
COLLECTORS: tuple[Callable[[Ports], list[Freed]], ...] = (
    _from_failed,
    _from_store,
    _from_snapshots,
    _from_caches,
    _from_shared,
    _from_slugs,
    _from_remotes,
)


def _known_layers(ports: Ports) -> Iterator[Digest]:
    yield from (layer.diff_id for layer in step_cache(ports).layers())
    for ref, _ in ports.store.items():  # noqa: PERF102  (no dict)
        found = load(StorePlace(ref), ports.images(offline=True))
        images = [found] if isinstance(found, Image) else [select(found, platform) for platform in found.platforms]
        for image in images:
            yield from image.config.diff_ids


def _free(ports: Ports) -> int:
    """Bytes free on the disk of $PYLIFE_HOME: what a removal gives back is seen there."""
    return shutil.disk_usage(ports.home).free


def collect(ports: Ports) -> list[Freed]:
    """Remove what no image needs; raises StoreBusy, having removed nothing, while another pylife works."""
    return [freed for collector in COLLECTORS for freed in collector(ports)]
