"""Download caches: shared between all apps where the platform has a place for that, else a cache layer of the app.

What is in a cache only saves downloads: a build without it gives the same layers. The platform names its place in
$PYLIFE_SHARED_CACHE; any other CNB platform names none.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pylife_sdk.context import Build
from pylife_sdk.layer import open_layer

VARIABLE = "PYLIFE_SHARED_CACHE"


class Cache:
    """A cache directory. ``shared`` says whether other apps use it too, perhaps at this very moment."""

    __slots__ = ("path", "shared")

    def __init__(self, path: str, shared: bool) -> None:
        self.path, self.shared = path, shared

    @contextmanager
    def locked(self) -> Iterator[str]:
        """Holds the cache alone, for clients that cannot share one; the path."""
        with open(os.path.join(self.path, ".pylife-lock"), "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield self.path


def open_cache(build: Build, name: str, key: Mapping[str, str]) -> Cache:
    """The cache ``name`` of a client whose format ``key`` tells (its name and major version); begun anew with another.

    A shared one has a directory for each key; a layer keeps one.
    """
    shared = build.env.get(VARIABLE, "")
    if shared and os.access(shared, os.W_OK | os.X_OK):
        path = os.path.join(shared, "-".join([name, *(f"{key[part]}" for part in sorted(key))]).replace("/", "_"))
        os.makedirs(path, exist_ok=True)
        os.utime(path)  # what has a recent time is in use: the platform forgets what is not
        return Cache(path, shared=True)
    layer = open_layer(build, name, cache=True)
    if layer.stale(key):
        layer.empty()
    layer.commit(key)
    return Cache(layer.path, shared=False)
