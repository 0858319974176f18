"""Unpacks packages into a directory and makes them work there: links, interpreters, own paths, alternatives."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Sequence
from typing import NoReturn

from pylife_sdk.debian.alternatives import make_alternatives, script_of
from pylife_sdk.debian.apt import Package
from pylife_sdk.debian.relocate import relocate
from pylife_sdk.output import fail, note
from pylife_sdk.process import run

_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# Of no use in an app's image; licences stay.
_LEFT_OUT = re.compile(r"usr/share/(man|info|locale|lintian|bug|linda|groff|doc-base|doc/(?!.*/copyright$).*)(/|$)")


def unpack(packages: Sequence[Package], root: str) -> None:
    """Unpacks ``packages`` into ``root``, an empty directory that must stay where it is.

    /bin, /lib and the like are links to those below usr/, as on a Debian of today. No maintainer script runs: which
    packages have one is printed. Raises ``Failure`` apt.bad-package, apt.disk-full.
    """
    try:
        _unpack(packages, root)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _fail_full(str(error))


def _fail_full(found: str) -> NoReturn:
    fail(
        "apt.disk-full",
        "There is no room on the disk to unpack Debian packages.",
        found=found,
        fix="Make room, for example by removing what no image needs any more:\npylife gc",
    )


def _unpack(packages: Sequence[Package], root: str) -> None:
    scripts: dict[str, str] = {}
    for package in packages:
        ran = run(["dpkg-deb", "-x", package.archive, root], env=os.environ, cwd=root, show=None)
        if ran.code and "No space left" in ran.output:
            _fail_full(ran.tail)
        if ran.code:
            fail(
                "apt.bad-package",
                f"{os.path.basename(package.archive)} cannot be unpacked.",
                found=ran.tail,
                fix="If it is a file of the app, give it whole; if it is from the cache, clear that:\n"
                "pylife build --clear-cache",
            )
        if script := script_of(package.archive, root):
            scripts[package.name] = script
    _merge_usr(root)
    _clean(root)
    made = make_alternatives([scripts[name] for name in sorted(scripts)], root)
    relocate(root)
    if made:
        more = f" and {len(made) - 6} more" if len(made) > 6 else ""
        note(f"Linked as update-alternatives would: {', '.join(made[:6])}{more}.")
    if scripts:
        note(f"Not run, since nothing is installed into the system: the scripts of {', '.join(sorted(scripts))}.")


def _merge_usr(root: str) -> None:
    for name in _MERGED:
        path = os.path.join(root, name)
        if os.path.isdir(path) and not os.path.islink(path):
            _merge(path, os.path.join(root, "usr", name))
            shutil.rmtree(path)
        if os.path.isdir(os.path.join(root, "usr", name)) and not os.path.lexists(path):
            os.symlink(f"usr/{name}", path)


def _merge(source: str, target: str) -> None:
    os.makedirs(target, exist_ok=True)
    for entry in sorted(os.listdir(source)):
        path, place = os.path.join(source, entry), os.path.join(target, entry)
        if os.path.isdir(path) and not os.path.islink(path):
            _merge(path, place)
        elif not os.path.lexists(place):
            os.rename(path, place)


def _clean(root: str) -> None:
    """Drops documentation, and rights that only root could give: a layer's files belong to nobody special."""
    for directory, folders, files in os.walk(root, topdown=True):
        within = os.path.relpath(directory, root)
        for name in [*folders, *files]:
            path = os.path.join(directory, name)
            if os.path.islink(path):
                if _LEFT_OUT.match(os.path.join(within, name)):
                    os.remove(path)
                continue
            mode = os.lstat(path).st_mode
            if stat.S_ISDIR(mode):
                os.chmod(path, 0o755)
            elif not stat.S_ISREG(mode) or _LEFT_OUT.match(os.path.join(within, name)):
                os.remove(path)
            else:
                os.chmod(path, 0o755 if mode & 0o111 else 0o644)
    for directory, _, _ in os.walk(os.path.join(root, "usr", "share"), topdown=False):
        if not os.listdir(directory):
            os.rmdir(directory)
