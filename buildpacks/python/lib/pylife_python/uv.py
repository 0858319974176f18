"""The installer: uv at a pinned version, fetched by the build image's pip with a pinned hash, kept in a layer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile

from pylife_sdk.context import Build, write_file
from pylife_sdk.layer import open_layer
from pylife_sdk.output import fail, note

from pylife_python.failures import network_reason

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
        note(f"Fetching uv {VERSION}: {reason}.")
        _fetch(layer.empty(), program, _HASHES[machine])
    layer.commit(key)
    return program


def _fetch(directory: str, program: str, sha256: str) -> None:
    download = os.path.join(directory, "download")
    os.makedirs(download)
    wanted = os.path.join(download, "uv.txt")
    write_file(wanted, f"uv=={VERSION} --hash=sha256:{sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--disable-pip-version-check", "--quiet", "--dest", download, "-r", wanted]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    wheels = [name for name in os.listdir(download) if name.endswith(".whl")]
    if run.returncode or len(wheels) != 1:
        output = run.stdout.strip()
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
            found="\n".join(output.splitlines()[-6:]) or f"pip ended with {run.returncode} and said nothing",
            fix="If a package index of your own is set (PIP_INDEX_URL), it must offer the package uv.",
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
