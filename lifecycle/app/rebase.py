"""``pylife rebase`` as a function."""

from __future__ import annotations

from lifecycle.app.ports import Ports
from lifecycle.image import Image
from lifecycle.image.places import RegistryPlace, StorePlace, load_image, locate, parse_place, send
from lifecycle.phases.analyze import RunImage
from lifecycle.phases.rebase import app_metadata, rebase
from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True)
class Rebased:
    """One image before and after; ``changed`` is False when it stood on that run image already."""

    name: str
    before: Image
    after: Image
    run_image: str
    changed: bool
    pushed: bool = False


def rebase_image(
    name: str,
    ports: Ports,
    *,
    run_image: str | None = None,
    dry_run: bool = False,
    force: bool = False,
    push: bool | None = None,
) -> Rebased:
    """Put ``run_image`` (by default the one it was built on, as it is now) under the app image ``name``.

    The result takes the name's place in the store and, when the name says a registry, there too.
    """
    place = locate(name, ports.images())
    image = load_image(place, ports.images())
    metadata = app_metadata(image, name)
    wanted = run_image or metadata.run_image.image or metadata.run_image.reference.partition("@")[0]
    base_place = locate(wanted, ports.images())
    base = load_image(base_place, ports.images(), image.platform)
    named = base_place.ref.name if isinstance(base_place, RegistryPlace | StorePlace) else str(base_place)
    after = rebase(image, RunImage(base, wanted, f"{named}@{base.digest}"), name, force=force)
    changed = after.digest != image.digest
    target = parse_place(name)
    pushed = False
    if changed and not dry_run:
        to_registry = isinstance(target, RegistryPlace) and push is not False
        if isinstance(target, RegistryPlace | StorePlace):
            send(after, StorePlace(target.ref), ports.images(), ports.sink, lazy=to_registry)
        else:
            send(after, target, ports.images(), ports.sink)
        if to_registry:
            send(after, target, ports.images(), ports.sink)
            pushed = True
    return Rebased(name, image, after, wanted, changed, pushed)
