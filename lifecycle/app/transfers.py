"""Images on the move, by name: push, pull, export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lifecycle.app.local import find, need
from lifecycle.app.ports import Ports
from lifecycle.archive import SupportsWrite, write_tar
from lifecycle.errors import UsageError
from lifecycle.events import step
from lifecycle.image.filesystem import filesystem
from lifecycle.image.places import RegistryPlace, StorePlace, copy, load_image, parse_place
from lifecycle.oci import Digest, Platform, Reference
from lifecycle.store import Partial


class NoRegistryNamed(UsageError):
    """A push was asked for to a name that says no registry."""

    code = "image.no-registry-named"
    fix = "Name the destination with its registry, for example `pylife push demo localhost:5000/demo`."


def push(
    ref: Reference, destinations: Sequence[str], ports: Ports, platform: Platform | None = None
) -> list[tuple[Reference, Digest]]:
    """Send an image of the store to registries, in order: to those named, else to the one in its own name.

    Returns each name with the digest that it has there. Raises ImageNotFound and NoRegistryNamed before anything is
    sent.
    """
    need(ports.store, ref)
    targets = [_target(text) for text in destinations or (ref.familiar,)]
    done = []
    for target in targets:
        moved = copy(StorePlace(ref.with_default_tag()), target, ports.images(), ports.sink, platform)
        done.append((target.ref, moved.descriptor.digest))
    return done


def _target(text: str) -> RegistryPlace:
    place = parse_place(text)
    match place:
        case RegistryPlace():
            return place
        case StorePlace():
            raise NoRegistryNamed(f"{text!r} names no registry to push to")
        case _:
            raise NoRegistryNamed(f"{text!r} is no registry", fix="`pylife copy` writes to other places.")


def pull(ref: Reference, ports: Ports, platform: Platform | None) -> Digest:
    """Fetch an image into the store under its name; None as ``platform`` fetches an index whole."""
    named = ref.with_default_tag()
    return copy(RegistryPlace(named), StorePlace(named), ports.images(), ports.sink, platform).descriptor.digest


def export_stream(name: str, out: SupportsWrite, ports: Ports, platform: Platform) -> None:
    """Write the merged filesystem of an image as a tar archive."""
    images = ports.images()
    place = find(name, images)
    with step(ports.sink, "export", f"Exporting {place}"):
        write_tar(filesystem(load_image(place, images, platform).layers), out)


def export_file(name: str, path: Path, ports: Ports, platform: Platform) -> None:
    """As ``export_stream``, to a file that appears when it is whole."""
    with Partial(path.parent) as out:
        export_stream(name, out, ports, platform)
        out.keep(path)
