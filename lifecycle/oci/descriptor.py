"""Descriptors: how one document names another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace

from lifecycle.oci.digest import Digest
from lifecycle.oci.errors import BadDocument
from lifecycle.oci.platform import Platform
from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Where bytes are named but not held: the edge between a manifest and a blob.

    ``size`` is in bytes of the *stored* (usually compressed) form.
    Source: OCI image-spec v1.1, descriptor.md, "Properties".
    """

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    artifact_type: str = ""

    @classmethod
    def from_json(cls, data: object) -> Descriptor:
        """The descriptor in a decoded JSON object; raises BadDocument naming the faulty property."""
        if not isinstance(data, Mapping):
            raise BadDocument("A descriptor must be a JSON object")
        size = data.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise BadDocument("A descriptor has no valid size", why=f"it is {size!r}")
        media_type = data.get("mediaType")
        if not isinstance(media_type, str) or not media_type:
            raise BadDocument("A descriptor has no mediaType")
        platform = data.get("platform")
        annotations = data.get("annotations") or {}
        if not isinstance(annotations, Mapping):
            raise BadDocument("A descriptor's annotations are no JSON object")
        return cls(
            media_type=media_type,
            digest=Digest.parse(data.get("digest")),
            size=size,
            annotations={str(key): str(value) for key, value in annotations.items()},
            platform=Platform.from_json(platform) if isinstance(platform, Mapping) else None,
            urls=tuple(str(url) for url in data.get("urls") or ()),
            artifact_type=str(data.get("artifactType") or ""),
        )

    def to_json(self) -> dict[str, object]:
        """The JSON object, in the property order of the specification; empty properties are left out."""
        result: dict[str, object] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.urls:
            result["urls"] = list(self.urls)
        if self.annotations:
            result["annotations"] = dict(sorted(self.annotations.items()))
        if self.platform:
            result["platform"] = self.platform.to_json()
        if self.artifact_type:
            result["artifactType"] = self.artifact_type
        return result

    def with_annotations(self, annotations: Mapping[str, str]) -> Descriptor:
        """A copy with exactly these annotations."""
        return replace(self, annotations=dict(annotations))
