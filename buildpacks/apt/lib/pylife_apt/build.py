"""Makes the layer of Debian packages."""

from __future__ import annotations

import os

from pylife_sdk.context import Build
from pylife_sdk.debian.status import base_status
from pylife_sdk.layer import Layer, open_layer
from pylife_sdk.output import heading, note, warn
from pylife_sdk.tree import digest

from pylife_apt.wanted import Wanted, read_wanted

RECIPE = "1"
COMPLETE = "BP_APT_COMPLETE"
_COMPILING = ("CMAKE_PREFIX_PATH", "CPATH", "LIBRARY_PATH", "PKG_CONFIG_PATH")


def build(context: Build) -> None:
    """Runs bin/build. Raises ``Failure`` for what the user can mend."""
    wanted = read_wanted(context.app)
    if not wanted:
        warn("The Aptfile names no package. Write one a line, such as libpq-dev, or remove it.")
        return
    complete = context.env.get(COMPLETE, "").lower() in ("1", "true", "yes")
    heading(f"Debian packages: {', '.join(os.path.basename(each.spec) for each in wanted)}")
    layer = open_layer(context, "packages", at_build=True, launch=True, cache=True)
    key = _key(context, wanted, complete)
    shown = ", ".join(f"{name} {value[:12]}" for name, value in key.items() if name != "recipe")
    if reason := layer.stale(key):
        note(f"Unpacking them anew: {reason}.")
        note(f"({shown})")
        _fill(context, layer, wanted, complete)
    else:
        note(f"They are kept from the last build ({shown}).")
    layer.commit(key)


def _key(context: Build, wanted: list[Wanted], complete: bool) -> dict[str, str]:
    parts = [f"{each.spec} {each.sha256} {each.alone} {each.force}".encode() for each in wanted]
    files = []
    for each in wanted:
        if each.is_file:
            with open(os.path.join(context.app, each.spec), "rb") as file:
                files.append(file.read())
    return {
        "the list of packages": digest([*parts, *files]),
        "the images' packages": digest([base_status(complete=complete).encode()]),
        "platform": os.uname().machine,
        "recipe": RECIPE,
    }


def _fill(context: Build, layer: Layer, wanted: list[Wanted], complete: bool) -> None:
    from pylife_sdk.debian import open_apt, unpack
    from pylife_sdk.sbom import cyclonedx, spdx

    from pylife_apt.debs import fetch_deb

    specs: dict[str, Wanted] = {}
    for each in wanted:
        if each.is_url:
            specs[fetch_deb(context, each)] = each
        else:
            specs[os.path.join(context.app, each.spec) if each.is_file else each.spec] = each

    def asked_at(spec: str) -> str:
        found = next((each for name, each in specs.items() if spec in (name, name.split("=")[0])), None)
        return f"{found.origin}: {found.spec}" if found else spec

    apt = open_apt(context, complete=complete)
    if apt.complete and not complete:
        note("This build image does not say what its run image has: all that the packages need is taken along.")
    resolved = [spec for spec, each in specs.items() if not each.alone]
    alone = [spec for spec, each in specs.items() if each.alone or each.force]
    packages = apt.fetch(resolved, alone=alone, asked_at=asked_at)
    root = layer.empty()
    unpack(packages, root)
    for package in packages:
        note(f"{package.name} {package.version}")
    there = sorted(
        spec for spec in specs if "/" not in spec and spec.split("=")[0].split(":")[0] not in {p.name for p in packages}
    )
    if there:
        note(f"Nothing to do for {', '.join(there)}: the images have it.")
    _set_env(layer, prefer_image=apt.complete)
    components = [package.component() for package in packages]
    layer.write_sbom("cdx", cyclonedx("debian-packages", components))
    layer.write_sbom("spdx", spdx("debian-packages", components))


def _set_env(layer: Layer, *, prefer_image: bool) -> None:
    """Lets programs find what was unpacked. ``prefer_image`` puts the image's own libraries before the layer's.

    Where the run image's packages are known, the layer has only what is not there, or must be newer than there.
    """
    from pylife_sdk.debian.paths import environment, single_places, system_libraries

    for name, paths in environment(layer.path).items():
        when = "build" if name in _COMPILING else ""
        mode = "prepend"
        if name == "XDG_DATA_DIRS":  # its default counts only while it is not set
            paths = [*paths, "/usr/local/share", "/usr/share"]
        elif name == "LD_LIBRARY_PATH" and prefer_image:
            paths, mode = [*system_libraries(), *paths], "append"
        layer.set_env(name, ":".join(paths), when=when, mode=mode)
        layer.set_env(name, ":", when=when, mode="delim")
    for name, place in single_places(layer.path).items():
        layer.set_env(name, place)
