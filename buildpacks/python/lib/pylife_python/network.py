"""Why a network failed, as far as a client's words tell it."""

from __future__ import annotations

import re

_TLS = re.compile(
    r"certificate verify failed|invalid peer certificate|UnknownIssuer|unable to get local issuer|SSLError|"
    r"self.signed certificate",
    re.I,
)
_NETWORK = re.compile(
    r"dns error|failed to lookup address|Temporary failure in name resolution|Name or service not known|"
    r"Connection refused|Connection reset|tcp connect error|error sending request|client error \(Connect\)|"
    r"operation timed out|Network is unreachable|Could not connect|Max retries exceeded|NewConnectionError|"
    r"Failed to (fetch|connect)|Read timed out|Request failed after|Could not resolve host|offline|"
    r"network (connectivity )?(is|was|are) (disabled|unavailable)",
    re.I,
)
REFUSED = re.compile(
    r"\b(401|403|407)\b.*(Unauthorized|Forbidden|Proxy)|status code 40[137]|could not be queried", re.I
)


def network_reason(output: str) -> tuple[str, str] | None:
    """Why the network failed, as a clause, and what to do; None when the output is about something else."""
    if _TLS.search(output):
        return (
            "the server's certificate is not trusted here.",
            (
                "If a proxy of your company signs certificates, give its CA file to the build:\n"
                "pylife build --ca-file /path/to/company-ca.pem ..."
            ),
        )
    if REFUSED.search(output):
        return (
            "the package index refused the request.",
            "Check the name and password in PIP_INDEX_URL, PIP_EXTRA_INDEX_URL or UV_INDEX_URL of the build.",
        )
    if _NETWORK.search(output):
        return (
            "the package index cannot be reached.",
            (
                "Check the network, and HTTPS_PROXY, NO_PROXY and PIP_INDEX_URL in the environment of pylife build. "
                "With --network none a build has no network: packages must then be in the cache, in a folder"
                " vendor/ of the app (pip download -d vendor ...) or where PIP_FIND_LINKS says."
            ),
        )
    return None


def unreachable(output: str) -> bool:
    """Whether a server could not be reached, as against one that answers and refuses."""
    return bool(_NETWORK.search(output)) and not _TLS.search(output) and not REFUSED.search(output)
