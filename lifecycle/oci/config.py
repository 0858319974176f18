"""The image configuration: what a container made of the image starts with, and what its layers are.

Source: OCI image-spec v1.1, config.md. Unknown properties are kept, so that an edit loses nothing.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from lifecycle.oci.digest import Digest
from lifecycle.oci.errors import BadDocument
from lifecycle.oci.platform import Platform
from lifecycle.record import dataclass

_CONTAINER_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("Env", "Entrypoint", "Cmd"), (list, str)),
    **dict.fromkeys(("ExposedPorts", "Volumes"), (dict, list)),
    "Labels": (dict,),
}


@dataclass(frozen=True, slots=True)
class History:
    """How one layer, or one change without a layer (``empty_layer``), came to be."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> History:
        return cls(
            str(data.get("created") or ""),
            str(data.get("created_by") or ""),
            str(data.get("author") or ""),
            str(data.get("comment") or ""),
            bool(data.get("empty_layer")),
        )

    def to_json(self) -> dict[str, object]:
        fields = {
            "created": self.created,
            "created_by": self.created_by,
            "author": self.author,
            "comment": self.comment,
            "empty_layer": self.empty_layer,
        }
        return {key: value for key, value in fields.items() if value}


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """An image configuration as a value: read with the properties, change with the ``with_…`` functions.

    ``data`` is the decoded document (never mutate it); ``raw`` its verbatim bytes, from which the digest is taken.
    """

    data: Mapping[str, Any] = field(hash=False)
    raw: bytes = field(repr=False)

    @classmethod
    def parse(cls, raw: bytes) -> ImageConfig:
        """The configuration in ``raw``; raises BadDocument when it is no JSON object with a valid rootfs."""
        try:
            data = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise BadDocument("An image configuration is not JSON") from error
        if not isinstance(data, dict):
            raise BadDocument("An image configuration must be a JSON object")
        config = cls(data, raw)
        _ = config.diff_ids, config.history
        container = data.get("config") or {}
        if not isinstance(container, Mapping):
            raise BadDocument("The property 'config' of an image configuration is no JSON object")
        for key, kinds in _CONTAINER_TYPES.items():
            if container.get(key) and not isinstance(container[key], kinds):
                raise BadDocument(f"The property 'config.{key}' of an image configuration is of the wrong type")
        return config

    @classmethod
    def build(cls, data: Mapping[str, Any]) -> ImageConfig:
        """A configuration of ``data``, encoded compactly with sorted keys: same input, same bytes."""
        clean = copy.deepcopy(dict(data))
        raw = json.dumps(clean, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()
        return cls(clean, raw)

    @classmethod
    def empty(cls, platform: Platform) -> ImageConfig:
        """The configuration of an image without layers (``FROM scratch``)."""
        return cls.build({**platform.to_json(), "config": {}, "rootfs": {"type": "layers", "diff_ids": []}})

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)

    @property
    def platform(self) -> Platform:
        return Platform.from_json(self.data)

    @property
    def created(self) -> str:
        return str(self.data.get("created") or "")

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The digests of the uncompressed layers, bottom first."""
        rootfs = self.data.get("rootfs") or {}
        if not isinstance(rootfs, Mapping):
            raise BadDocument("The rootfs of an image configuration is no JSON object")
        diff_ids = rootfs.get("diff_ids") or ()
        if isinstance(diff_ids, str) or not isinstance(diff_ids, Sequence):
            raise BadDocument("The diff_ids of an image configuration are no list")
        return tuple(Digest.parse(item) for item in diff_ids)

    @property
    def history(self) -> tuple[History, ...]:
        items = self.data.get("history") or ()
        if isinstance(items, str) or not isinstance(items, Sequence):
            raise BadDocument("The history of an image configuration is no list")
        return tuple(History.from_json(item) for item in items if isinstance(item, Mapping))

    def _container(self) -> Mapping[str, Any]:
        value = self.data.get("config") or {}
        return value if isinstance(value, Mapping) else {}

    def _strings(self, key: str) -> tuple[str, ...]:
        value = self._container().get(key) or ()
        return (value,) if isinstance(value, str) else tuple(str(item) for item in value)

    @property
    def env(self) -> dict[str, str]:
        """The environment, in the document's order; a name without ``=`` has an empty value."""
        return {item.partition("=")[0]: item.partition("=")[2] for item in self._strings("Env")}

    @property
    def entrypoint(self) -> tuple[str, ...]:
        return self._strings("Entrypoint")

    @property
    def cmd(self) -> tuple[str, ...]:
        return self._strings("Cmd")

    @property
    def working_dir(self) -> str:
        return str(self._container().get("WorkingDir") or "")

    @property
    def user(self) -> str:
        return str(self._container().get("User") or "")

    @property
    def stop_signal(self) -> str:
        return str(self._container().get("StopSignal") or "")

    @property
    def exposed_ports(self) -> tuple[str, ...]:
        return tuple(self._container().get("ExposedPorts") or ())

    @property
    def volumes(self) -> tuple[str, ...]:
        return tuple(self._container().get("Volumes") or ())

    @property
    def labels(self) -> dict[str, str]:
        return {str(key): str(value) for key, value in (self._container().get("Labels") or {}).items()}

    def with_data(self, **changes: Any) -> ImageConfig:
        """A copy with top-level properties replaced; a value of None removes the property."""
        data = {**self.data, **changes}
        return ImageConfig.build({key: value for key, value in data.items() if value is not None})

    def with_container(self, **changes: Any) -> ImageConfig:
        """A copy with properties of ``config`` (Env, Labels, User, …) replaced; None removes the property."""
        container = {**self._container(), **changes}
        return self.with_data(config={key: value for key, value in container.items() if value is not None})

    def with_env(self, changes: Mapping[str, str]) -> ImageConfig:
        """A copy with variables set: in place when present, else appended in the order given."""
        env = {**self.env, **changes}
        return self.with_container(Env=[f"{key}={value}" for key, value in env.items()])

    def with_labels(self, changes: Mapping[str, str]) -> ImageConfig:
        """A copy with labels set."""
        return self.with_container(Labels=dict(sorted({**self.labels, **changes}.items())))

    def with_layers(self, diff_ids: Sequence[Digest], history: Sequence[History]) -> ImageConfig:
        """A copy with exactly these layers and this history."""
        return self.with_data(
            rootfs={"type": "layers", "diff_ids": [str(item) for item in diff_ids]},
            history=[item.to_json() for item in history],
        )
