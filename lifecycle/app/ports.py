"""The ports, opened from settings when first used: local store, registries, and the folders under $PYLIFE_HOME."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

from lifecycle.app.settings import Settings
from lifecycle.events import NullSink, Sink

if TYPE_CHECKING:
    from lifecycle.image.ports import Ports as ImagePorts
    from lifecycle.image.ports import Registry
    from lifecycle.registry import RegistryClient, RegistrySettings
    from lifecycle.source.remotes import Remotes, Secrets
    from lifecycle.store import LocalStore


class Ports:
    """What an act works on. Opening nothing costs nothing: a port's package is imported with its first use.

    Thread-safe. Close it, or use it in ``with``, to close the connections to registries.
    """

    def __init__(self, settings: Settings, sink: Sink) -> None:
        self.settings = settings
        self.sink = sink
        self._lock = threading.Lock()
        self._store: LocalStore | None = None
        self._registry: RegistryClient | None = None

    @property
    def home(self) -> Path:
        """Where all state lives."""
        return self.settings.home.value

    @property
    def snapshots(self) -> Path:
        """Where unpacked layers live."""
        return self.home / "snapshots"

    @property
    def caches(self) -> Path:
        """Where build caches live, a folder for each key."""
        return self.home / "cache"

    @property
    def store(self) -> LocalStore:
        """The local image store; made when it is not there yet."""
        with self._lock:
            if self._store is None:
                from lifecycle.store import LocalStore

                self._store = LocalStore(self.home / "store")
            return self._store

    @property
    def registry(self) -> RegistryClient:
        """All registries, with this user's credentials. Raises BadAuthVariable for a malformed CNB_REGISTRY_AUTH."""
        with self._lock:
            if self._registry is None:
                from lifecycle.registry import RegistryClient, default_keychain

                self._registry = RegistryClient(registry_settings(self.settings), default_keychain(), self.sink)
            return self._registry

    def images(self, *, offline: bool = False) -> ImagePorts:
        """What loading and saving images works on; without registries when ``offline``.

        Raises BadProfile for a compression that does not exist.
        """
        from lifecycle.archive import Profile
        from lifecycle.image.ports import Ports as ImagePorts

        profile = Profile.parse(self.settings.compression.value)
        registry = None if offline else cast("Registry", _OnDemand(lambda: self.registry))
        return ImagePorts(self.store, registry, profile)

    def remotes(self, secrets: Secrets | None = None) -> Remotes:
        """What reaching sources elsewhere takes, with this process's environment."""
        from lifecycle.source.remotes import Remotes, no_secrets

        return Remotes(
            self.home / "remotes",
            settings=registry_settings(self.settings),
            secrets=secrets or no_secrets,
            environment=os.environ,
            ssh_agent=os.environ.get("SSH_AUTH_SOCK"),
            sink=self.sink,
        )

    def close(self) -> None:
        """Close what was opened; idempotent."""
        with self._lock:
            if self._registry is not None:
                self._registry.close()
                self._registry = None

    def __enter__(self) -> Ports:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class _OnDemand:
    """Stands for a port until one of its methods is asked for: most acts on local images never need a registry."""

    def __init__(self, open_port: Callable[[], object]) -> None:
        self._open = open_port

    def __getattr__(self, name: str) -> object:
        return getattr(self._open(), name)


def registry_settings(settings: Settings) -> RegistrySettings:
    """How registries are reached, as these settings say."""
    from lifecycle.registry import RegistrySettings

    mirrors = settings.registry_mirror.value.items()
    return RegistrySettings.of(
        insecure=settings.insecure_registry.value,
        ca_files=settings.ca_file.value,
        mirrors=[f"{registry}={mirror}" for registry, found in mirrors for mirror in found],
        maps=[f"{left}={right}" for left, right in settings.registry_map.value.items()],
    )


def open_ports(settings: Settings, sink: Sink | None = None) -> Ports:
    """The ports of ``settings``; progress goes to ``sink`` (nowhere when None)."""
    return Ports(settings, sink or NullSink())
