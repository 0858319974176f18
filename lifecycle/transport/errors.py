"""What can go wrong over HTTP. Each kind of work has errors of its own, with its own advice: ``Faults`` names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from lifecycle.errors import PylifeError

RETRYABLE = frozenset({429, 500, 502, 503, 504})
ERROR_BODY_LIMIT = 64 * 1024
_SHOWN_PARAMETERS = frozenset({"digest", "mount", "from", "n", "last", "scope", "service", "artifactType"})


class HttpError(PylifeError):
    """A request failed. ``url`` is redacted.

    ``lost`` is True when the connection could not be made or broke, so that asking again may help; ``connected`` is
    False when it was never made. ``final`` is True once trying again has been given up: an outer loop must not begin
    anew.
    """

    code = "http.failed"
    fix = "Check the address, that the server runs, and your network and proxy settings (HTTPS_PROXY, NO_PROXY)."
    final: bool = False
    lost: bool = False
    connected: bool = True

    def __init__(
        self,
        what: str,
        *,
        why: str | None = None,
        fix: str | None = None,
        method: str = "",
        url: str = "",
        status: int | None = None,
        details: str | None = None,
    ) -> None:
        shown = redact(url)
        super().__init__(what, why=why, fix=fix, where=f"{method} {shown}".strip() or None, details=details)
        self.method = method
        self.url = shown
        self.status = status

    def as_dict(self) -> dict[str, object]:
        return {**super().as_dict(), **({} if self.status is None else {"status": self.status})}


E = TypeVar("E", bound=HttpError)


@dataclass(frozen=True, slots=True)
class Faults(Generic[E]):
    """The errors of one kind of work: no connection or a broken one, TLS that does not verify, an answer that makes
    no sense, and the error for a failing answer (``what, *, method, url, status, content_type, body``)."""

    unreachable: type[E]
    bad_certificate: type[E]
    bad_answer: type[E]
    of_answer: Callable[..., E]


def redact(url: str) -> str:
    """``url`` without user information and without the values of query parameters that may be secrets."""
    if not url:
        return ""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = [(key, value if key in _SHOWN_PARAMETERS else "…") for key, value in parse_qsl(parts.query, True)]
    shown = urlencode(query, safe=":/,@").replace(quote("…"), "…")
    return urlunsplit((parts.scheme, host, parts.path, shown, ""))
