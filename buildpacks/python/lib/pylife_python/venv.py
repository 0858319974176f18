"""The virtual environment: a layer that is kept while all it was made from is the same, and made afresh otherwise.

Made afresh it comes from uv's own cache, another layer, and from the bytecode of the one before: quick, and with the
same bytes as on a machine that never built this app.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

from pylife_sdk.context import Build, read_bytes
from pylife_sdk.layer import Layer, open_layer
from pylife_sdk.output import note, warn
from pylife_sdk.requirements import Requirements, read_requirements
from pylife_sdk.sbom import cyclonedx, python_components, spdx
from pylife_sdk.tree import digest, tree_digest

from pylife_python import uv
from pylife_python.failures import explain
from pylife_python.libraries import FOLDER, add_to_search, closure, copy_libraries, elf_files
from pylife_python.runtime import compile_tree

RECIPE = "1"
EPOCH = "315532801"
# What pip's settings are called in uv. A value set for uv itself wins.
_PIP_SETTINGS = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
    "PIP_CONSTRAINT": "UV_CONSTRAINT",
    "PIP_CERT": "SSL_CERT_FILE",
}
_UV_SETTINGS = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_CONSTRAINT",
    "UV_OVERRIDE",
    "UV_PRERELEASE",
    "UV_RESOLUTION",
    "UV_INDEX_STRATEGY",
    "UV_NO_BINARY",
    "UV_NO_BUILD",
    "UV_EXCLUDE_NEWER",
    "PIP_NO_INDEX",
    "PIP_NO_BINARY",
    "PIP_ONLY_BINARY",
)
# What would make the environment somewhere else or of something else than the layer needs.
_OURS = re.compile(
    r"(VIRTUAL_ENV|PYTHONHOME|PYTHONPATH|PYTHONUSERBASE|PIP_(PREFIX|TARGET|ROOT|USER|PYTHON|CACHE_DIR)"
    r"|UV_(CACHE_DIR|NO_CACHE|LINK_MODE|PYTHON|PYTHON_.*|MANAGED_PYTHON|NO_MANAGED_PYTHON|PROJECT.*|TARGET|PREFIX"
    r"|SYSTEM_PYTHON|BREAK_SYSTEM_PACKAGES|COMPILE_BYTECODE|VENV_.*|WORKING_DIR.*))$"
)


def provide_venv(build: Build, requirements_path: str, python: str, version: str, runtime: str) -> Layer:
    """The virtual environment with everything that the requirements name, made or kept.

    ``runtime`` is the origin of the interpreter; it is part of the key. Raises ``Failure`` when installing fails.
    """
    wanted = read_requirements(requirements_path)
    layer = open_layer(build, "venv", at_build=True, launch=True, cache=True)
    env = _installer_env(build)
    key = _key(build, wanted, version, runtime, env)
    reason = layer.stale(key)
    if reason is None:
        note("The virtual environment is kept from the last build: its requirements are the same.")
        uv.keep_uv(build)
        _cache_layer(build)
    else:
        note(f"Installing requirements.txt into a new virtual environment: {reason}.")
        if _install(build, layer, requirements_path, wanted, python, version, env):
            key["packages"] = "an editable install wrote files into the app"
    if reason is not None or not layer.has_sbom():
        components = python_components(_site_packages(layer, version))
        layer.write_sbom("cdx", cyclonedx("python-packages", components))
        layer.write_sbom("spdx", spdx("python-packages", components))
    layer.commit(key)
    return layer


def has_package(layer: Layer, name: str) -> bool:
    """Whether a package of this import name is installed in the virtual environment."""
    library = os.path.join(layer.path, "lib")
    return any(os.path.isdir(os.path.join(library, python, "site-packages", name)) for python in os.listdir(library))


def _key(build: Build, wanted: Requirements, version: str, runtime: str, env: dict[str, str]) -> dict[str, str]:
    names = [os.path.relpath(path, build.app) for path in wanted.files]
    key = {
        "Python": version,
        "the interpreter": runtime,
        "the installer": f"uv {uv.VERSION}",
        "platform": os.uname().machine,
        "recipe": RECIPE,
    }
    for name, path in zip(names, wanted.files, strict=True):
        key[name] = digest([read_bytes(path)])
    for path in wanted.local:
        if os.path.exists(path):
            shown = os.path.relpath(path, build.app)
            key[f"the source of {shown}"] = tree_digest(path) if os.path.isdir(path) else digest([read_bytes(path)])
    settings = [f"{name}={_without_credentials(env[name])}" for name in _UV_SETTINGS if name in env]
    if settings:
        key["the package index settings"] = digest(setting.encode() for setting in settings)
    for name in ("uv.toml", "pyproject.toml"):
        path = os.path.join(build.app, name)
        if os.path.isfile(path) and (name == "uv.toml" or b"[tool.uv" in read_bytes(path)):
            key[f"uv's settings in {name}"] = digest([read_bytes(path)])
    return key


def _install(
    build: Build,
    layer: Layer,
    requirements_path: str,
    wanted: Requirements,
    python: str,
    version: str,
    env: dict[str, str],
) -> bool:
    """Fills the layer. Returns whether the install left files in the app that an editable package needs."""
    program = uv.provide_uv(build)
    env = env | {"UV_CACHE_DIR": _cache_layer(build)}
    old = layer.path + ".old"
    shutil.rmtree(old, ignore_errors=True)
    if os.path.isdir(layer.path):
        shutil.move(layer.path, old)  # a rename, or a copy where the restored layer lies on a file system of its own
    before = _source_entries(wanted)
    try:
        create = [program, "venv", "--quiet", "--python", python, "--no-project", layer.path]
        _run(create, env, build.app, requirements_path, quiet=True)
        target = os.path.join(layer.path, "bin", "python")
        install = [program, "pip", "install", "--python", target, "--requirement", os.path.basename(requirements_path)]
        _run(install + _options(env, wanted), env, build.app, requirements_path)
        left = _clean_sources(before, wanted)
        site = _site_packages(layer, version)
        _make_reproducible(layer, site)
        _copy_system_libraries(layer)
        compile_tree(python, site, _site_packages(layer, version).replace(layer.path, old, 1))
    finally:
        shutil.rmtree(old, ignore_errors=True)
    return left


def _run(command: list[str], env: dict[str, str], cwd: str, requirements_path: str, *, quiet: bool = False) -> None:
    """Runs uv, passing its lines on as they come. Raises ``Failure`` when it fails."""
    seen = []
    with subprocess.Popen(
        command, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Using Python"):
                continue
            seen.append(line)
            if not quiet:
                note(line.rstrip())
    if process.returncode:
        explain("".join(seen), os.path.basename(requirements_path))


def _installer_env(build: Build) -> dict[str, str]:
    """The environment of uv: the build's own, pip's settings in uv's words, and nothing that moves the target."""
    aside = sorted(name for name in build.user_env() if _OURS.match(name))
    if aside:
        warn(f"{', '.join(aside)}: left aside while packages are installed; the layers decide it.")
    env = {name: value for name, value in build.env.items() if not _OURS.match(name)}
    for pip_name, uv_name in _PIP_SETTINGS.items():
        if value := env.get(pip_name):
            separator = "," if uv_name == "UV_FIND_LINKS" else " "
            env.setdefault(uv_name, separator.join(value.split()) if pip_name != "PIP_CERT" else value)
    if _is_on(env.get("PIP_PRE", "")):
        env.setdefault("UV_PRERELEASE", "allow")
    # pip takes the best version that any index has; uv would stop at the first index that knows the name.
    env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    env |= {
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
        "SOURCE_DATE_EPOCH": EPOCH,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    # Debug information would hold the random names of uv's build directories.
    for flags in ("CFLAGS", "CXXFLAGS"):
        env[flags] = f"{env.get(flags, '')} -g0".strip()
    headers = "/usr/include/python{}.{}".format(*sys.version_info[:2])
    if os.path.isdir(headers):
        env["CPATH"] = f"{env['CPATH']}:{headers}" if env.get("CPATH") else headers
    return env


def _options(env: dict[str, str], wanted: Requirements) -> list[str]:
    """pip's settings that uv knows as options only, and pip's rule that one hash asks for all of them."""
    options = ["--no-index"] if _is_on(env.get("PIP_NO_INDEX", "")) else []
    options += ["--require-hashes"] if wanted.hashed or _is_on(env.get("PIP_REQUIRE_HASHES", "")) else []
    for name, option in (("PIP_NO_BINARY", "--no-binary"), ("PIP_ONLY_BINARY", "--only-binary")):
        for package in env.get(name, "").replace(",", " ").split():
            options += [option, package]
    return options


def _is_on(value: str) -> bool:
    return value.lower() in ("1", "true", "yes", "on")


def _cache_layer(build: Build) -> str:
    """The path of uv's cache, a layer that only builds see; begun anew with another uv."""
    layer = open_layer(build, "uv-cache", cache=True)
    key = {"uv": uv.VERSION}
    if layer.stale(key):
        layer.empty()
    layer.commit(key)
    return layer.path


def _make_reproducible(layer: Layer, site: str) -> None:
    """Removes what differs from one install to the next: uv's notes about local sources, its lock."""
    for name in os.listdir(site):
        information = os.path.join(site, name)
        if not name.endswith(".dist-info") or not os.path.exists(os.path.join(information, "RECORD")):
            continue
        note_path, record = os.path.join(information, "uv_cache.json"), os.path.join(information, "RECORD")
        if os.path.exists(note_path):
            os.unlink(note_path)
        with open(record, encoding="utf-8", newline="") as file:
            lines = sorted(line for line in file if not line.startswith(f"{name}/uv_cache.json,"))
        with open(record, "w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
    for name in (".lock", ".gitignore", "CACHEDIR.TAG"):
        path = os.path.join(layer.path, name)
        if os.path.lexists(path):
            os.unlink(path)


def _copy_system_libraries(layer: Layer) -> None:
    """Takes along the system libraries that compiled packages need and that a run image may lack."""
    files = elf_files(layer.path)
    travelling = [os.path.basename(path) for path in files]
    runtime = os.path.join(os.path.dirname(layer.path), "runtime", FOLDER)
    found, absent = closure(files, travelling + os.listdir(runtime))
    if found:
        copy_libraries(found, layer)
        add_to_search(layer)
        note(f"Taken along for compiled packages: {', '.join(found)}.")
    if absent:
        warn(f"Compiled packages name libraries that are not in the build image: {', '.join(absent)}.")


def _source_entries(wanted: Requirements) -> dict[str, set[str]]:
    return {path: set(_walk(path)) for path in wanted.local if os.path.isdir(path)}


def _clean_sources(before: dict[str, set[str]], wanted: Requirements) -> bool:
    """Removes build leftovers from local sources. Returns whether other new files are left there."""
    left = False
    for root, entries in before.items():
        for path in sorted(set(_walk(root)) - entries):
            relative = os.path.relpath(path, root)
            top = next((part for part in relative.split(os.sep) if _is_leftover(part)), None)
            if top is None:
                left = left or not os.path.isdir(path)
            elif os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            elif os.path.lexists(path):
                os.unlink(path)
    return left


def _is_leftover(name: str) -> bool:
    return name in ("build", "__pycache__") or name.endswith(".egg-info")


def _walk(root: str) -> list[str]:
    return [
        os.path.join(directory, name)
        for directory, folders, files in os.walk(root)
        if "/.git" not in directory
        for name in (*folders, *files)
    ]


def _site_packages(layer: Layer, version: str) -> str:
    minor = ".".join(version.split(".")[:2])
    return os.path.join(layer.path, "lib", f"python{minor}", "site-packages")


def _without_credentials(value: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//", value)
