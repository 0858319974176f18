"""The virtual environment: a layer that is kept while all it was made from is the same, and made afresh otherwise.

Made afresh it comes from uv's cache and from the bytecode of the one before: quick, and with the same bytes as on a
machine that never built this app.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil

from pylife_sdk.cache import open_cache
from pylife_sdk.context import Build, read_bytes, write_file
from pylife_sdk.layer import Layer, open_layer
from pylife_sdk.output import heading, note, warn
from pylife_sdk.sbom import cyclonedx, python_components, spdx
from pylife_sdk.tree import digest, tree_digest

from pylife_python import uv
from pylife_python.index import settings, vendored
from pylife_python.install import Installer, installer_env, is_mirrored
from pylife_python.libraries import FOLDER, add_to_search, closure, copy_libraries, elf_files
from pylife_python.local import clean, entries, local_digest
from pylife_python.managers import Manager
from pylife_python.plans import Plan, make_plan
from pylife_python.runtime import compile_tree

RECIPE = "2"


def prepare(build: Build, manager: Manager, version: str) -> tuple[Plan, dict[str, str]]:
    """What is to be installed, and the environment for uv. Raises ``Failure`` for files that cannot be meant."""
    env = installer_env(build, version)
    return make_plan(build, manager, version, mirrored=is_mirrored(env)), env


def provide_venv(build: Build, plan: Plan, env: dict[str, str], python: str, version: str, runtime: str) -> Layer:
    """The virtual environment with everything that a plan names, made or kept.

    ``runtime`` is the origin of the interpreter; it is part of the key. Raises ``Failure`` when installing fails.
    """
    manager = plan.manager
    heading(f"Packages: {plan.said} ({manager.why})")
    layer = open_layer(build, "venv", at_build=True, launch=True, cache=True)
    key = _key(build, plan, version, runtime, env)
    reason = layer.stale(key)
    if reason is None:
        shown = digest(f"{name}={value}".encode() for name, value in sorted(key.items()))[:12]
        note(f"The virtual environment is kept from the last build: its requirements are the same ({shown}).")
        uv.keep_uv(build)
        _cache(build)
    else:
        note(f"Installing {manager.file} into a new virtual environment: {reason}.")
        if _install(build, layer, plan, python, version, env):
            key["packages"] = "an editable install wrote files into the app"
    if reason is not None or not layer.has_sbom():
        components = python_components(site_packages(layer, version))
        layer.write_sbom("cdx", cyclonedx("python-packages", components))
        layer.write_sbom("spdx", spdx("python-packages", components))
    layer.commit(key)
    return layer


def site_packages(layer: Layer, version: str) -> str:
    """The directory of the installed packages."""
    minor = ".".join(version.split(".")[:2])
    return os.path.join(layer.path, "lib", f"python{minor}", "site-packages")


def _key(build: Build, plan: Plan, version: str, runtime: str, env: dict[str, str]) -> dict[str, str]:
    key = {
        "Python": version,
        "the interpreter": runtime,
        "the installer": f"uv {uv.VERSION}",
        "the command": plan.said,
        "platform": os.uname().machine,
        "recipe": RECIPE,
        **plan.key,
    }
    for local in plan.locals:
        shown = os.path.relpath(local.path, build.app)
        key[f"the source of {shown}"] = local_digest(local)
    if any(local.editable for local in plan.locals):
        key["the app's directory"] = build.app
    if said := settings(env):
        key["the package index settings"] = digest(setting.encode() for setting in said)
    for name in env.get("UV_CONSTRAINT", "").split():
        path = os.path.join(build.app, name)
        if os.path.isfile(path):
            key[os.path.relpath(path, build.app)] = digest([read_bytes(path)])
    if folder := vendored(build.app):
        key[f"the packages in {folder}"] = tree_digest(os.path.join(build.app, folder))
    for name in ("uv.toml", "pyproject.toml"):
        path = os.path.join(build.app, name)
        if os.path.isfile(path) and (name == "uv.toml" or b"[tool.uv" in read_bytes(path)):
            key[f"uv's settings in {name}"] = digest([read_bytes(path)])
    return key


def _install(build: Build, layer: Layer, plan: Plan, python: str, version: str, env: dict[str, str]) -> bool:
    """Fills the layer. Returns whether the install left files in the app that an editable package needs."""
    program = uv.provide_uv(build)
    env = env | {"UV_CACHE_DIR": _cache(build)}
    old = layer.path + ".old"
    shutil.rmtree(old, ignore_errors=True)
    if os.path.isdir(layer.path):
        shutil.move(layer.path, old)  # a rename, or a copy where the restored layer lies on a file system of its own
    before = entries(plan.locals)
    try:
        installer = Installer(build, program, layer.path, python, env, plan)
        installer.create()
        installer.follow()
        left = clean(before)
        site = site_packages(layer, version)
        _make_reproducible(layer, site)
        _copy_system_libraries(build, layer)
        compile_tree(python, site, site.replace(layer.path, old, 1))
    finally:
        shutil.rmtree(old, ignore_errors=True)
    return left


def _cache(build: Build) -> str:
    """The path of uv's cache, which only builds see; uv itself lets several share it."""
    return open_cache(build, "uv-cache", {"uv": uv.VERSION}).path


def _make_reproducible(layer: Layer, site: str) -> None:
    """Removes what differs from one install to the next, and what is secret: uv's notes about local sources, its
    lock, the user and password of an address that a package came from."""
    for name in os.listdir(site):
        information = os.path.join(site, name)
        record = os.path.join(information, "RECORD")
        if not name.endswith(".dist-info") or not os.path.exists(record):
            continue
        notes = os.path.join(information, "uv_cache.json")
        if os.path.exists(notes):
            os.unlink(notes)
        with open(record, encoding="utf-8", newline="") as file:
            lines = sorted(line for line in file if not line.startswith(f"{name}/uv_cache.json,"))
        if (changed := _without_credentials(information)) is not None:
            own = f"{name}/direct_url.json,"
            lines = sorted(f"{own}{changed}\n" if line.startswith(own) else line for line in lines)
        with open(record, "w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
    for name in (".lock", ".gitignore", "CACHEDIR.TAG"):
        path = os.path.join(layer.path, name)
        if os.path.lexists(path):
            os.unlink(path)


def _without_credentials(information: str) -> str | None:
    """Takes user and password out of direct_url.json; the end of its line in RECORD when that changed it."""
    path = os.path.join(information, "direct_url.json")
    if not os.path.exists(path):
        return None
    document = json.loads(read_bytes(path))
    # A lone user such as git is part of the address; one with a password, or a token, is not.
    clean_url = re.sub(r"//(?!git@)[^/@\s]+@", "//", document.get("url", ""))
    if clean_url == document.get("url"):
        return None
    write_file(path, json.dumps({**document, "url": clean_url}, sort_keys=True))
    content = read_bytes(path)
    sha256 = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={sha256},{len(content)}"


def _copy_system_libraries(build: Build, layer: Layer) -> None:
    """Takes along the system libraries that compiled packages need and that a run image may lack."""
    files = elf_files(layer.path)
    travelling = [os.path.basename(path) for path in files]
    # What another buildpack brings in a layer of its own, such as apt's, is there at launch, too.
    for directory in build.env.get("LD_LIBRARY_PATH", "").split(":"):
        if directory and os.path.isdir(directory):
            travelling += os.listdir(directory)
    runtime = os.path.join(os.path.dirname(layer.path), "runtime", FOLDER)
    if os.path.isdir(runtime):
        travelling += os.listdir(runtime)
    found, absent = closure(files, travelling)
    if found:
        copy_libraries(found, layer)
        add_to_search(layer)
        note(f"Taken along for compiled packages: {', '.join(found)}.")
    if absent:
        warn(f"Compiled packages name libraries that are not in the build image: {', '.join(absent)}.")
