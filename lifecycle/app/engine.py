"""The engine, opened: this process enters its namespaces, then sandbox and snapshotter are made upon them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lifecycle.app.ports import Ports
from lifecycle.phases.create import Engine
from lifecycle.sandbox import Isolation, Sandbox, enter, entered, probe
from lifecycle.snapshot import Yard, open_snapshotter


@contextmanager
def open_engine(ports: Ports) -> Iterator[Engine]:
    """The ports of a build. Must be opened before the process has a second thread: namespaces are entered here.

    The store is held for the length of the block, so that no ``gc`` takes a blob that is about to be used. Raises
    NoIsolation when this host allows no way of running processes apart from it.
    """
    os.umask(0o022)
    ports.home.mkdir(parents=True, exist_ok=True)
    rung = entered()
    if rung is None:
        rung = probe(Isolation.parse(ports.settings.isolation.value), ports.home)
        enter(rung)
    with Sandbox(rung, ports.sink) as sandbox, ports.store.hold():
        snapshotter = open_snapshotter(ports.home, rung)
        yield Engine(snapshotter, sandbox, rung, ports.store, ports.sink)


@contextmanager
def scratch(ports: Ports) -> Iterator[Path]:
    """An empty directory under $PYLIFE_HOME that is removed with the block, or at the next start after a kill."""
    yard = Yard(str(ports.home / "scratch"))
    place, lock = yard.claim()
    try:
        yield Path(place)
    finally:
        yard.drop(place, lock)
