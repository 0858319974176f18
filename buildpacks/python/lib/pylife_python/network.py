"""Why a network failed, as far as a client's words tell it."""

from __future__ import annotations

from pylife_sdk.network_failures import REFUSED, UNCACHED, UNREACHED, UNTRUSTED, refusal


def network_reason(output: str) -> tuple[str, str] | None:
    """Why the network failed, as a clause, and what to do; None when the output is about something else."""
    if UNTRUSTED.search(output):
        return (
            "the server's certificate is not trusted here.",
            (
                "If a proxy of your company signs certificates, give its CA file to the build:\n"
                "pylife build --ca-file /path/to/company-ca.pem ...\n"
                "Where the build is a container of its own, mount a bundle that has it and set SSL_CERT_FILE to "
                "its path."
            ),
        )
    if status := refusal(output):
        return (
            f"the package index refused the request (status {status}).",
            (
                "Check the name and password before the host in PIP_INDEX_URL, PIP_EXTRA_INDEX_URL or UV_INDEX_URL of "
                "the build,\nor give them as a binding of the type pip, with the files index-url, username and "
                "password:\npylife build --binding FOLDER ..."
            ),
        )
    if UNREACHED.search(output) or UNCACHED.search(output):
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
    return bool(UNREACHED.search(output)) and not UNTRUSTED.search(output) and not REFUSED.search(output)
