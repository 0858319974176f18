"""A mirror: a web server or folder with an index.json that says where each version lies and what its sha256 is.

``{"node": {"20.1.0": {"linux-x64": {"url": "node-20.1.0.tar.gz", "sha256": "…"}}}}``; a url counts from the index.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import posixpath
import shutil
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from pylife_sdk.context import Build, Detect
from pylife_sdk.output import fail
from pylife_sdk.runtimes.archives import ENDINGS, unpack
from pylife_sdk.runtimes.choice import Runtime
from pylife_sdk.runtimes.downloads import Downloads, fail_network
from pylife_sdk.runtimes.local import generic, sha256_of
from pylife_sdk.runtimes.order import redact
from pylife_sdk.runtimes.source import Source, arch
from pylife_sdk.sbom import Component


class Mirror(Source):
    """The versions of one runtime that an index names for this processor."""

    name = "mirror"
    online = True

    def __init__(self, runtime: Runtime, context: Build | Detect, url: str) -> None:
        self.runtime, self.context = runtime, context
        self.index = url if url.endswith(".json") else url.rstrip("/") + "/index.json"
        self.shown = redact(self.index)
        self.platform = f"linux-{arch()}"
        self.none = f"its index has no {runtime.name} for {self.platform}"
        self._entries: dict[str, tuple[str, str]] | None = None
        if urlsplit(url).scheme not in ("http", "https", "file"):
            fail(
                "runtime.bad-sources",
                f"The address of a mirror of runtimes is not one: {redact(url)}.",
                found=f"mirror:{redact(url)}",
                fix="Give an address that begins with https://, http:// or file://, below which index.json lies.",
            )

    def versions(self) -> list[str]:
        return list(self._read())

    def cached(self) -> list[str]:
        return Downloads(self.context, "mirror").versions(self._shelf())

    def origin(self, version: str) -> str:
        return f"mirror {self.shown}"

    def place(self, version: str, directory: str) -> None:
        downloads = Downloads(self.context, "mirror")
        unpack(downloads.keep(self._shelf(), version, lambda at: self._fetch(version, at)), directory)

    def components(self, version: str) -> list[Component]:
        return [generic(self.runtime.name, version)]

    def _shelf(self) -> str:
        return f"{self.runtime.name}-{self.platform}-{hashlib.sha256(self.shown.encode()).hexdigest()[:12]}"

    def _read(self) -> dict[str, tuple[str, str]]:
        """Version → absolute URL and sha256."""
        if self._entries is None:
            try:
                index = json.loads(_get(self.index, self.shown, limit=64 << 20))
                runtime = index.get(self.runtime.name, {})
                self._entries = {
                    version: self._entry(platforms)
                    for version, platforms in runtime.items()
                    if self.platform in platforms
                }
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                fail(
                    "runtime.bad-index",
                    f"The index of the mirror cannot be read: {self.shown}.",
                    found=f"{type(error).__name__}: {error}",
                    fix='It must be JSON such as {"node": {"20.1.0": {"linux-x64": {"url": "node-20.1.0.tar.gz", '
                    '"sha256": "…64 hex digits…"}}}}',
                )
        return self._entries

    def _entry(self, platforms: Any) -> tuple[str, str]:
        entry = platforms[self.platform]
        url, sha256 = urljoin(self.index, entry["url"]), entry["sha256"].lower()
        if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
            raise ValueError(f"sha256 of {redact(url)} is not 64 hex digits: {sha256!r}")
        return url, sha256

    def _fetch(self, version: str, directory: str) -> str:
        url, sha256 = self._read()[version]
        name = unquote(posixpath.basename(urlsplit(url).path))
        if not name.endswith(ENDINGS) or "/" in name:
            name = f"{self.runtime.name}-{version}.tar.gz"
        path = os.path.join(directory, name)
        with _open(url, redact(url)) as response, open(path, "wb") as file:
            shutil.copyfileobj(response, file, 1 << 20)
        if (got := sha256_of(path)) != sha256:
            fail(
                "runtime.checksum-mismatch",
                f"{redact(url)} is not what the mirror's index promises.",
                found=f"promised: sha256 {sha256}\ngot:      sha256 {got} ({os.path.getsize(path)} bytes)",
                fix="Whoever keeps the mirror must correct the archive or its sha256 in index.json. Nothing of it was "
                "used.",
            )
        return path


def _get(url: str, shown: str, limit: int) -> bytes:
    with _open(url, shown) as response:
        content: bytes = response.read(limit)
    return content


def _open(url: str, shown: str) -> Any:
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    request = Request(urlunsplit(parts._replace(netloc=host)), headers={"User-Agent": "pylife"})
    if at:
        request.add_header("Authorization", "Basic " + base64.b64encode(unquote(user).encode()).decode())
    try:
        return urlopen(request, timeout=60)
    except (URLError, HTTPException, OSError) as error:
        reason = str(error.reason) if isinstance(error, URLError) and not isinstance(error, HTTPError) else str(error)
        if isinstance(error, HTTPError):
            error.close()
        fail_network(f"The mirror {shown} could not be asked", reason, shown)
        fail(
            "runtime.download-failed",
            f"The mirror {shown} could not be asked.",
            found=reason,
            fix=f"Check the address: it must answer with a file.\ncurl -I {shown}",
        )
