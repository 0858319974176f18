"""Archives of runtimes: unpacked without their outer folders, so that bin/ lies where it is looked for."""

from __future__ import annotations

import os
import posixpath
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pylife_sdk.output import fail

ENDINGS = (".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tar.zst", ".tzst", ".tar", ".zip", ".whl")
_CHUNK = 1 << 20


def unpack(archive: str, directory: str) -> None:
    """Unpacks the part of an archive that has bin/ into an existing directory.

    Modes become 755 or 644; owners and times are left behind. Raises ``Failure`` runtime.bad-archive for what is no
    archive, has no bin/, or has a name that leads out of it.
    """
    try:
        if archive.endswith((".zip", ".whl")):
            _unzip(archive, directory)
        else:
            _untar(archive, directory)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a full disk, say: not the archive's fault
        bad(archive, f"it cannot be unpacked ({error or type(error).__name__})")


def bad(archive: str, why: str) -> None:
    """Raises ``Failure`` runtime.bad-archive."""
    fail(
        "runtime.bad-archive",
        f"{os.path.basename(archive)} is no archive of a runtime: {why}.",
        found=f"{archive}: {os.path.getsize(archive)} bytes",
        fix="Put the archive there as its maker publishes it: a folder with bin/ in a "
        f"{', '.join(ENDINGS[:3])}, .tar.zst or .zip.",
    )


def root_of(names: Iterable[str]) -> str | None:
    """The outermost folder that has bin/, "" for the archive's own root, None when there is none."""
    homes = {posixpath.dirname(name.rstrip("/")) for name in names if "bin" in name.split("/")}
    found = {home[: -len("bin")].rstrip("/") for home in homes if home == "bin" or home.endswith("/bin")}
    return min(found, key=lambda home: (home.count("/") + bool(home), home)) if found else None


def _untar(archive: str, directory: str) -> None:
    # Twice through a compressed archive would cost as much again, so what lies before bin/ is put aside by place:
    # everything is unpacked as it is named, and the folder with bin/ is moved up afterwards.
    staging = os.path.realpath(os.path.join(directory, ".unpacking"))
    names: list[str] = []
    with _open_tar(archive) as tar:
        for member in tar:
            name = posixpath.normpath(member.name)
            if name == ".":
                continue
            if name.startswith(("/", "../")) or name == "..":
                bad(archive, f"it holds {member.name!r}")
            target = os.path.join(staging, name)
            names.append(name)
            _make_folder(archive, staging, target if member.isdir() else os.path.dirname(target))
            if member.isdir():
                continue
            if member.issym():
                inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
                if member.linkname.startswith("/") or inside.startswith("../"):
                    bad(archive, f"its link {name} leads out of it, to {member.linkname}")
                os.symlink(member.linkname, target)
            elif member.islnk():
                origin = os.path.join(staging, posixpath.normpath(member.linkname))
                _make_folder(archive, staging, os.path.dirname(origin))
                os.link(origin, target, follow_symlinks=False)
            elif member.isfile() and (content := tar.extractfile(member)) is not None:
                with open(target, "wb") as file:
                    shutil.copyfileobj(content, file, _CHUNK)
                os.chmod(target, 0o755 if member.mode & 0o111 else 0o644)
    _move_up(archive, staging, names, directory)


def _make_folder(archive: str, staging: str, folder: str) -> None:
    """Makes a folder below ``staging``; refuses one that a link of the archive leads elsewhere."""
    if os.path.realpath(folder) != os.path.normpath(folder):
        bad(archive, f"it holds files behind its link {os.path.relpath(folder, staging)}")
    os.makedirs(folder, exist_ok=True)


def _unzip(archive: str, directory: str) -> None:
    staging = os.path.join(directory, ".unpacking")
    with zipfile.ZipFile(archive) as packed:
        names = packed.namelist()
        for info in packed.infolist():
            name = posixpath.normpath(info.filename)
            if name.startswith(("/", "../")) or name == "..":
                bad(archive, f"it holds {info.filename!r}")
            target = os.path.join(staging, name)
            if info.is_dir():
                os.makedirs(target, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with packed.open(info) as content, open(target, "wb") as file:
                shutil.copyfileobj(content, file, _CHUNK)
            os.chmod(target, 0o755 if (info.external_attr >> 16) & 0o111 else 0o644)
    _move_up(archive, staging, names, directory)


def _move_up(archive: str, staging: str, names: list[str], directory: str) -> None:
    root = root_of(names)
    if root is None:
        shutil.rmtree(staging, ignore_errors=True)
        bad(archive, "no folder in it has bin/")
        return
    home = os.path.join(staging, root)
    for entry in sorted(os.listdir(home)):
        os.rename(os.path.join(home, entry), os.path.join(directory, entry))
    shutil.rmtree(staging)


@contextmanager
def _open_tar(archive: str) -> Iterator[tarfile.TarFile]:
    if not archive.endswith((".tar.zst", ".tzst")):
        with tarfile.open(archive, "r|*") as tar:
            yield tar
        return
    # The build image's Python has no zstd of its own.
    with subprocess.Popen(["zstd", "-dcq", archive], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            yield tar
        while process.stdout.read(_CHUNK):
            pass
        errors = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise tarfile.ReadError(errors or f"zstd ended with {process.returncode}")
