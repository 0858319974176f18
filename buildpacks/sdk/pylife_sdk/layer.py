"""One layer of a buildpack: a directory, its types, and the key that says whether it can stay as it is.

Source: Buildpack API 0.10, "Layer Types"; a restored ``<layer>.toml`` has metadata only, so a layer that is wanted
again must name its types again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from pylife_sdk import toml
from pylife_sdk.context import Build, read_bytes, write_file


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer and what an earlier build left of it.

    ``remembered`` is the key that the earlier build wrote, part by part; None when nothing usable was restored.
    """

    name: str
    path: str
    build: bool
    launch: bool
    cache: bool
    remembered: Mapping[str, str] | None

    def stale(self, key: Mapping[str, str]) -> str | None:
        """Why the restored layer cannot be used for ``key``, as one clause; None when it can."""
        if self.remembered is None:
            return "there is none from an earlier build"
        changed = [part for part in {**self.remembered, **key} if self.remembered.get(part) != key.get(part)]
        if not changed:
            return None
        part = changed[0]
        was, now = self.remembered.get(part), key.get(part)
        if was is None or now is None or len(was) > 40 or len(now) > 40:
            return f"{part} changed"
        return f"{part} changed from {was} to {now}"

    def empty(self) -> str:
        """The path of the layer, now an empty directory."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.makedirs(self.path)
        return self.path

    def commit(self, key: Mapping[str, str]) -> None:
        """Names the layer's types and key: from here on it belongs to the build's result."""
        os.makedirs(self.path, exist_ok=True)
        types = {"build": self.build, "launch": self.launch, "cache": self.cache}
        write_file(self.path + ".toml", toml.dumps({"types": types, "metadata": {"key": dict(key)}}))

    def set_env(self, name: str, value: str, *, when: str = "", mode: str = "default") -> None:
        """Writes an environment file; ``when`` is "", "build" or "launch", ``mode`` a suffix of the contract.

        A file that says so already is not touched, so that a kept layer is seen as unchanged.
        """
        directory = os.path.join(self.path, f"env.{when}" if when else "env")
        path = os.path.join(directory, f"{name}.{mode}")
        if not os.path.exists(path) or read_bytes(path) != value.encode(errors="surrogateescape"):
            os.makedirs(directory, exist_ok=True)
            write_file(path, value)

    def write_sbom(self, extension: str, document: str) -> None:
        """Places an SBOM document beside the layer; ``extension`` is "cdx" or "spdx"."""
        write_file(f"{self.path}.sbom.{extension}.json", document)

    def has_sbom(self) -> bool:
        """Whether the documents of an earlier build were restored."""
        return all(os.path.exists(f"{self.path}.sbom.{extension}.json") for extension in ("cdx", "spdx"))


def open_layer(build: Build, name: str, *, at_build: bool = False, launch: bool = False, cache: bool = False) -> Layer:
    """The layer ``name`` with what was restored of it; a description without its directory counts as nothing."""
    path = os.path.join(build.layers, name)
    remembered = None
    if os.path.isdir(path) and os.path.exists(path + ".toml"):
        import tomllib

        with open(path + ".toml", "rb") as file:
            key = tomllib.load(file).get("metadata", {}).get("key")
        if isinstance(key, dict):
            remembered = {part: str(value) for part, value in key.items()}
    return Layer(name, path, at_build, launch, cache, remembered)
