"""The local store for people: what is in it, and names given and taken."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from lifecycle.errors import PylifeError
from lifecycle.image.errors import ImageNotFound
from lifecycle.image.image import Image, ImageIndex
from lifecycle.image.places import Place, RegistryPlace, locate
from lifecycle.image.ports import Ports
from lifecycle.image.source import StoreSource, read
from lifecycle.oci import Descriptor, ImageConfig, Platform, Reference
from lifecycle.record import dataclass
from lifecycle.store import LocalStore


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One name of the local store and what it stands for.

    ``size`` is in bytes as stored, None for an index; ``fault`` says why the rest could not be read.
    """

    ref: Reference
    descriptor: Descriptor
    platforms: tuple[str, ...] = ()
    layers: int | None = None
    size: int | None = None
    fault: str | None = None

    def as_dict(self) -> dict[str, object]:
        """The image as plain data."""
        fields: dict[str, object] = {
            "name": self.ref.familiar,
            "digest": str(self.descriptor.digest),
            "media_type": self.descriptor.media_type,
            "platforms": list(self.platforms),
            "layers": self.layers,
            "size": self.size,
            "fault": self.fault,
        }
        return {key: value for key, value in fields.items() if value is not None}


def list_images(store: LocalStore) -> list[StoredImage]:
    """Every name in the store, sorted; an image that cannot be read is listed with its fault."""
    return [_look(store, ref, descriptor) for ref, descriptor in store.items()]


def _look(store: LocalStore, ref: Reference, descriptor: Descriptor) -> StoredImage:
    try:
        found = read(StoreSource(descriptor, store))
    except PylifeError as error:
        return StoredImage(ref, descriptor, fault=str(error))
    if isinstance(found, ImageIndex):
        return StoredImage(ref, descriptor, tuple(str(item) for item in found.platforms))
    return StoredImage(ref, descriptor, (str(found.platform),), len(found.layers), found.size)


def need(store: LocalStore, ref: Reference) -> Descriptor:
    """The image of that name; raises ImageNotFound that says what the store has."""
    descriptor = store.get(ref)
    if descriptor is None:
        raise not_in_store(ref, [known.familiar for known, _ in store.items()])
    return descriptor


def stored_config(name: str, store: LocalStore) -> ImageConfig | None:
    """The configuration of the image ``name`` for this host; None when the store has none, or none that is readable."""
    try:
        descriptor = store.get(Reference.parse(name))
        image = read(StoreSource(descriptor, store), platform=Platform.host()) if descriptor else None
    except PylifeError:
        return None
    return image.config if isinstance(image, Image) else None


def find(name: str, ports: Ports) -> Place:
    """Where the image ``name`` is: the local store when it has it, else the place that the name says.

    A bare name that the store does not have is never asked for at a registry. Raises ImageNotFound for it.
    """
    place = locate(name, ports)
    if isinstance(place, RegistryPlace) and not place.ref.explicit and not name.startswith("docker://"):
        need(ports.store, place.ref)
    return place


def not_in_store(ref: Reference, known: Sequence[str]) -> ImageNotFound:
    """The refusal of a name that the store does not have, among those that it has."""
    wanted = ref.with_default_tag().familiar
    # without the tag that everyone has, or two short names would look alike
    near = difflib.get_close_matches(
        wanted.removesuffix(":latest"), [name.removesuffix(":latest") for name in known], 1
    )
    shown = ", ".join(known[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")
    return ImageNotFound(
        f"There is no image {wanted} in the local store",
        why=f"it has {shown}" if known else "it is empty",
        fix=f"Did you mean `{near[0]}`?" if near else None,
    )


def tag(store: LocalStore, existing: Reference, new: Reference) -> Descriptor:
    """Give an image of the store another name, which then stands for it only; raises ImageNotFound."""
    with store.hold():
        descriptor = need(store, existing)
        store.put(new.with_default_tag(), descriptor)
    return descriptor


def remove(store: LocalStore, refs: Sequence[Reference]) -> None:
    """Take names away, all of them or none; raises ImageNotFound. What they stood for goes with the next ``gc``."""
    for ref in refs:
        need(store, ref)
    for ref in refs:
        store.remove(ref)
