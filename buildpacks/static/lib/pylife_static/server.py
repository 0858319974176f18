"""The layer with nginx: Debian's package and the libraries that a run image may lack."""

from __future__ import annotations

import glob
import os

from pylife_sdk.context import Build, read_bytes
from pylife_sdk.debian import open_apt, unpack
from pylife_sdk.debian.status import base_status
from pylife_sdk.layer import Layer, open_layer
from pylife_sdk.output import heading, note
from pylife_sdk.sbom import cyclonedx, spdx
from pylife_sdk.tree import digest

# The server, and what it is linked with. The package also asks for tools that set up a machine; an image has none.
_WANTED = ("nginx", "libcrypt", "libpcre", "libssl", "zlib")


def provide_server(context: Build) -> Layer:
    """The layer ``nginx``; ``usr/sbin/nginx`` in it is the server. Raises ``Failure`` apt.*."""
    layer = open_layer(context, "nginx", launch=True, cache=True)
    status = base_status(complete=False)
    key = {"package": "nginx", "base packages": digest([status.encode()])[:16], "machine": os.uname().machine}
    reason = layer.stale(key)
    if reason is None and not layer.has_sbom():
        reason = "its bill of materials is missing"
    if reason is None:
        version = read_bytes(os.path.join(layer.path, "version")).decode()
        heading(f"nginx {version}, kept from the last build")
    else:
        heading(f"nginx, from Debian packages: {reason}")
        apt = open_apt(context)
        fetched = apt.fetch(["nginx"])
        packages = [each for each in fetched if _is_wanted(each.name)]
        root = layer.empty()
        unpack(packages, root)
        apt.spare(fetched)
        _keep(root, ("usr/sbin/nginx", "usr/lib/*/*.so.*", "usr/share/doc/*/copyright"))
        components = [each.component() for each in packages]
        layer.write_sbom("cdx", cyclonedx("nginx", components))
        layer.write_sbom("spdx", spdx("nginx", components))
        version = next(each.version for each in packages if each.name == "nginx")
        with open(os.path.join(root, "version"), "w", encoding="utf-8") as file:
            file.write(version)
        note(f"Taken: {', '.join(f'{each.name} {each.version}' for each in packages)}.")
    layer.commit(key)
    return layer


def _is_wanted(name: str) -> bool:
    return name.startswith(_WANTED) and not name.endswith(("-dev", "-common"))


def _keep(root: str, patterns: tuple[str, ...]) -> None:
    """Removes all but the files that a pattern names."""
    kept = {path for pattern in patterns for path in glob.glob(os.path.join(glob.escape(root), pattern))}
    for directory, folders, files in os.walk(root, topdown=False):
        for name in [*files, *folders]:
            path = os.path.join(directory, name)
            if os.path.isdir(path) and not os.path.islink(path):
                if not os.listdir(path):
                    os.rmdir(path)
            elif path not in kept:
                os.remove(path)
