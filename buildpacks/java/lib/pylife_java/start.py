"""The layer with what is computed when the app starts."""

from __future__ import annotations

import os

from pylife_sdk.context import Build, read_bytes
from pylife_sdk.execd import write_execd
from pylife_sdk.layer import open_layer
from pylife_sdk.tree import digest

# The share of an app's classes, and of the runtime's, that a usual app loads; found by Paketo's maintainers.
LOAD_FACTOR = 35
RUNTIME_CLASSES = 20_000


def provide_start(build: Build, classes: int, framework: str, threads: int = 250) -> None:
    """Writes the layer. ``classes`` are those of the app and what it depends on, ``threads`` a usual number."""
    loaded = (classes + RUNTIME_CLASSES) * LOAD_FACTOR // 100
    script = read_bytes(os.path.join(os.path.dirname(__file__), "start.sh")).decode()
    head = f"LOADED_CLASSES={loaded}\nDEFAULT_THREADS={threads}\nFRAMEWORK={framework}\n"
    layer = open_layer(build, "start", launch=True, cache=True)
    key = {
        "script": digest([script.encode()])[:12],
        "loaded classes": str(loaded),
        "framework": framework or "none",
        "threads": str(threads),
    }
    if layer.stale(key) is not None:
        layer.empty()
    write_execd(layer, "java", head + script)
    layer.commit(key)
