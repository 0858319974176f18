"""What clients of package servers print when they do not get what they asked for: one table of their words.

Each pattern is searched in the whole output of apt, git, Maven, npm, pip, pnpm, uv or Yarn. The words are those that
stand for a failure of the network alone: a number such as 401 counts only beside what tells that it is a status.
"""

from __future__ import annotations

import re

UNTRUSTED = re.compile(
    # OpenSSL, and with it Python, git, Ruby
    r"certificate verify failed|unable to (?:get|verify) (?:the |local |first )*(?:issuer|certificate)|SSLError|"
    r"self.signed certificate|certificate is not trusted|"
    # Node.js
    r"SELF_SIGNED_CERT|UNABLE_TO_(?:GET|VERIFY)|CERT_HAS_EXPIRED|"
    # Rust (uv) and GnuTLS (apt)
    r"invalid peer certificate|UnknownIssuer|Certificate verification failed|issuer is unknown|"
    # Java
    r"PKIX path|unable to find valid certification path|SSLHandshakeException|CertificateException",
    re.I,
)
"""The server's certificate is signed by nobody whom the build trusts."""

UNREACHED = re.compile(
    # names of errors, as Node.js and what is written in it print them
    r"\b(?:EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT)\b|"
    r"getaddrinfo (?:failed|E[A-Z]+)|"
    r"socket hang up|Client network socket disconnected|RequestError|"
    r"network timeout|trouble with your network|request to \S+ failed|ERR_PNPM_META_FETCH_FAIL|"
    # names that are not resolved
    r"Temporary failure (?:in name resolution|resolving)|Name or service not known|Could not resolve (?:host|')|"
    r"dns error|failed to lookup address|UnknownHostException|Unknown host\b(?! key)|"
    # connections
    r"Connection (?:refused|reset|closed|failed|timed out)|Connect(?:ion)? timed? ?out|Could not connect|"
    r"Unable to connect|urlopen error timed out|"
    r"Network is unreachable|No route to host|Cannot initiate the connection|Something wicked happened|"
    r"Connect to \S+ .*failed|tcp connect error|client error \(Connect\)|error sending request|"
    r"Max retries exceeded|NewConnectionError|HttpConnectTimeoutException|Read timed out|operation timed out|"
    # servers that are there and do not serve
    r"HTTP status server error|(?:\bE|FETCH_)50[0234]\b|(?:status|response) code:? ?\(?50[0234]\b|"
    r"\b50[0234]:? (?:Internal Server|Server) Error|\b502:? Bad Gateway|\b503:? Service|\b504:? Gateway",
    re.I,
)
"""The server, or its name, was not reached, broke off, or has an error of its own."""

UNCACHED = re.compile(
    r"ENOTCACHED|ERR_PNPM_NO_OFFLINE|Couldn't find any versions for .* in our cache|"
    r"network (?:connectivity )?(?:is|was|are) (?:disabled|unavailable)|in offline mode|"
    r"No cached version .* available for offline",
    re.I,
)
"""The client was told not to ask anybody, and its cache has not all."""

REFUSED = re.compile(
    r"\bE40[13]\b|ENEEDAUTH|ERR_PNPM_FETCH_40[13]|YN0041|YN0033|"
    r"(?:(?:status|response) code|HTTP Error):? ?\(?40[137]\b|\b40[137] (?:Unauthorized|Forbidden|Proxy)|"
    r"\b(?:401|403|407)\b.*(?:Unauthorized|Forbidden|Proxy)|"
    r"authentication token|authori[sz]ation required|(?:not |un)authori[sz]ed\b|need auth",
    re.I,
)
"""The server wants a name, a password or a token that it did not get."""
_REFUSALS = re.compile(r"40[137]")


def refusal(output: str) -> str:
    """The status of a refusal, ``401`` where the words name none; "" when they tell of no refusal."""
    if not (refused := REFUSED.search(output)):
        return ""
    status = _REFUSALS.search(refused[0])
    return status[0] if status else "401"
