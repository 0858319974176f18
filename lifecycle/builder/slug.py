"""The slugbuilder and the slugrunner: the images of a stack with pylife in them, under every name it is called by.

Two layers hold pylife, the same in both images: what it depends on, and itself. A changed pylife makes only the second
anew; the names are links to one program, which ``lifecycle.compat`` lets act as what it is called.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import lifecycle
from lifecycle.archive import Entry, Kind
from lifecycle.builder import layers
from lifecycle.builder.compile import Workshop, compile_launcher
from lifecycle.builder.defaults import alone
from lifecycle.builder.definition import Kind as ImageKind
from lifecycle.builder.definition import StackDefinition
from lifecycle.builder.installation import are_installed, digest, direct_requirements, own_files, requirements
from lifecycle.builder.modules import PYTHON, UnusablePython, python_layer
from lifecycle.builder.stack import CREATED, KEY_LABEL, PACKAGES_LABEL, Stack, ensure_stack, find_current
from lifecycle.builder.wheels import download_wheels, wheel_files
from lifecycle.events import step
from lifecycle.image import Image, Layer, Ports, StorePlace, append, load, save, with_config, write_layer
from lifecycle.oci import History, Reference
from lifecycle.store import LocalStore

_NAMES: Mapping[ImageKind, str] = {"build": "builder", "run": "runner"}
ENTRYPOINTS: Mapping[ImageKind, str] = {"build": "/builder/build.sh", "run": "/runner/init"}
LINKS = (
    *("build", "builder/build.sh", "exec", "runner/init", "start"),
    *("usr/bin/herokuish", "usr/local/bin/herokuish", "usr/local/bin/pylife"),
)
"""Where the family's platforms look for programs."""
REQUIREMENTS_LABEL = "io.pylife.requirements"
LAYER_LABEL = "io.pylife.requirements.layer"
"""Which packages are in an image, and which layer they are: a hash of what decided it, and its diffID."""
_FORMAT = "1"
_LAYERS = "2"
"""Change the first when what pylife depends on is to be put into the images anew, the second for the images alone."""
_TOP = "opt/pylife"
_LIB = f"{_TOP}/lib"
_PROGRAM = f"{_TOP}/bin/pylife"
_STARTER = f"""\
#!/bin/bash
# Of bash's, since platforms also write `bash /runner/init start web`; and sh drops variables such as spring.port.
export PYLIFE_SLUG_IMAGE=1 PYLIFE_HOME="${{PYLIFE_HOME:-/tmp/pylife}}"
exec {PYTHON} -I -S /{_LIB} "$0" "$@"
"""
_MAIN = """\
import sys

del sys.argv[0]  # what is left begins with the name that was called
from lifecycle.compat import main

main(sys.argv)
"""


class SlugImages(NamedTuple):
    """Both images, as they are in the local store."""

    builder: Image
    runner: Image


def slug_reference(stack: StackDefinition, kind: ImageKind) -> Reference:
    """The name of the image with pylife in the local store: ``pylife/slugbuilder`` for the stack ``slug``."""
    return Reference.parse(f"pylife/{stack.name}{_NAMES[kind]}:latest")


def find_slug_images(stack: StackDefinition, store: LocalStore) -> SlugImages | None:
    """Both images as they are in the store, whatever they were made of; None when one is not there."""
    builder, runner = _stored(stack, "build", store), _stored(stack, "run", store)
    return None if builder is None or runner is None else SlugImages(builder, runner)


def ensure_slug_images(stack: StackDefinition, workshop: Workshop, *, mirror: str = "") -> SlugImages:
    """Both images from the store when they are current, else made: the stack when it must be, pylife's layers upon it.

    Raises what ``ensure_stack`` and ``compile_launcher`` raise, NoWheels, UnknownDependencies, UnusablePython.
    """
    files = own_files()
    own = digest(files)
    found = _current(stack, own, workshop.store)
    if found is not None:
        return found
    with alone(workshop.store, workshop.sink):
        found = _current(stack, own, workshop.store)  # another process may have made them meanwhile
        return found or _make(stack, files, own, workshop, mirror)


def _current(stack: StackDefinition, own: str, store: LocalStore) -> SlugImages | None:
    """The images in the store, if they are what making them now would give."""
    found = []
    for kind in _NAMES:
        base, image = find_current(stack, kind, store), _stored(stack, kind, store)
        if base is None or image is None or image.config.labels.get(KEY_LABEL) != _key(base, own):
            return None
        if not are_installed(image.config.labels.get(REQUIREMENTS_LABEL, "").split()):
            return None
        if not all(store.blobs.has(layer.descriptor.digest) for layer in image.layers):
            return None
        found.append(image)
    return SlugImages(*found)


def _stored(stack: StackDefinition, kind: ImageKind, store: LocalStore) -> Image | None:
    ref = slug_reference(stack, kind)
    if store.get(ref) is None:
        return None
    image = load(StorePlace(ref), Ports(store))
    return image if isinstance(image, Image) else None


def _key(base: Image, own: str) -> str:
    """A hash of all that decides what an image is, except what is installed beside pylife."""
    text = "\n".join((_LAYERS, str(base.digest), own, *direct_requirements()))
    return hashlib.sha256(text.encode()).hexdigest()


def _python(image: Image) -> str:
    """The version of the image's /usr/bin/python3 (``3.11``), by its list of packages."""
    version = json.loads(image.config.labels.get(PACKAGES_LABEL, "{}")).get("python3", "")
    if not version:
        raise UnusablePython("pylife cannot be put into an image without Python", why="its packages lack python3")
    return ".".join(str(version).split(".")[:2])


def _make(stack: StackDefinition, files: Mapping[str, str], own: str, workshop: Workshop, mirror: str) -> SlugImages:
    store = workshop.store
    builder_name, runner_name = (slug_reference(stack, kind).familiar for kind in _NAMES)
    with store.hold():
        made = ensure_stack(stack, store, workshop.sink, mirror=mirror)
        launcher = compile_launcher(made.build_image, workshop)
        with step(workshop.sink, "slug/images", f"Putting pylife into {builder_name} and {runner_name}") as told:
            below, labels = _dependencies(made, workshop)
            above = python_layer(_itself(files), _LIB, made.build_image, workshop)
            pair = [(below, History(CREATED, "What pylife depends on")), (above, History(CREATED, "pylife"))]
            told.detail = f"{sum(layer.descriptor.size for layer, _ in pair) / 1e6:.0f} MB"
            home = _home(stack, store)
            builder = append(made.build_image, [*_contract(stack, launcher, store), home, *pair])
            runner = append(made.run_image, [home, *pair])
            images = SlugImages(
                _configured(builder, ENTRYPOINTS["build"], _key(made.build_image, own), labels),
                _configured(runner, ENTRYPOINTS["run"], _key(made.run_image, own), labels),
            )
        for kind, image in zip(_NAMES, images, strict=True):
            save(image, StorePlace(slug_reference(stack, kind)), Ports(store), workshop.sink)
    return images


def _home(stack: StackDefinition, store: LocalStore) -> tuple[Layer, History]:
    """The app's directory for any user in the group root. Source: OpenShift, "Support arbitrary user ids"."""
    name = stack.user.home.strip("/").encode()
    layer = write_layer(iter([(Entry(name, Kind.DIR, 0o775, stack.user.uid, 0), None)]), store)
    return layer, History(CREATED, "The app's directory")


def _contract(stack: StackDefinition, launcher: bytes, store: LocalStore) -> list[tuple[Layer, History]]:
    """The layers by which images with CNB's launcher can be made from what is built in a slugbuilder."""
    user = stack.user
    return [
        (write_layer(layers.directories(user.uid, user.gid), store), History(CREATED, "Directories")),
        (
            write_layer(layers.lifecycle(launcher, lifecycle.__version__), store),
            History(CREATED, "Lifecycle: launcher"),
        ),
    ]


def _configured(image: Image, entrypoint: str, key: str, more: Mapping[str, str]) -> Image:
    labels = {
        **image.config.labels,
        "io.buildpacks.lifecycle.version": lifecycle.__version__,
        KEY_LABEL: key,
        **more,
    }
    config = image.config.with_container(
        Entrypoint=[entrypoint],
        WorkingDir=image.config.env.get("HOME", "/"),
        Labels={name: labels[name] for name in sorted(labels)},
    )
    return with_config(image, config.with_data(created=CREATED))


def _dependencies(stack: Stack, workshop: Workshop) -> tuple[Layer, dict[str, str]]:
    """The layer of what pylife depends on, and the labels that tell of it: that of the images before when it is the
    same."""
    python, architecture = _python(stack.build_image), stack.build_image.config.platform.architecture
    wanted = requirements(python, architecture)
    key = hashlib.sha256("\n".join((_FORMAT, python, architecture, *wanted)).encode()).hexdigest()
    layer = _kept(stack.definition, key, workshop.store) or _downloaded(wanted, python, stack.build_image, workshop)
    return layer, {REQUIREMENTS_LABEL: " ".join(wanted), LAYER_LABEL: f"{key} {layer.diff_id}"}


def _kept(stack: StackDefinition, key: str, store: LocalStore) -> Layer | None:
    for old in find_slug_images(stack, store) or ():
        said, _, diff_id = old.config.labels.get(LAYER_LABEL, "").partition(" ")
        for layer in old.layers if said == key else ():
            if str(layer.diff_id) == diff_id and store.blobs.has(layer.descriptor.digest):
                return layer
    return None


def _downloaded(wanted: Sequence[str], python: str, image: Image, workshop: Workshop) -> Layer:
    with tempfile.TemporaryDirectory(prefix="pylife-wheels-") as place:
        with step(workshop.sink, "slug/wheels", "Downloading what pylife depends on") as told:
            wheels = download_wheels(wanted, python, image.config.platform.architecture, Path(place))
            told.detail = f"{len(wheels)} packages"
        files = {f"{_LIB}/{name}": data for wheel in wheels for name, data in wheel_files(wheel).items()}
    return python_layer(files, _LIB, image, workshop)


def _itself(files: Mapping[str, str]) -> dict[str, Path | bytes | str]:
    """pylife's own files by their names in the image: where they are, what they hold, or the target of a link."""
    links = dict.fromkeys(LINKS, f"/{_PROGRAM}")
    return {
        **{f"{_LIB}/{name}": Path(path) for name, path in files.items()},
        f"{_LIB}/__main__.py": _MAIN.encode(),
        _PROGRAM: _STARTER.encode(),
        **links,
    }
