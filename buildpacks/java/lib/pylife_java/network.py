"""Whether there is a network to ask at all, and the proxies that lead to it."""

from __future__ import annotations

import socket
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def online() -> bool:
    """Whether any route leads out of this network namespace. Nothing is sent: a datagram socket only looks one up."""
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):  # addresses of nobody
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as handle:
                handle.connect((elsewhere, 9))
                return True
        except OSError:
            continue
    return False


def global_settings(env: Mapping[str, str]) -> str:
    """Maven settings with the proxies of HTTP_PROXY, HTTPS_PROXY and NO_PROXY, which Maven itself does not read."""
    proxies = []
    without = "|".join(
        f"*{host}" if host.startswith(".") else host
        for host in _either(env, "NO_PROXY").replace(" ", "").split(",")
        if host
    )
    for protocol in ("https", "http"):
        url = _either(env, f"{protocol.upper()}_PROXY")
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if url and parts.hostname:
            fields = {
                "id": f"environment-{protocol}",
                "active": "true",
                "protocol": protocol,
                "host": parts.hostname,
                "port": str(parts.port or 3128),
                "username": unquote(parts.username or ""),
                "password": unquote(parts.password or ""),
                "nonProxyHosts": without,
            }
            inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items() if value)
            proxies.append(f"<proxy>{inside}</proxy>")
    return f"<settings><proxies>{''.join(proxies)}</proxies></settings>\n"


def _either(env: Mapping[str, str], name: str) -> str:
    return env.get(name) or env.get(name.lower()) or ""
