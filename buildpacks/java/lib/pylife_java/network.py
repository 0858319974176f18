"""Whether there is a network to ask at all, and the proxies that lead to it."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def online() -> bool:
    """Whether any route leads out of this network namespace."""
    for path, is_default in (("/proc/net/route", _default4), ("/proc/net/ipv6_route", _default6)):
        try:
            with open(path, encoding="ascii") as file:
                if any(is_default(line.split()) for line in file):
                    return True
        except OSError:
            continue
    return False


def _default4(fields: list[str]) -> bool:
    return len(fields) > 2 and fields[0] not in ("Iface", "lo")


def _default6(fields: list[str]) -> bool:
    return len(fields) > 9 and fields[-1] != "lo" and not fields[0].startswith("fe80")


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
