"""What can go wrong with sources that are elsewhere.

RemoteError
 ├─ RemoteUnreachable   no connection, or it broke          ├─ RemoteNotFound   404 or 410
 ├─ RemoteCertificate   TLS does not verify                 ├─ RemoteDenied     401 or 403
 └─ RemoteBadAnswer     not what HTTP says                  └─ RemoteFailed     another failing status
"""

from __future__ import annotations

from urllib.parse import urlsplit

from lifecycle.errors import PylifeError
from lifecycle.transport.errors import HttpError


class RemoteError(HttpError):
    """A file behind a URL could not be had."""

    code = "source.remote"
    fix = "Open the address with another program, for example curl, to see what the server says."


class RemoteUnreachable(RemoteError):
    """The server could not be reached, or the connection kept breaking."""

    code = "source.unreachable"
    fix = "Check the address and your network and proxy settings (HTTPS_PROXY, HTTP_PROXY, NO_PROXY)."
    lost = True
    connected = False


class RemoteCertificate(RemoteError):
    """The server's TLS certificate does not verify."""

    code = "source.bad-certificate"
    fix = "Name the authority with --ca-file FILE (or SSL_CERT_FILE)."


class RemoteBadAnswer(RemoteError):
    """The server's answer makes no sense: endless redirects, a redirect to something else than HTTP."""

    code = "source.bad-answer"
    fix = "Open the address with `curl -vL` to see where it leads, and give the address that it ends at."


class RemoteNotFound(RemoteError):
    """The server has no such file."""

    code = "source.url-not-found"
    fix = "Check the address; a file that needs a login may look missing until credentials are given."


class RemoteDenied(RemoteError):
    """The server wants credentials, or does not accept those it got."""

    code = "source.url-denied"
    fix = "Give a build secret for the host: --secret id=HTTP_AUTH_TOKEN_<host>,env=NAME (or HTTP_AUTH_HEADER_<host>)."


class RemoteFailed(RemoteError):
    """The server answered with another failure, also when asked again."""

    code = "source.url-failed"
    fix = "The fault is on the server's side: try again later."


class BadUrl(PylifeError):
    """An address cannot be understood, or is of a kind that cannot be fetched."""

    code = "source.bad-url"
    exit_code = 2
    fix = "Write the whole address, for example https://files.example/app.tar.gz."


class Offline(PylifeError):
    """A remote source is needed, and no request may be sent."""

    code = "source.offline"
    fix = (
        "Build once with the network, or pin what is fetched: a checksum or commit that the cache has needs no request."
    )


class ChecksumMismatch(PylifeError):
    """What was fetched is not what the checksum names."""

    code = "source.checksum-mismatch"
    fix = "Find out why the content changed; if the new content is right, write its checksum in the old one's place."


class DownloadTooLarge(PylifeError):
    """A download is larger than pylife takes, or than the disk has room for."""

    code = "source.download-too-large"
    fix = "Free some space (`pylife gc`), or check that the address is that of the file you meant."


class GitMissing(PylifeError):
    """A git repository is needed, and this host has no git."""

    code = "source.git-missing"
    fix = "Install it: `apt-get install git` (for ssh:// also openssh-client)."


class BadGitRef(PylifeError):
    """A git address says something that cannot be meant, or that could make git do something else."""

    code = "source.bad-git-ref"
    exit_code = 2
    fix = "Write https://host/path.git#REF:FOLDER, or ?branch=…, ?tag=…, ?subdir=…, ?checksum=COMMIT after the address."


class UnknownGitRef(PylifeError):
    """The repository has no branch, tag or commit of that name."""

    code = "source.unknown-git-ref"
    fix = "List what there is with `git ls-remote URL`."


class GitDenied(PylifeError):
    """The repository wants credentials, or does not accept those it got."""

    code = "source.git-denied"
    fix = (
        "Give a token (--secret id=GIT_AUTH_TOKEN,env=NAME, or GIT_TOKEN in the environment), or for ssh a key in the "
        "agent (--ssh default)."
    )


class GitFailed(PylifeError):
    """git could not fetch or check out the repository; its last words are in the message."""

    code = "source.git-failed"
    fix = "Try `git ls-remote URL` on this host; the message above has git's own reason."


class NoSubdirectory(PylifeError):
    """The folder that was asked for is not in the source, or leads out of it."""

    code = "source.no-subdirectory"
    exit_code = 2
    fix = "Name a folder by its path from the source's top, without a link that leads out."


_BY_STATUS: dict[int, type[RemoteError]] = {
    401: RemoteDenied,
    403: RemoteDenied,
    404: RemoteNotFound,
    407: RemoteDenied,
    410: RemoteNotFound,
}


def error_of_answer(
    what: str, *, method: str, url: str, status: int, content_type: str | None, body: bytes
) -> RemoteError:
    """The error for an answer with a failing status."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    return _BY_STATUS.get(status, RemoteFailed)(
        what, why=f"{host} answered with HTTP {status}", method=method, url=url, status=status
    )
