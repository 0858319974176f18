"""The cache of one app: the layers its buildpacks asked to keep, in a directory.

A cached layer is kept as the tree it is, not as a tar: where overlayfs can be mounted it is put under the next build
root as it stands, so restoring costs one mount option and "unchanged" is known without reading a byte.

Layout of the directory::

    lock                     taken for the moment of reading or replacing cache.json
    cache.json               what is kept: replaced by rename, so it is always whole
    trees/<id>/layers/<buildpack>/<layer>/…     one kept layer, under its path in the build root
    trees/<id>/sbom/sbom.<format>.json           the bills of materials of that layer
    trees/<id>.lock          held shared by every build that uses the tree: nobody removes it underneath

Two builds of one app may run at once: both read the same trees, each writes its own, the last to finish is kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifecycle.buildpack import json_data

FORMAT = 1


@dataclass(frozen=True, slots=True)
class KeptLayer:
    """One cached layer: which buildpack's, its types and metadata, and the tree that holds it.

    ``diff_id`` is the layer's digest in the app image when it is also a launch layer, else None.
    """

    buildpack: str
    version: str
    name: str
    tree: str
    build: bool
    launch: bool
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)
    diff_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        data, types = json_data.encode(self.data)
        return {
            "buildpack": self.buildpack,
            "version": self.version,
            "name": self.name,
            "tree": self.tree,
            "build": self.build,
            "launch": self.launch,
            "data": data,
            "types": types,
            "diff_id": self.diff_id,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> KeptLayer:
        return cls(
            str(data["buildpack"]),
            str(data["version"]),
            str(data["name"]),
            str(data["tree"]),
            bool(data["build"]),
            bool(data["launch"]),
            json_data.decode(data["data"], data["types"]),
            data["diff_id"],
        )


class BuildCache:
    """A cache directory, opened for one build: a context manager that holds every tree it was opened with.

    A ``cache.json`` that cannot be read (another format, damage) is an empty cache and ``discarded`` says why:
    a cache may always be lost, never half used. ``owner`` is what the cache is for (an image's name), kept in
    cache.json for those who clean up.
    """

    def __init__(self, directory: Path, owner: str = "") -> None:
        self.directory = directory
        self.owner = owner
        self.layers: tuple[KeptLayer, ...] = ()
        self.memo: dict[str, str] = {}
        self.discarded: str | None = None
        self._held: dict[str, int] = {}

    def __enter__(self) -> BuildCache:
        (self.directory / "trees").mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._read()
            for layer in self.layers:
                self._hold(layer.tree)
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def tree_root(self, tree: str) -> Path:
        """The directory that contains the kept layer under its full path."""
        return self.directory / "trees" / tree

    def sboms(self, tree: str) -> tuple[Path, ...]:
        """The SBOM files kept beside the tree's layer, named ``sbom.<format>.json``."""
        return tuple(sorted((self.tree_root(tree) / "sbom").glob("sbom.*.json")))

    def find(self, buildpack: str, name: str) -> KeptLayer | None:
        """The kept layer of that buildpack and name."""
        return next((item for item in self.layers if (item.buildpack, item.name) == (buildpack, name)), None)

    def new_tree(self) -> str:
        """The id of a fresh tree, held, for a layer to be moved into; its directory does not exist yet."""
        tree = secrets.token_hex(8)
        with self._locked():
            self._hold(tree)
        return tree

    def save(self, layers: Sequence[KeptLayer], memo: Mapping[str, str]) -> None:
        """Make these layers the cache, atomically, and remove the trees that nobody uses any more."""
        body = {
            "format": FORMAT,
            "owner": self.owner,
            "layers": [layer.to_json() for layer in layers],
            "memo": dict(memo),
        }
        with self._locked():
            temporary = self.directory / f".cache.json.{os.getpid()}"
            temporary.write_text(json.dumps(body, indent=1, sort_keys=True))
            temporary.replace(self.directory / "cache.json")
            self.layers, self.memo = tuple(layers), dict(memo)
            self._sweep({layer.tree for layer in layers})

    def clear(self) -> None:
        """Forget everything that is kept; trees that another build uses go when that build ends."""
        self.save((), {})

    def _read(self) -> None:
        try:
            body = json.loads((self.directory / "cache.json").read_bytes())
            if body["format"] != FORMAT:
                raise ValueError(f"it has format {body['format']}, this pylife writes {FORMAT}")
            layers = tuple(KeptLayer.from_json(item) for item in body["layers"])
            self.memo = {str(key): str(value) for key, value in body["memo"].items()}
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.discarded = f"{self.directory / 'cache.json'} cannot be used: {error}"
            return
        self.layers = tuple(item for item in layers if self.tree_root(item.tree).is_dir())

    def _hold(self, tree: str) -> None:
        if tree not in self._held:
            descriptor = os.open(
                self.directory / "trees" / f"{tree}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            self._held[tree] = descriptor

    def _sweep(self, keep: set[str]) -> None:
        for tree in sorted({path.name.removesuffix(".lock") for path in (self.directory / "trees").iterdir()} - keep):
            lock = self.directory / "trees" / f"{tree}.lock"
            descriptor = self._held.get(tree)
            own = descriptor is not None
            if descriptor is None:
                descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if own:
                    fcntl.flock(descriptor, fcntl.LOCK_SH)
                else:
                    os.close(descriptor)
                continue
            shutil.rmtree(self.tree_root(tree), ignore_errors=True)
            lock.unlink(missing_ok=True)
            os.close(descriptor)
            self._held.pop(tree, None)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def read_memo(directory: Path) -> dict[str, str]:
    """What the last build wants remembered, read without holding anything; empty when there is nothing to read."""
    try:
        body = json.loads((directory / "cache.json").read_bytes())
        return dict(body["memo"]) if body["format"] == FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def cache_owner(directory: Path) -> str:
    """What a cache directory is for, empty when it does not say."""
    try:
        return str(json.loads((directory / "cache.json").read_bytes())["owner"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
