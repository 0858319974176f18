"""The installer: uv at a pinned version, fetched by the build image's pip with a pinned hash, kept in a layer."""

from __future__ import annotations

import os
import shutil
import zipfile

from pylife_sdk.cache import VARIABLE, open_cache
from pylife_sdk.context import Build, write_file
from pylife_sdk.layer import open_layer
from pylife_sdk.output import fail, note
from pylife_sdk.pip import run_pip

from pylife_python.index import bound_env, hide, vendored
from pylife_python.network import network_reason

VERSION = "0.13.8"
_HASHES = {
    "x86_64": "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984",
    "aarch64": "5337c30bb893b4f9ce0ceb921ba2da0d13f649da644f40ad3bef84083bef0203",
}
_ARCHIVE = f"uv-{VERSION}.data/scripts/uv"


def keep_uv(build: Build) -> None:
    """Keeps a restored uv in the cache for the next build, without looking into it."""
    layer = open_layer(build, "uv", at_build=True, cache=True)
    if layer.remembered is not None:
        layer.commit(layer.remembered)


def provide_uv(build: Build) -> str:
    """The path of the uv executable. Raises ``Failure`` when it cannot be fetched."""
    layer = open_layer(build, "uv", at_build=True, cache=True)
    machine = os.uname().machine
    key = {"uv": VERSION, "platform": machine}
    program = os.path.join(layer.path, "bin", "uv")
    reason = layer.stale(key)
    if reason is not None:
        if machine not in _HASHES:
            fail(
                "python.uv-unavailable",
                f"There is no pinned uv {VERSION} for this processor.",
                found=f"processor: {machine}; pinned for: {', '.join(sorted(_HASHES))}",
                fix="Build on one of these, or on an emulated one (pylife build --platform linux/amd64).",
            )
        kept = _shared(build)
        if kept and os.path.isfile(kept):
            note(f"uv {VERSION} comes from the cache that apps share: {reason}.")
            layer.empty()
            _take(kept, program)
        else:
            note(f"Fetching uv {VERSION}: {reason}.")
            _fetch(layer.empty(), program, _HASHES[machine], build)
            if kept:
                _keep(program, kept)
    layer.commit(key)
    return program


def _shared(build: Build) -> str:
    """Where other apps' builds keep this uv, too; "" where the platform has no such place."""
    if not build.env.get(VARIABLE):
        return ""
    cache = open_cache(build, "uv", {"platform": os.uname().machine, "uv": VERSION})
    return os.path.join(cache.path, "uv") if cache.shared else ""


def _take(kept: str, program: str) -> None:
    os.makedirs(os.path.dirname(program))
    shutil.copyfile(kept, program)
    os.chmod(program, 0o755)


def _keep(program: str, kept: str) -> None:
    """Puts uv where other apps find it, whole or not at all."""
    part = f"{kept}.{os.getpid()}"
    shutil.copyfile(program, part)
    os.chmod(part, 0o755)
    os.replace(part, kept)


def _fetch(directory: str, program: str, sha256: str, build: Build) -> None:
    env = bound_env(build, build.env)
    folder = vendored(build.app)
    links = [os.path.join(build.app, folder)] if folder else []
    download = os.path.join(directory, "download")
    os.makedirs(download)
    wanted = os.path.join(download, "uv.txt")
    write_file(wanted, f"uv=={VERSION} --hash=sha256:{sha256}\n")
    arguments = ["download", "--no-deps", "--require-hashes", "--only-binary=:all:", "--quiet"]
    arguments += ["--dest", download, "-r", wanted]
    for folder in links:
        arguments += ["--find-links", folder]
    ran = run_pip(*arguments, env=env, cwd=directory)
    wheels = [name for name in os.listdir(download) if name.endswith(".whl")]
    if ran.code or len(wheels) != 1:
        output = hide(ran.output.strip(), ())
        reason = network_reason(output)
        if reason:
            fail(
                "python.network",
                f"The installer uv {VERSION} could not be fetched: {reason[0]}",
                found="\n".join(output.splitlines()[-6:]),
                fix=reason[1],
            )
        fail(
            "python.uv-unavailable",
            f"The installer uv {VERSION} could not be fetched by the build image's pip.",
            found="\n".join(output.splitlines()[-6:]) or f"pip ended with {ran.code} and said nothing",
            fix="If a package index of your own is set (PIP_INDEX_URL), it must offer the package uv. With a folder of "
            f"packages in the app, put it there, too:\npip download --no-deps -d {folder or 'vendor'} uv=={VERSION}",
        )
    os.makedirs(os.path.dirname(program))
    with (
        zipfile.ZipFile(os.path.join(download, wheels[0])) as wheel,
        wheel.open(_ARCHIVE) as packed,
        open(program, "wb") as file,
    ):
        shutil.copyfileobj(packed, file, 1 << 20)
    os.chmod(program, 0o755)
    shutil.rmtree(download)
