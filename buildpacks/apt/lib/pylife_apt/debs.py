"""Packages by address: downloaded once, taken only when they are what their checksum says."""

from __future__ import annotations

import hashlib
import os
import shutil
from http.client import HTTPException
from typing import NoReturn
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from pylife_sdk.cache import open_cache
from pylife_sdk.context import Build
from pylife_sdk.output import fail, note

from pylife_apt.wanted import Wanted


def fetch_deb(context: Build, wanted: Wanted) -> str:
    """The path of the file in the cache. Raises ``Failure`` apt.checksum-missing, -mismatch, apt.network."""
    folder = os.path.join(open_cache(context, "debs", {"format": "1"}).path, wanted.sha256 or "unknown")
    name = os.path.basename(wanted.spec.partition("?")[0])
    path = os.path.join(folder, name)
    if wanted.sha256 and os.path.exists(path):
        if _sum(path) == wanted.sha256:
            return path
        note(f"{name} in the cache is damaged: fetching it again.")
    os.makedirs(folder, exist_ok=True)
    part = f"{path}.{os.getpid()}"
    try:
        _download(wanted, part)
        got = _sum(part)
        if not wanted.sha256:
            fail(
                "apt.checksum-missing",
                f"{wanted.origin} names a package by its address, but not what must be there.",
                found=f"{wanted.spec}\nthere is now: sha256 {got}, {os.path.getsize(part)} bytes",
                fix=f"If that is the file you mean, write its checksum behind it:\n{wanted.spec} # sha256:{got}",
            )
        if got != wanted.sha256:
            fail(
                "apt.checksum-mismatch",
                f"{name} is not what {wanted.origin} promises.",
                found=f"promised: sha256 {wanted.sha256}\ngot:      sha256 {got} ({os.path.getsize(part)} bytes)",
                fix="Find out why the file changed before you write the new checksum into the file.",
            )
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)
    return path


def _download(wanted: Wanted, path: str) -> None:
    try:
        request = Request(wanted.spec, headers={"User-Agent": "pylife"})
        with urlopen(request, timeout=60) as response, open(path, "wb") as file:
            shutil.copyfileobj(response, file, 1 << 20)
    except HTTPError as error:
        error.close()
        _unfetched(
            wanted,
            f"the server answers {error.code} {error.reason}",
            "Correct the address: a browser must get the file.",
        )
    except (URLError, HTTPException, OSError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        _unfetched(
            wanted,
            str(reason),
            "Build with a network once (without --network none), so that the cache is filled; or commit the file and\n"
            f"name it by its path: vendor/{os.path.basename(wanted.spec)}",
        )


def _unfetched(wanted: Wanted, why: str, fix: str) -> NoReturn:
    fail("apt.network", f"The package of {wanted.origin} could not be fetched.", found=f"{wanted.spec}\n{why}", fix=fix)


def _sum(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
