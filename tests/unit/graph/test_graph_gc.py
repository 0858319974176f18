from __future__ import annotations

from pathlib import Path

from graph_workshop import Workshop

from lifecycle.app.gc import collect, step_cache
from lifecycle.app.ports import open_ports
from lifecycle.app.settings import load_settings
from lifecycle.graph import LocalCache


def test_pylife_gc_keeps_cached_steps_and_removes_what_is_no_use_to_them(isolated_environment: Path) -> None:
    with open_ports(load_settings()) as ports:
        shop = Workshop(ports.home)
        shop.store = ports.store
        shop.cache = LocalCache(step_cache(ports).root, ports.store)
        with shop.packer:
            node = shop.write("a")
            layers = shop.solver().solve([node])[node].image_layers()
            lost = shop.write("b")
            gone = shop.solver().solve([lost])[lost].image_layers()[-1].descriptor.digest
            ports.store.blobs.delete(gone)
            freed = {item.things: item.count for item in collect(ports)}
            assert ports.store.blobs.has(layers[-1].descriptor.digest)
            assert freed["cached steps"] == 2  # by definition and by content
            assert shop.build(shop.write("a")) == []
            assert shop.build(shop.write("b")) == ["b"]
