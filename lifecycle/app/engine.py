"""The engine, opened: this process enters its namespaces, then sandbox and snapshotter are made upon them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.app.ports import Ports
from lifecycle.events import step
from lifecycle.sandbox import Isolation, Rung, Sandbox, enter, entered, probe
from lifecycle.snapshot import Yard, open_snapshotter

if TYPE_CHECKING:
    from lifecycle.image import Image
    from lifecycle.phases.inputs import Engine


def enter_rung(ports: Ports) -> Rung:
    """The rung that this process works on from now on: the best that the host allows, entered with the first call.

    Must come before the process has a second thread. Raises NoIsolation when the host allows no rung.
    """
    os.umask(0o022)
    ports.home.mkdir(parents=True, exist_ok=True)
    rung = entered()
    if rung is None:
        rung = probe(Isolation.parse(ports.settings.isolation.value), ports.home)
        enter(rung)
    return rung


@contextmanager
def open_engine(ports: Ports) -> Iterator[Engine]:
    """The ports of a buildpack build. The store is held as long as the block lasts: no ``gc`` takes a blob in use."""
    from lifecycle.phases.inputs import Engine

    rung = enter_rung(ports)
    with (
        Sandbox(rung, ports.sink) as sandbox,
        ports.store.hold(),
        closing(open_snapshotter(ports.home, rung)) as snapshotter,
    ):
        yield Engine(snapshotter, sandbox, rung, ports.store, ports.sink)


def unpack(image: Image, name: str, engine: Engine) -> None:
    """Unpack the layers of ``image`` that are not there yet; ``name`` is what people call it."""
    missing = [layer for layer in image.layers if not engine.snapshotter.has(layer.diff_id)]
    if missing:
        with step(engine.sink, "unpack", f"Unpack {name}") as told:
            for number, layer in enumerate(missing, 1):
                engine.snapshotter.unpack(layer.diff_id, layer.uncompressed)
                told.progress(number, len(missing), "layers")


@contextmanager
def scratch(ports: Ports) -> Iterator[Path]:
    """An empty directory under $PYLIFE_HOME that is removed with the block, or at the next start after a kill."""
    yard = Yard(str(ports.home / "scratch"))
    yard.sweep()
    place, lock = yard.claim()
    try:
        yield Path(place)
    finally:
        yard.drop(place, lock)
