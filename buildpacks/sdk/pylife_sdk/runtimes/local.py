"""Sources that need no network: the build image's own runtime, and a folder of runtimes."""

from __future__ import annotations

import os
import re
import shutil

from pylife_sdk.context import Build, Detect
from pylife_sdk.output import fail
from pylife_sdk.runtimes.archives import ENDINGS, unpack
from pylife_sdk.runtimes.choice import Runtime
from pylife_sdk.runtimes.source import Source, arch
from pylife_sdk.sbom import Component
from pylife_sdk.tree import tree_digest

_FOREIGN = {
    "x64": re.compile(r"arm64|aarch64|i[3-6]86|riscv|ppc64|s390x|armv|darwin|macos|windows|win-|musl", re.I),
    "arm64": re.compile(r"x64|x86_64|amd64|i[3-6]86|riscv|ppc64|s390x|armv|darwin|macos|windows|win-|musl", re.I),
}


class Image(Source):
    """The one version that the build image has."""

    name = "image"
    none = "the build image has none"

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.found = runtime.image() if runtime.image else None

    def versions(self) -> list[str]:
        return [self.found[0]] if self.found else []

    def origin(self, version: str) -> str:
        return "the build image"

    def place(self, version: str, directory: str) -> None:
        assert self.found is not None
        _copy(self.found[1], directory)

    def components(self, version: str) -> list[Component]:
        return [generic(self.runtime.name, version)]


class Folder(Source):
    """PATH/NAME/VERSION/bin/…, or archives such as PATH/NAME-VERSION.tar.gz; a relative PATH counts from the app."""

    name = "folder"

    def __init__(self, runtime: Runtime, context: Build | Detect, place: str) -> None:
        self.runtime, self.place_name = runtime, place
        self.path = os.path.normpath(os.path.join(context.app, place))
        self.none = f"nothing in {place} is {runtime.name}" if os.path.isdir(self.path) else f"there is no {place}"
        self.found = self._found()

    def versions(self) -> list[str]:
        return list(self.found)

    def origin(self, version: str) -> str:
        return f"folder {os.path.join(self.place_name, os.path.relpath(self.found[version], self.path))}"

    def key(self, version: str) -> str:
        path = self.found[version]
        content = tree_digest(path, skip=()) if os.path.isdir(path) else sha256_of(path)
        return f"{self.origin(version)} {content[:16]}"

    def place(self, version: str, directory: str) -> None:
        path = self.found[version]
        if os.path.isdir(path):
            _copy(path, directory)
        else:
            unpack(path, directory)

    def components(self, version: str) -> list[Component]:
        return [generic(self.runtime.name, version)]

    def _found(self) -> dict[str, str]:
        name, found = self.runtime.name, dict[str, str]()
        folder = os.path.join(self.path, name)
        for entry in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if entry[:1].isdigit() and os.path.isdir(os.path.join(folder, entry, "bin")):
                found[entry] = os.path.join(folder, entry)
        names = sorted(os.listdir(self.path)) if os.path.isdir(self.path) else []
        # The maker's own names are understood too: node-v20.1.0-linux-x64.tar.xz,
        # cpython-3.12.7+20241016-x86_64-unknown-linux-gnu-install_only.tar.gz
        pattern = re.compile(rf"c?{re.escape(name)}-v?(\d[0-9A-Za-z.]*?)(\+\d+)?((?:-[^/]*)?)({_ENDING})$")
        best: dict[str, tuple[bool, str]] = {}
        for entry in names:
            if (match := pattern.match(entry)) and not _FOREIGN[arch()].search(match[3]):
                rank = ("install_only" not in match[3], entry)
                if match[1] not in best or rank < best[match[1]]:
                    best[match[1]] = rank
        for version, (_, entry) in best.items():
            found.setdefault(version, os.path.join(self.path, entry))
        return found


_ENDING = "|".join(re.escape(ending) for ending in ENDINGS if ending != ".whl")


def generic(name: str, version: str) -> Component:
    """A component that no package index knows."""
    return Component(name, version, f"pkg:generic/{name}@{version}")


def sha256_of(path: str) -> str:
    """The sha256 of a file, in hex."""
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: str, directory: str) -> None:
    """Copies a tree, links as links; a link that leads out of it is followed."""
    root = os.path.realpath(source)
    for entry in sorted(os.listdir(source)):
        path, target = os.path.join(source, entry), os.path.join(directory, entry)
        _copy_entry(path, target, root)


def _copy_entry(path: str, target: str, root: str) -> None:
    if os.path.islink(path):
        link = os.readlink(path)
        inside = os.path.normpath(os.path.join(os.path.dirname(os.path.realpath(os.path.dirname(path)) + "/x"), link))
        if not os.path.isabs(link) and (inside + "/").startswith(root + "/"):
            os.symlink(link, target)
            return
    if os.path.isdir(path):
        os.makedirs(target)
        for entry in sorted(os.listdir(path)):
            _copy_entry(os.path.join(path, entry), os.path.join(target, entry), root)
    elif os.path.isfile(path):
        shutil.copyfile(path, target)
        os.chmod(target, 0o755 if os.stat(path).st_mode & 0o111 else 0o644)
    elif os.path.islink(path):
        fail(
            "runtime.bad-archive",
            f"A link of the runtime leads to nothing: {path}.",
            found=f"{path} -> {os.readlink(path)}",
            fix="Remove the link, or give the runtime whole.",
        )
