"""Python packages for an image: wheels that this host's pip downloads, and the files in them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from lifecycle.errors import PylifeError

_TAGS = {"amd64": "x86_64", "arm64": "aarch64"}
_GLIBC = range(28, 4, -1)
"""Minor versions of glibc 2 whose wheels are taken: no stack has an older one than the first."""


class NoWheels(PylifeError):
    """What pylife depends on could not be downloaded for an image."""

    code = "stack.no-wheels"
    fix = "Check the network and pip's configuration (`python -m pip config list`, PIP_INDEX_URL), then try again."


def download_wheels(requirements: Sequence[str], python: str, architecture: str, into: Path) -> list[Path]:
    """Have pip download a wheel for each requirement, sorted by name. Raises NoWheels.

    pip's own configuration says where from. ``python`` is the image's version (``3.11``), ``architecture`` OCI's name.
    """
    machine = _TAGS.get(architecture, architecture)
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC]
    platforms += [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")] + [f"linux_{machine}"]
    pinned = all("==" in item for item in requirements)
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--only-binary=:all:", "--implementation=cp", f"--python-version={python}"),
        *(f"--platform={name}" for name in platforms),
        *(["--no-deps"] if pinned else []),
        *(f"--dest={into}", *requirements),
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=_environment())
    if done.returncode:
        lines = done.stderr.decode(errors="replace").splitlines()
        why = next((line for line in lines if line.startswith("ERROR:")), lines[-1] if lines else "pip gave no reason")
        raise NoWheels(
            "The Python packages that pylife needs in an image could not be downloaded",
            why=why.removeprefix("ERROR: "),
            details="\n".join(lines[-20:]),
        )
    return sorted(into.glob("*.whl"))


def _environment() -> dict[str, str]:
    """This process's variables without those by which pip would install elsewhere, or wait for somebody to answer."""
    return {name: value for name, value in os.environ.items() if name not in ("PIP_TARGET", "PIP_USER", "PIP_PREFIX")}


def wheel_files(wheel: Path) -> dict[str, bytes]:
    """The files of a wheel by their names below a directory of Python packages; its scripts are left out.

    Source: the binary distribution format of PyPA, "The .data directory".
    """
    files: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            parts = PurePosixPath(name).parts
            if name.endswith("/"):
                continue
            if parts[0].endswith(".data"):
                if len(parts) < 3 or parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            if ".." in parts or PurePosixPath(*parts).is_absolute():
                raise NoWheels(f"{wheel.name} cannot be unpacked", why=f"it has a file named {name!r}")
            files[str(PurePosixPath(*parts))] = archive.read(name)
    return files
