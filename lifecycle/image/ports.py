"""What this package needs from outside: the local store, and a registry where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Literal, Protocol

from lifecycle.archive.compress import Profile
from lifecycle.image.errors import NoRegistry
from lifecycle.oci import Descriptor, Digest, Reference
from lifecycle.record import dataclass
from lifecycle.store import LocalStore

Pushed = Literal["exists", "mounted", "uploaded"]


class Registry(Protocol):
    """The part of a registry client that moving images needs; safe to call from several threads."""

    def manifest(self, ref: Reference) -> tuple[bytes, str, Digest]:
        """The document's bytes, its media type as served, its digest (checked)."""
        ...

    def head(self, ref: Reference) -> Descriptor | None: ...

    def put_manifest(self, ref: Reference, raw: bytes, media_type: str, /) -> Digest: ...

    def has_blob(self, ref: Reference, digest: Digest) -> bool:
        """Whether the repository has the blob."""
        ...

    def open_blob(self, ref: Reference, descriptor: Descriptor) -> BinaryIO:
        """The blob's bytes, verified at their end."""
        ...

    def push_blob(
        self,
        ref: Reference,
        descriptor: Descriptor,
        open: Callable[[], BinaryIO],
        mount_from: Reference | None = None,
    ) -> Pushed:
        """Make the repository have the blob; ``mount_from`` counts only when it is of the same registry."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What loading and saving may use. ``profile`` compresses layers that come without a compressed form."""

    store: LocalStore
    registry: Registry | None = None
    profile: Profile = Profile.GZIP_FAST

    def need_registry(self, ref: Reference) -> Registry:
        """The registry; raises NoRegistry when this step has none in reach."""
        if self.registry is None:
            raise NoRegistry(f"{ref.familiar} is not in the local store, and no registry may be asked here")
        return self.registry
