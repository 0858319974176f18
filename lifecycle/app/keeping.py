"""Where a built image goes: the local store under every name, and the registries that its names say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lifecycle.image.places import Place, RegistryPlace, StorePlace, parse_place, send
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.app.ports import Ports
    from lifecycle.image.image import Image, ImageIndex
    from lifecycle.image.transfer import Transfer


@dataclass(frozen=True, slots=True)
class Sent:
    """One place the image was put into, and what that took."""

    place: Place
    transfer: Transfer
    pushed: bool = False


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where an image shall be: ``kept`` on this machine, ``pushed`` to registries."""

    kept: tuple[Place, ...]
    pushed: tuple[RegistryPlace, ...]

    @classmethod
    def of(cls, names: Sequence[str], push: bool | None) -> Destinations:
        """The places that the names say. ``push`` None means: where a name says a registry.

        Raises BadPlace, NoDaemon, BadReference.
        """
        places = [parse_place(name) for name in names]
        kept = tuple(StorePlace(item.ref) if isinstance(item, RegistryPlace | StorePlace) else item for item in places)
        pushed = []
        for place in places:
            match place:
                case RegistryPlace(ref) if push is not False:
                    pushed.append(RegistryPlace(ref))
                case StorePlace(ref) if push:
                    pushed.append(RegistryPlace(ref))
        return cls(kept, tuple(pushed))

    def receive(self, image: Image | ImageIndex, ports: Ports) -> tuple[Sent, ...]:
        """Put the image everywhere, the store first: layers that a registry has and gets again stay there."""
        images, lazy = ports.images(), bool(self.pushed)
        kept = [Sent(place, send(image, place, images, ports.sink, lazy=lazy)) for place in self.kept]
        pushed = [Sent(place, send(image, place, images, ports.sink), pushed=True) for place in self.pushed]
        return (*kept, *pushed)
