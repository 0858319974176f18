"""Asking an index itself why it has no package: uv takes a refusal for an absence."""

from __future__ import annotations

import base64
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
_REFUSALS = (401, 403, 407)
_SECONDS = 20


def refusal(env: Mapping[str, str], package: str) -> str:
    """What the first index of the settings that refuses to tell about ``package`` answers; "" when none refuses."""
    for name in _INDEXES:
        for entry in env.get(name, "").split():
            url = entry.partition("=")[2] if "=" in entry.partition("://")[0] else entry
            if url.startswith(("http://", "https://")) and (code := _status(url, package, env)) in _REFUSALS:
                given = "wrong" if "@" in url else "no"
                return f"{urlsplit(url).hostname} answers {code} {HTTPStatus(code).phrase} ({given} name and password)"
    return ""


def _status(url: str, package: str, env: Mapping[str, str]) -> int:
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=f"{parts.path.rstrip('/')}/{package}/").geturl()
    request = urllib.request.Request(bare)
    if parts.username:
        given = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_header("Authorization", "Basic " + base64.b64encode(given.encode()).decode())
    try:
        trusted = ssl.create_default_context(cafile=env.get("SSL_CERT_FILE"))
        with urllib.request.urlopen(request, timeout=_SECONDS, context=trusted) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return 0
