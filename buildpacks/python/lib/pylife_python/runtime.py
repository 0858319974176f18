"""The runtime layer: the build image's CPython, moved to where a run image without Python can use it.

The interpreter finds its library beside itself (``bin/../lib/pythonX.Y``), so a copy works anywhere. Left out is
what no app imports in production: the test suite, IDLE, turtle, Tk, lib2to3, the static library.
"""

from __future__ import annotations

import os
import pprint
import re
import runpy
import shutil

from pylife_sdk.context import Build
from pylife_sdk.layer import Layer, open_layer
from pylife_sdk.output import fail, note
from pylife_sdk.process import run
from pylife_sdk.runtimes import Found
from pylife_sdk.sbom import Component, cyclonedx, spdx
from pylife_sdk.tree import digest, tree_digest

from pylife_python.libraries import add_to_search, closure, copy_libraries, elf_files

RECIPE = "1"
_PREFIX = "/usr"
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
    for each in sorted(os.listdir(os.path.join(root, "lib"))):
        if each.startswith(("tcl", "tk", "itcl", "thread")):
            shutil.rmtree(os.path.join(root, "lib", each), ignore_errors=True)
    compile_tree(program, library)


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
    zones = "/usr/share/zoneinfo"
    if os.path.isfile(os.path.join(zones, "UTC")):
        _copy_tree(zones, os.path.join(root, "share", "zoneinfo"), skip=re.compile(r"(posix|right|.*\.(tab|list|zi))$"))
    for entry in sorted(os.listdir(library)):
        path = os.path.join(library, entry)
        if entry.startswith("_sysconfigdata") and not os.path.islink(path):
            _relocate_sysconfig(path, root)
    found, absent = closure([os.path.join(root, "bin", name), *elf_files(library)])
    copy_libraries(found, layer)
    add_to_search(layer)
    for lost in absent:
        note(f"The library {lost} is not in the build image: the modules that need it will not import.")
    compile_tree(os.path.join(root, "bin", name), library)


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


def _relocate_sysconfig(path: str, root: str) -> None:
    """Rewrites the interpreter's build-time variables: paths below /usr become paths below the layer."""
    variables = runpy.run_path(path)["build_time_vars"]
    for name, value in variables.items():
        if isinstance(value, str) and (value == _PREFIX or (value.startswith(_PREFIX + "/") and " " not in value)):
            variables[name] = root + value[len(_PREFIX) :]
    variables["TZPATH"] = f"/usr/share/zoneinfo:{root}/share/zoneinfo"
    with open(path, "w", encoding="utf-8") as file:
        file.write("build_time_vars = " + pprint.pformat(variables, width=120) + "\n")


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
