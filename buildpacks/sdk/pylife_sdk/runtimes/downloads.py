"""Archives that were downloaded once: kept with their sha256 in a cache that all apps share where there is one."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from pylife_sdk.cache import open_cache
from pylife_sdk.context import Build, Detect, read_bytes, write_file
from pylife_sdk.network_failures import REFUSED, UNCACHED, UNREACHED, UNTRUSTED
from pylife_sdk.output import fail, note
from pylife_sdk.process import Ran
from pylife_sdk.runtimes.local import sha256_of

_UNSAFE = re.compile(r"[^A-Za-z0-9.+@_-]")


class Downloads:
    """The archives of one kind of source, one for each runtime and version."""

    def __init__(self, context: Build | Detect, kind: str) -> None:
        assert isinstance(context, Build)
        self.path = os.path.join(open_cache(context, "runtimes", {"format": "1"}).path, kind)
        os.makedirs(self.path, exist_ok=True)

    def versions(self, name: str) -> list[str]:
        """The versions that are there."""
        folder = os.path.join(self.path, _safe(name))
        return (
            [each for each in sorted(os.listdir(folder)) if not each.startswith(".")] if os.path.isdir(folder) else []
        )

    def find(self, name: str, version: str) -> str | None:
        """The archive, if it is there and still what was downloaded."""
        folder = os.path.join(self.path, _safe(name), _safe(version))
        files = [each for each in sorted(os.listdir(folder)) if each != "sha256"] if os.path.isdir(folder) else []
        if len(files) != 1:
            return None
        path = os.path.join(folder, files[0])
        try:
            kept = read_bytes(os.path.join(folder, "sha256")).decode(errors="replace")
        except FileNotFoundError:
            kept = ""
        if sha256_of(path) == kept:
            return path
        note(f"{files[0]} in the cache is damaged: fetching it again.")
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def keep(self, name: str, version: str, fetch: Callable[[str], str]) -> str:
        """The archive, downloaded by ``fetch`` into the directory it is given unless it is there."""
        if path := self.find(name, version):
            return path
        folder = os.path.join(self.path, _safe(name))
        os.makedirs(folder, exist_ok=True)
        with temporary(folder) as staging:
            path = fetch(staging)
            write_file(os.path.join(staging, "sha256"), sha256_of(path))
            target = os.path.join(folder, _safe(version))
            try:
                os.rename(staging, target)
            except OSError:  # another build was faster
                shutil.rmtree(staging)
        return os.path.join(target, os.path.basename(path))


@contextmanager
def temporary(folder: str) -> Iterator[str]:
    """A directory that is gone afterwards, unless it was moved away."""
    path = tempfile.mkdtemp(prefix=".new-", dir=folder)
    os.chmod(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def fail_network(what: str, output: str, source: str) -> None:
    """Raises ``Failure`` runtime.network if a client's words tell of the network, a certificate or a refusal."""
    if UNTRUSTED.search(output):
        why = "the server's certificate is not trusted"
        fix = "Give the certificate authority of your company to the build: pylife build --ca-file company.pem"
    elif UNREACHED.search(output) or UNCACHED.search(output):
        why = "it cannot be reached, and the cache has nothing that fits"
        fix = "Build with a network once (without --network none), so that the cache is filled; or name a source that"
        fix += " needs none:\n--env BP_RUNTIME_SOURCES=folder:vendor/runtimes"
    elif REFUSED.search(output):
        why = "it refused the request"
        fix = "Check the user and password in the settings of the client (its configuration file, or its variables)."
    else:
        return
    tail = "\n".join(output.strip().splitlines()[-6:])
    fail("runtime.network", f"{what}: {why}.", found=f"asked: {source}\n{tail}", fix=fix)


def fail_client(what: str, ran: Ran, client: str, shows: str) -> NoReturn:
    """Raises the ``Failure`` of a package client that did not fetch; ``shows`` is its command that shows its settings.

    It is runtime.network where its words tell of that, else runtime.download-failed.
    """
    fail_network(what, ran.output, f"{client}, with its own configuration ({shows})")
    fail(
        "runtime.download-failed",
        f"{what}.",
        found=ran.tail or f"{client} ended with {ran.code} and said nothing",
        fix=f"{client}'s last lines above name the cause.",
    )


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name).lstrip(".")
