"""HTTP for everything that speaks it: connections, TLS, proxies, asking again. Knows no registry and no source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.lazy import exports

if TYPE_CHECKING:
    from lifecycle.transport.client import Answer, Transport
    from lifecycle.transport.errors import Faults, HttpError, redact
    from lifecycle.transport.settings import TransportSettings

__getattr__ = exports(
    __name__,
    {
        "client": ("Answer", "Transport"),
        "errors": ("Faults", "HttpError", "redact"),
        "settings": ("TransportSettings",),
    },
)

__all__ = ["Answer", "Faults", "HttpError", "Transport", "TransportSettings", "redact"]
