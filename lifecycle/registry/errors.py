"""What can go wrong between pylife and a registry.

RegistryError
 ├─ Unreachable      no connection, or it broke            ├─ RateLimited    429, and waiting did not help
 ├─ BadCertificate   TLS does not verify                   ├─ Unavailable    5xx, and waiting did not help
 ├─ Unauthorized     401: no or wrong credentials          ├─ Refused        another 4xx, with the registry's words
 ├─ Denied           403: known, but not allowed           ├─ NotARegistry   a web page, or no /v2/
 ├─ NotFound         404: no such repository or image      └─ BadAnswer      not what the protocol says
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from lifecycle.record import dataclass
from lifecycle.transport.errors import RETRYABLE, HttpError


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of a registry's error list. Source: OCI distribution-spec v1.1, "Error Codes"."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


class RegistryError(HttpError):
    """A registry could not do what was asked. ``faults`` are the registry's own codes."""

    code = "registry.failed"
    fix = "Look at the registry's own log for this request, then try again."
    faults: tuple[Fault, ...] = ()

    def as_dict(self) -> dict[str, object]:
        faults = [{"code": item.code, "message": item.message} for item in self.faults]
        return {**super().as_dict(), **({"registry_errors": faults} if faults else {})}


class Unreachable(RegistryError):
    """No connection could be made, or it broke."""

    code = "registry.unreachable"
    fix = (
        "Check the registry's name and port, that it runs, and your network and proxy settings (HTTPS_PROXY, NO_PROXY)."
    )
    lost = True
    connected = False


class BadCertificate(RegistryError):
    """The registry's TLS certificate does not verify, or it does not speak TLS."""

    code = "registry.bad-certificate"
    fix = "Name the authority with --ca-file FILE (or SSL_CERT_FILE), or allow the host with --insecure-registry HOST."


class Unauthorized(RegistryError):
    """The registry wants credentials and got none, or refused those it got (401)."""

    code = "registry.unauthorized"
    fix = "Log in with `pylife login REGISTRY`, or give CNB_REGISTRY_AUTH or a docker or podman config file."


class Denied(RegistryError):
    """The registry knows who asks but does not allow it (403)."""

    code = "registry.denied"
    fix = "Ask the registry's owner for the right to the repository, or log in as another user with `pylife login`."


class NotFound(RegistryError):
    """The repository, manifest or blob is not in the registry (404)."""

    code = "registry.not-found"
    fix = "Check the image's name and tag; a private repository may look missing until you log in."


class RateLimited(RegistryError):
    """The registry says that too much was asked (429), and waiting did not help."""

    code = "registry.rate-limited"
    fix = "Wait and try again, log in for a higher limit, or pull through a mirror with --registry-mirror."


class Unavailable(RegistryError):
    """The registry, or something before it, failed (5xx), also when asked again."""

    code = "registry.unavailable"
    fix = "The fault is on the registry's side: try again later, or ask its owner to look at its log."


class Refused(RegistryError):
    """The registry refused the request (another 4xx); its own words are in the message."""

    code = "registry.refused"
    fix = "Read the registry's own message above: it names what it does not accept."


class NotARegistry(RegistryError):
    """Something answered, but it is no registry: a web page, or nothing at /v2/."""

    code = "registry.not-a-registry"
    fix = "Check host and port; a proxy's login page or a web server may be answering in the registry's place."


class BadAnswer(RegistryError):
    """The registry's answer is not what the distribution protocol says."""

    code = "registry.bad-answer"
    fix = "The registry, or a proxy before it, breaks the protocol: report it to its owner, or use another mirror."


def is_web_page(content_type: str | None, body: bytes) -> bool:
    """True when an answer is HTML, by its type or its first bytes."""
    start = body[:256].lstrip().lower()
    return (content_type or "").lower().startswith("text/html") or start.startswith((b"<!doctype html", b"<html"))


def parse_faults(body: bytes) -> tuple[Fault, ...]:
    """The errors in a registry's JSON error body; empty when it holds none."""
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    entries = data.get("errors") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        return ()
    found = [
        Fault(str(item.get("code") or "UNKNOWN")[:100], str(item.get("message") or "")[:1000])
        for item in entries[:20]
        if isinstance(item, dict)
    ]
    return tuple(found)


_BY_STATUS: dict[int, type[RegistryError]] = {401: Unauthorized, 403: Denied, 404: NotFound, 429: RateLimited}


def error_from(
    what: str, *, method: str, url: str, status: int, content_type: str | None, body: bytes
) -> RegistryError:
    """The error for an answer with a failing status; ``body`` is what was read of it (at most 64 KiB)."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    if is_web_page(content_type, body):
        kind: type[RegistryError] = Unavailable if status in RETRYABLE - {429} else NotARegistry
        return kind(
            what,
            why=f"{host} answered with a web page, not a registry (HTTP {status})",
            method=method,
            url=url,
            status=status,
        )
    faults = parse_faults(body)
    why = f"HTTP {status}"
    if faults:
        why = f"{host} says {'; '.join(map(str, faults))} (HTTP {status})"
    elif text := body[:300].decode("utf-8", "replace").strip():
        why = f"{host} says {text!r} (HTTP {status})"
    if status >= 500:
        kind = Unavailable
    else:
        kind = _BY_STATUS.get(status, Refused if 400 <= status < 500 else BadAnswer)
    error = kind(what, why=why, method=method, url=url, status=status)
    error.faults = faults
    return error
