"""The runtime layer: the build image's CPython, moved to where a run image without Python can use it.

The interpreter finds its library beside itself (``bin/../lib/pythonX.Y``), so a copy works anywhere. Left out is
what no app imports in production: the test suite, IDLE, turtle, Tk, lib2to3, the static library.
"""

from __future__ import annotations

import os
import re
import shutil

from pylife_sdk.context import Build
from pylife_sdk.layer import Layer, open_layer
from pylife_sdk.output import fail, note
from pylife_sdk.process import run
from pylife_sdk.runtimes import Found
from pylife_sdk.sbom import Component, cyclonedx, spdx
from pylife_sdk.tree import digest, tree_digest

from pylife_python.libraries import FOLDER, add_to_search, closure, copy_libraries, elf_files
from pylife_python.relocation import relocate

RECIPE = "2"
_PREFIX = "/usr"
_ZONES = "/usr/share/zoneinfo"
_LEFT_OUT = re.compile(
    r"(test|tests|idlelib|turtledemo|turtle\.py|tkinter|lib2to3|ensurepip|pydoc_data|__pycache__|config-.*"
    r"|sitecustomize\.py|EXTERNALLY-MANAGED|site-packages|dist-packages|_test.*\.so|_ctypes_test.*\.so|_xxtest.*\.so"
    r"|xxlimited.*\.so|_tkinter.*\.so)$"
)
_OWNERS = re.compile(
    r"(lib)?python3\.\d+(-minimal|-stdlib|-venv)?$|python3-distutils$|tzdata$"
    r"|(zlib1g|libexpat1|libssl3|libsqlite3-0|libffi8|libbz2-1\.0|liblzma5|libreadline8|libtinfo6|libncursesw6"
    r"|libuuid1|libdb5\.3|libcrypt1|libnsl2|libtirpc3|libgssapi-krb5-2|libkrb5-3|libk5crypto3|libcom-err2"
    r"|libkrb5support0|libkeyutils1)$"
)


def provide_runtime(build: Build, version: str, found: Found | None = None) -> tuple[Layer, str]:
    """The runtime layer, made or kept, and the name of its interpreter's origin (for other layers' keys).

    ``found`` brings it there; without one it is the build image's own.
    """
    layer = open_layer(build, "runtime", at_build=True, launch=True, cache=True)
    own = found is None or found.origin == "the build image"
    packages = _packages() if own else {}
    if own:
        origin = (
            digest(f"{n} {installed}".encode() for n, installed in packages.items()) if packages else _hash(version)
        )
        key = {"Python": version, "the build image's packages": origin}
    else:
        assert found is not None
        origin = digest([found.key.encode()])
        key = {"Python": version, "its origin": found.key}
    key |= {"platform": os.uname().machine, "recipe": RECIPE}
    reason = layer.stale(key)
    if reason is None:
        note(f"Python {version} is kept from the last build.")
    elif own:
        note(f"Copying Python {version} into its layer: {reason}.")
        _copy(layer, version)
    else:
        assert found is not None
        note(f"Putting Python {version} from {found.origin} into its layer: {reason}.")
        _place(layer, version, found)
    if reason is not None or not layer.has_sbom():
        components = _components(version, packages) if own else found.components() if found else []
        layer.write_sbom("cdx", cyclonedx("python-runtime", components))
        layer.write_sbom("spdx", spdx("python-runtime", components))
    layer.commit(key)
    return layer, origin


def interpreter(layer: Layer, version: str) -> str:
    """The path of the layer's interpreter."""
    return os.path.join(layer.path, "bin", "python" + _minor(version))


def compile_tree(python: str, tree: str, old_tree: str = "") -> None:
    """Compiles a tree's Python files with the interpreter that will import them."""
    script = os.path.join(os.path.dirname(__file__), "bytecode.py")
    ran = run([python, "-S", "-s", "-E", "-B", script, tree, old_tree], env={"LANG": "C.UTF-8"}, cwd="/", show=None)
    if ran.code:
        raise RuntimeError(f"compiling {tree} ended with {ran.code}: {ran.tail}")


def _place(layer: Layer, version: str, found: Found) -> None:
    """Fills the layer from another source than the image: a whole build of CPython, without what no app imports."""
    found.place(layer.empty())
    root, name = layer.path, f"python{_minor(version)}"
    library = os.path.join(root, "lib", name)
    program = os.path.join(root, "bin", name)
    if not os.path.isfile(program) or not os.path.isdir(library):
        fail(
            "python.runtime-unusable",
            f"What {found.origin} has as Python {version} is not a build of CPython that can be moved.",
            found=f"there is no bin/{name} or no lib/{name} in it",
            fix="Offer a standalone build with bin/ and lib/ at its top, such as `uv python install` unpacks.",
        )
    for link in ("python3", "python"):
        path = os.path.join(root, "bin", link)
        if not os.path.lexists(path):
            os.symlink(name, path)
    for directory, folders, files in os.walk(library):
        for each in [*folders, *files]:
            path = os.path.join(directory, each)
            if _LEFT_OUT.match(each) and os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            elif _LEFT_OUT.match(each):
                os.unlink(path)
        folders[:] = [each for each in folders if not _LEFT_OUT.match(each)]
    for folder, each in _unneeded(root, name):
        path = os.path.join(root, folder, each)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    _complete(layer, program, library)


def _unneeded(root: str, name: str) -> list[tuple[str, str]]:
    """What a whole build has beside Python: pip's programs without pip, settings for embedding that name the place of
    the build, manuals, Tk."""
    found = [("bin", each) for each in os.listdir(os.path.join(root, "bin")) if each not in (name, "python3", "python")]
    unneeded = re.compile(r"(lib)?(i?tcl|tk)\d|thread\d|pkgconfig$|.*\.a$")
    found += [("lib", each) for each in os.listdir(os.path.join(root, "lib")) if unneeded.match(each)]
    if os.path.isdir(os.path.join(root, "share", "man")):
        found.append(("share", "man"))
    return sorted(found)


def _copy(layer: Layer, version: str) -> None:
    root, minor = layer.empty(), _minor(version)
    name = f"python{minor}"
    os.makedirs(os.path.join(root, "bin"))
    shutil.copyfile(os.path.join(_PREFIX, "bin", name), os.path.join(root, "bin", name))
    os.chmod(os.path.join(root, "bin", name), 0o755)
    for link in ("python3", "python"):
        os.symlink(name, os.path.join(root, "bin", link))
    library = os.path.join(root, "lib", name)
    _copy_tree(os.path.join(_PREFIX, "lib", name), library)
    _complete(layer, os.path.join(root, "bin", name), library)


def _complete(layer: Layer, program: str, library: str) -> None:
    """Adds what an interpreter takes from the system: time zones and libraries; compiles its own."""
    zones = os.path.join(layer.path, "share", "zoneinfo")
    if os.path.isfile(os.path.join(_ZONES, "UTC")) and not os.path.isdir(zones):
        _copy_tree(_ZONES, zones, skip=re.compile(r"(posix|right|.*\.(tab|list|zi))$"))
    relocate(library, layer.path)
    own = [path for folder in ("lib", FOLDER) for path in elf_files(os.path.join(layer.path, folder))]
    found, absent = closure([program, *own], [os.path.basename(path) for path in own])
    if found:
        copy_libraries(found, layer)
    if os.path.isdir(os.path.join(layer.path, FOLDER)):
        add_to_search(layer)
    for lost in absent:
        note(f"The library {lost} is not in the build image: the modules that need it will not import.")
    compile_tree(program, library)


def _copy_tree(source: str, target: str, skip: re.Pattern[str] = _LEFT_OUT) -> None:
    """Copies directories, regular files and links within the tree; modes become 755 and 644."""
    os.makedirs(target)
    with os.scandir(source) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        copy = os.path.join(target, entry.name)
        if skip.match(entry.name):
            continue
        if entry.is_symlink() and "/" not in os.readlink(entry.path):
            os.symlink(os.readlink(entry.path), copy)
        elif entry.is_dir():
            _copy_tree(entry.path, copy, skip)
        elif entry.is_file():
            shutil.copyfile(entry.path, copy)
            os.chmod(copy, 0o644)


def _packages() -> dict[str, str]:
    """Versions of the Debian packages that the runtime is copied from; empty on another kind of build image."""
    try:
        with open("/var/lib/dpkg/status", encoding="utf-8", errors="replace") as file:
            stanzas = file.read().split("\n\n")
    except OSError:
        return {}
    packages = {}
    for stanza in stanzas:
        name = stanza[9 : stanza.find("\n")] if stanza.startswith("Package: ") else ""
        if _OWNERS.match(name) and (version := re.search(r"^Version: (.*)$", stanza, re.M)):
            packages[name] = version[1]
    return dict(sorted(packages.items()))


def _hash(version: str) -> str:
    return tree_digest(os.path.join(_PREFIX, "lib", f"python{_minor(version)}"))


def _components(version: str, packages: dict[str, str]) -> list[Component]:
    if not packages:
        return [Component("python", version, f"pkg:generic/python@{version}", "Python-2.0")]
    return [Component(name, installed, f"pkg:deb/debian/{name}@{installed}") for name, installed in packages.items()]


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
