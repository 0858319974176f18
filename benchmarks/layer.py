"""The engine's own acts on one layer, each as a command of its own, for the benchmarks to time."""

from __future__ import annotations

import sys
from pathlib import Path

from lifecycle.archive import Ownership, Profile, Whiteouts, extract, walk
from lifecycle.events import NullSink
from lifecycle.image import Image, StorePlace, append, load_image, save, send, write_layer
from lifecycle.image.places import RegistryPlace
from lifecycle.image.ports import Ports
from lifecycle.oci import History, ImageConfig, Platform, Reference
from lifecycle.store import LocalStore


def write(tree: str, store: str, name: str) -> Image:
    """Tree → committed blob → image of one layer under ``name`` in the store."""
    local = LocalStore(Path(store))
    layer = write_layer(walk(Path(tree)), local, profile=Profile.GZIP_FAST)
    image = append(Image(ImageConfig.empty(Platform.host()), ()), [(layer, History(created_by="benchmark"))])
    save(image, StorePlace(Reference.parse(name)), Ports(local), NullSink())
    return image


def unpack(store: str, name: str, directory: str) -> None:
    """The image's layer into a fresh directory, its digest checked on the way."""
    image = load_image(StorePlace(Reference.parse(name)), Ports(LocalStore(Path(store))))
    Path(directory).mkdir()
    with image.layers[0].uncompressed() as tar:
        extract(tar, Path(directory), ownership=Ownership.SELF, whiteouts=Whiteouts.APPLY)


def push(store: str, name: str, target: str) -> None:
    """The image to a registry."""
    from lifecycle.registry import RegistryClient, RegistrySettings, default_keychain

    local = LocalStore(Path(store))
    with RegistryClient(RegistrySettings.of(), default_keychain(), NullSink()) as registry:
        ports = Ports(local, registry)
        image = load_image(StorePlace(Reference.parse(name)), ports)
        send(image, RegistryPlace(Reference.parse(target)), ports, NullSink())


def main(act: str, *args: str) -> None:
    match act:
        case "write":
            write(*args)
        case "unpack":
            unpack(*args)
        case "push":
            push(*args)
        case "write-push":
            tree, store, target = args
            write(tree, store, "bench")
            push(store, "bench", target)
        case _:
            sys.exit(f"no such act: {act}")


if __name__ == "__main__":
    main(*sys.argv[1:])
