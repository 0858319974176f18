"""Manifests and indexes, in both media-type dialects, with their bytes kept verbatim.

Source: OCI image-spec v1.1, manifest.md and image-index.md; Docker image manifest v2 schema 2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field

from lifecycle.oci import mediatypes
from lifecycle.oci.descriptor import Descriptor
from lifecycle.oci.digest import Digest
from lifecycle.oci.errors import BadDocument
from lifecycle.oci.mediatypes import Dialect
from lifecycle.oci.platform import Platform
from lifecycle.record import dataclass

SIZE_LIMIT = 8 << 20
"""Bytes of the largest manifest that is read (registries commonly stop at 4 MiB)."""


def _object(raw: bytes, what: str) -> dict[str, object]:
    if len(raw) > SIZE_LIMIT:
        raise BadDocument(f"A {what} is larger than {SIZE_LIMIT >> 20} MiB")
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        begin = raw[:40].decode("utf-8", "replace")
        raise BadDocument(f"A {what} is not JSON", why=f"it begins with {begin!r}") from error
    if not isinstance(data, dict):
        raise BadDocument(f"A {what} must be a JSON object")
    return data


def _encode(data: Mapping[str, object]) -> bytes:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()


def _annotations(data: Mapping[str, object]) -> dict[str, str]:
    value = data.get("annotations") or {}
    if not isinstance(value, Mapping):
        raise BadDocument("A document's annotations are no JSON object")
    return {str(key): str(item) for key, item in value.items()}


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image (or artifact): its config and its layers, bottom first. ``raw`` is what the digest is taken of."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    raw: bytes = field(repr=False)
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    subject: Descriptor | None = None
    artifact_type: str = ""

    @classmethod
    def parse(cls, raw: bytes, media_type: str | None = None) -> Manifest:
        """The manifest in ``raw``. ``media_type`` is what the transport said; the document's own word wins."""
        data = _object(raw, "manifest")
        if data.get("schemaVersion") != 2:
            raise BadDocument("A manifest's schemaVersion is not 2", why=f"it is {data.get('schemaVersion')!r}")
        if "manifests" in data:
            raise BadDocument("A manifest holds a list of manifests", why="an index is not a manifest")
        kind = str(data.get("mediaType") or media_type or mediatypes.OCI_MANIFEST)
        if kind not in mediatypes.MANIFESTS:
            raise BadDocument(f"{kind!r} is not the media type of an image manifest")
        layers = data.get("layers")
        if not isinstance(layers, Sequence) or isinstance(layers, str):
            raise BadDocument("A manifest has no list of layers")
        subject = data.get("subject")
        return cls(
            media_type=kind,
            config=Descriptor.from_json(data.get("config")),
            layers=tuple(Descriptor.from_json(layer) for layer in layers),
            raw=raw,
            annotations=_annotations(data),
            subject=Descriptor.from_json(subject) if subject else None,
            artifact_type=str(data.get("artifactType") or ""),
        )

    @classmethod
    def build(
        cls,
        dialect: Dialect,
        config: Descriptor,
        layers: Sequence[Descriptor],
        annotations: Mapping[str, str] | None = None,
        subject: Descriptor | None = None,
        artifact_type: str = "",
    ) -> Manifest:
        """A new manifest, encoded compactly in the specification's property order: same input, same bytes."""
        data: dict[str, object] = {"schemaVersion": 2, "mediaType": dialect.manifest}
        if artifact_type:
            data["artifactType"] = artifact_type
        data["config"] = config.to_json()
        data["layers"] = [layer.to_json() for layer in layers]
        if subject:
            data["subject"] = subject.to_json()
        if annotations:
            data["annotations"] = dict(sorted(annotations.items()))
        return cls(
            dialect.manifest, config, tuple(layers), _encode(data), dict(annotations or {}), subject, artifact_type
        )

    @property
    def dialect(self) -> Dialect:
        return Dialect.of(self.media_type)

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(self.media_type, self.digest, len(self.raw))


@dataclass(frozen=True, slots=True)
class Index:
    """Several manifests under one name, usually one per platform. ``raw`` is what the digest is taken of."""

    media_type: str
    manifests: tuple[Descriptor, ...]
    raw: bytes = field(repr=False)
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, raw: bytes, media_type: str | None = None) -> Index:
        """The index in ``raw``; raises BadDocument when it is none."""
        data = _object(raw, "index")
        if data.get("schemaVersion") != 2:
            raise BadDocument("An index's schemaVersion is not 2", why=f"it is {data.get('schemaVersion')!r}")
        kind = str(data.get("mediaType") or media_type or mediatypes.OCI_INDEX)
        if kind not in mediatypes.INDEXES:
            raise BadDocument(f"{kind!r} is not the media type of an index")
        manifests = data.get("manifests")
        if not isinstance(manifests, Sequence) or isinstance(manifests, str):
            raise BadDocument("An index has no list of manifests")
        return cls(kind, tuple(Descriptor.from_json(item) for item in manifests), raw, _annotations(data))

    @classmethod
    def build(
        cls, dialect: Dialect, manifests: Sequence[Descriptor], annotations: Mapping[str, str] | None = None
    ) -> Index:
        """A new index, encoded compactly: same input, same bytes."""
        data: dict[str, object] = {
            "schemaVersion": 2,
            "mediaType": dialect.index,
            "manifests": [item.to_json() for item in manifests],
        }
        if annotations:
            data["annotations"] = dict(sorted(annotations.items()))
        return cls(dialect.index, tuple(manifests), _encode(data), dict(annotations or {}))

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(self.media_type, self.digest, len(self.raw))

    def select(self, wanted: Platform) -> Descriptor | None:
        """The first manifest for ``wanted``, an exact variant preferred; attestations (unknown/unknown) never match."""
        images = [item for item in self.manifests if item.media_type in mediatypes.MANIFESTS | mediatypes.INDEXES]
        fitting = [item for item in images if item.platform and item.platform.satisfies(wanted)]
        exact = [item for item in fitting if item.platform and item.platform.variant == wanted.variant]
        if exact or fitting:
            return (exact or fitting)[0]
        if len(images) == 1 and images[0].platform is None:
            return images[0]
        return None


def parse_document(raw: bytes, media_type: str | None = None) -> Manifest | Index:
    """A manifest or an index, told apart by media type and, failing that, by the document's properties."""
    data = _object(raw, "manifest")
    kind = str(data.get("mediaType") or media_type or "")
    if kind in mediatypes.INDEXES or (kind not in mediatypes.MANIFESTS and "manifests" in data):
        return Index.parse(raw, media_type)
    return Manifest.parse(raw, media_type if media_type in mediatypes.MANIFESTS else None)
