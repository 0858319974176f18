"""The slugbuilder and the slugrunner: the images of a stack with pylife in them, under every name it is called by.

Two layers hold pylife, the same in both images: what it depends on, and itself. A changed pylife makes only the second
anew; the names are links to one program, which ``lifecycle.compat`` lets act as what it is called.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import lifecycle
from lifecycle.archive import Entry, Member
from lifecycle.archive import Kind as EntryKind
from lifecycle.builder import layers
from lifecycle.builder.compile import Workshop, compile_launcher, opened
from lifecycle.builder.defaults import alone
from lifecycle.builder.definition import Kind, StackDefinition
from lifecycle.builder.installation import digest, own_files, requirements
from lifecycle.builder.stack import CREATED, KEY_LABEL, PACKAGES_LABEL, Stack, ensure_stack, find_current
from lifecycle.builder.wheels import download_wheels, wheel_files
from lifecycle.errors import PylifeError
from lifecycle.events import step
from lifecycle.image import Image, Layer, Ports, StorePlace, append, load, save, with_config, write_layer
from lifecycle.oci import History, Reference
from lifecycle.store import LocalStore

REFERENCES: Mapping[Kind, Reference] = {
    "build": Reference.parse("pylife/slugbuilder:latest"),
    "run": Reference.parse("pylife/slugrunner:latest"),
}
ENTRYPOINTS: Mapping[Kind, str] = {"build": "/builder/build.sh", "run": "/runner/init"}
LINKS = (
    *("build", "builder/build.sh", "exec", "runner/init", "start"),
    *("usr/bin/herokuish", "usr/local/bin/herokuish", "usr/local/bin/pylife"),
)
"""Where the family's platforms look for programs."""
DEPENDENCIES_LABEL = "io.pylife.dependencies"
_FORMAT = "1"
_TOP = "opt/pylife"
_LIB = f"{_TOP}/lib"
_PROGRAM = f"{_TOP}/bin/pylife"
_STARTER = f"""\
#!/bin/sh
# A script of the shell's, since platforms also write `bash /runner/init start web`.
export PYLIFE_SLUG_IMAGE=1 PYLIFE_HOME="${{PYLIFE_HOME:-/tmp/pylife}}"
exec /usr/bin/python3 -I /{_LIB} "$0" "$@"
"""
_MAIN = """\
import sys

del sys.argv[0]  # what is left begins with the name that was called
from lifecycle.compat import main

main(sys.argv)
"""
_COMPILE = (
    *("/usr/bin/python3", "-m", "compileall", "-q", "-j1", "--invalidation-mode=unchecked-hash"),
    f"/{_LIB}",
)


class CannotCompile(PylifeError):
    """pylife's modules could not be compiled in the build image."""

    code = "stack.cannot-compile"
    fix = "Use a build image whose /usr/bin/python3 is 3.11 or newer."


class NoPython(PylifeError):
    """An image that pylife is to be put into has no Python."""

    code = "stack.no-python"
    fix = "Add the package python3 to the stack's image in its stack.toml."


class SlugImages(NamedTuple):
    """Both images, as they are in the local store."""

    builder: Image
    runner: Image


def ensure_slug_images(stack: StackDefinition, workshop: Workshop, *, mirror: str = "") -> SlugImages:
    """Both images from the store when they are current, else made: the stack when it must be, pylife's layers upon it.

    Raises what ``ensure_stack`` and ``compile_launcher`` raise, NoWheels, UnknownDependencies, NoPython, CannotCompile.
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
    for kind in REFERENCES:
        base, image = find_current(stack, kind, store), _stored(kind, store)
        if base is None or image is None or image.config.labels.get(KEY_LABEL) != _key(base, own):
            return None
        if not all(store.blobs.has(layer.descriptor.digest) for layer in image.layers):
            return None
        found.append(image)
    return SlugImages(*found)


def _stored(kind: Kind, store: LocalStore) -> Image | None:
    if store.get(REFERENCES[kind]) is None:
        return None
    image = load(StorePlace(REFERENCES[kind]), Ports(store))
    return image if isinstance(image, Image) else None


def _key(base: Image, own: str) -> str:
    text = "\n".join((_FORMAT, str(base.digest), own, *_requirements(base)))
    return hashlib.sha256(text.encode()).hexdigest()


def _requirements(base: Image) -> tuple[str, ...]:
    return requirements(_python(base), base.config.platform.architecture)


def _python(image: Image) -> str:
    """The version of the image's /usr/bin/python3 (``3.11``), by its list of packages."""
    version = json.loads(image.config.labels.get(PACKAGES_LABEL, "{}")).get("python3", "")
    if not version:
        raise NoPython("pylife cannot be put into an image without Python", why="its packages lack python3")
    return ".".join(str(version).split(".")[:2])


def _make(stack: StackDefinition, files: Mapping[str, Path], own: str, workshop: Workshop, mirror: str) -> SlugImages:
    store = workshop.store
    with store.hold():
        made = ensure_stack(stack, store, workshop.sink, mirror=mirror)
        launcher = compile_launcher(made.build_image, workshop)
        with step(workshop.sink, "slug/images", "Putting pylife into the images slugbuilder and slugrunner") as told:
            name, below = _dependencies(made, workshop)
            above = _layer(_itself(files), made.build_image, workshop)
            pair = [(below, History(CREATED, "What pylife depends on")), (above, History(CREATED, "pylife"))]
            told.detail = f"{sum(layer.descriptor.size for layer, _ in pair) / 1e6:.0f} MB"
            builder = append(made.build_image, [*_contract(stack, launcher, store), *pair])
            runner = append(made.run_image, pair)
            images = SlugImages(
                _configured(builder, "build", _key(made.build_image, own), name),
                _configured(runner, "run", _key(made.run_image, own), name),
            )
        for kind, image in zip(REFERENCES, images, strict=True):
            save(image, StorePlace(REFERENCES[kind]), Ports(store), workshop.sink)
    return images


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


def _configured(image: Image, kind: Kind, key: str, dependencies: str) -> Image:
    labels = {
        **image.config.labels,
        "org.opencontainers.image.title": REFERENCES[kind].repository.rpartition("/")[2],
        "io.buildpacks.lifecycle.version": lifecycle.__version__,
        KEY_LABEL: key,
        DEPENDENCIES_LABEL: dependencies,
    }
    config = image.config.with_container(
        Entrypoint=[ENTRYPOINTS[kind]],
        WorkingDir=image.config.env.get("HOME", "/"),
        Labels={name: labels[name] for name in sorted(labels)},
    )
    return with_config(image, config.with_data(created=CREATED))


def _dependencies(stack: Stack, workshop: Workshop) -> tuple[str, Layer]:
    """The layer of what pylife depends on, and its label: taken from the images that were there when it is the same."""
    wanted, python = _requirements(stack.build_image), _python(stack.build_image)
    architecture = stack.build_image.config.platform.architecture
    key = hashlib.sha256("\n".join((_FORMAT, python, architecture, *wanted)).encode()).hexdigest()
    for kind in REFERENCES:
        old = _stored(kind, workshop.store)
        said, _, diff_id = (old.config.labels.get(DEPENDENCIES_LABEL, "") if old else "").partition(" ")
        for layer in old.layers if old is not None and said == key else ():
            if str(layer.diff_id) == diff_id and workshop.store.blobs.has(layer.descriptor.digest):
                return f"{key} {diff_id}", layer
    with tempfile.TemporaryDirectory(prefix="pylife-wheels-") as place:
        with step(workshop.sink, "slug/wheels", "Downloading what pylife depends on") as told:
            wheels = download_wheels(wanted, python, architecture, Path(place))
            told.detail = f"{len(wheels)} packages"
        files = {f"{_LIB}/{name}": data for wheel in wheels for name, data in wheel_files(wheel).items()}
    layer = _layer(files, stack.build_image, workshop)
    return f"{key} {layer.diff_id}", layer


def _itself(files: Mapping[str, Path]) -> dict[str, Path | bytes | str]:
    """pylife's own files by their names in the image; a text is a link's target."""
    links = dict.fromkeys(LINKS, f"/{_PROGRAM}")
    return {
        **{f"{_LIB}/{name}": path for name, path in files.items()},
        f"{_LIB}/__main__.py": _MAIN.encode(),
        _PROGRAM: _STARTER.encode(),
        **links,
    }


def _layer(files: Mapping[str, Path | bytes | str], image: Image, workshop: Workshop) -> Layer:
    """A layer of the files and of the byte code of their modules, which the image's own Python makes.

    The byte code is never stale, whatever a file's time is, and the same whoever makes it.
    """
    from lifecycle.sandbox import RunSpec

    tail: deque[str] = deque(maxlen=20)
    with opened(image, workshop) as root:
        for name, content in files.items():
            _place(root / name, content)
        spec = RunSpec(
            _COMPILE,
            str(root),
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/tmp", "PYTHONHASHSEED": "0"},
            cwd="/",
            trust_host=False,
            timeout=300,
        )
        result = workshop.sandbox.run(spec, lambda stream, line: tail.append(line))
        if not result.ok:
            raise CannotCompile(
                "pylife's modules could not be compiled in the build image",
                why=tail[-1] if tail else f"python3 ended with exit code {result.exit_code}",
                details="\n".join(tail),
            )
        return write_layer(_members(root, files), workshop.store)


def _place(path: Path, content: Path | bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path) and content.is_symlink():
        content = os.readlink(content)
    if isinstance(content, str):
        path.symlink_to(content)
        return
    path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    runs = content.startswith(b"#!") if isinstance(content, bytes) else content.stat().st_mode & 0o111
    path.chmod(0o755 if runs else 0o644)


def _members(root: Path, files: Mapping[str, object]) -> Iterator[Member]:
    """What ``_place`` and the compiler left below ``root``, owned by root and in the order of names."""
    names = {*files, *(str(path.relative_to(root)) for path in (root / _LIB).rglob("*.pyc"))}
    parents = {str(parent) for name in names for parent in Path(name).parents} - {".", "usr", "usr/bin", "usr/local"}
    for name in sorted(names | parents, key=lambda item: item.split("/")):
        path, encoded = root / name, os.fsencode(name)
        if path.is_symlink():
            yield Entry(encoded, EntryKind.SYMLINK, 0o777, linkname=os.fsencode(os.readlink(path))), None
        elif path.is_dir():
            yield Entry(encoded, EntryKind.DIR, 0o755), None
        else:
            status = path.stat()
            mode = 0o755 if status.st_mode & 0o111 else 0o644
            yield Entry(encoded, EntryKind.FILE, mode, size=status.st_size), _opener(path)


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")
