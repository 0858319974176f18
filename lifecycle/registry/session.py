"""Requests to registries that are let in, sent on and repeated as they must: the layer between client and transport.

Knows where a registry's API is (scheme, docker.io's real host), authorizes, follows redirects without taking
credentials to another host, and repeats what may be repeated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urljoin, urlsplit

from lifecycle.events import Sink
from lifecycle.oci import Reference
from lifecycle.record import dataclass
from lifecycle.registry.auth import Authorizer, Scopes
from lifecycle.registry.credentials import Keychain
from lifecycle.registry.errors import (
    BadAnswer,
    BadCertificate,
    NotARegistry,
    RegistryError,
    Unauthorized,
    Unreachable,
    is_web_page,
)
from lifecycle.registry.settings import RegistrySettings
from lifecycle.registry.transport import Answer, open_transport
from lifecycle.transport.errors import RETRYABLE
from lifecycle.transport.retry import Patience, send_patiently

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REDIRECT_LIMIT = 5
_HOSTS = {"docker.io": "registry-1.docker.io"}


@dataclass(frozen=True, slots=True)
class Access:
    """Which repository a request is about, and the scopes it needs there."""

    registry: str
    repository: str
    scopes: Scopes

    @classmethod
    def pull(cls, ref: Reference) -> Access:
        """The right to read."""
        return cls(ref.registry, ref.repository, frozenset({f"repository:{ref.repository}:pull"}))

    @classmethod
    def push(cls, ref: Reference, mount_from: str | None = None) -> Access:
        """The right to write, and to read another repository of the registry that a blob is mounted from."""
        scopes = {f"repository:{ref.repository}:pull,push"}
        if mount_from is not None:
            scopes.add(f"repository:{mount_from}:pull")
        return cls(ref.registry, ref.repository, frozenset(scopes))

    @classmethod
    def delete(cls, ref: Reference) -> Access:
        """The right to remove."""
        return cls(ref.registry, ref.repository, frozenset({f"repository:{ref.repository}:delete,pull,push"}))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registry's API: ``base`` is ``scheme://host[:port]``."""

    registry: str
    base: str
    authorizer: Authorizer

    def url(self, path_or_location: str) -> str:
        """An absolute URL for a path, or for a Location header: relative or absolute, its query kept.

        A registry behind a TLS proxy may name itself with http://; that is read as https://.
        """
        url = urljoin(self.base + "/", path_or_location)
        base, found = urlsplit(self.base), urlsplit(url)
        if base.scheme == "https" and found.scheme == "http" and found.netloc == base.netloc:
            url = "https" + url[4:]
        return url

    def resolve(self, location: str, at: str) -> str:
        """The absolute URL of a Location header in the answer from ``at``."""
        return self.url(urljoin(at, location))

    def owns(self, url: str) -> bool:
        """True when ``url`` is on this registry itself, so that credentials may go there."""
        return _origin(url) == _origin(self.base)


class Session:
    """Everything that is remembered about registries while the process runs. Safe to use from many threads."""

    def __init__(self, settings: RegistrySettings, keychain: Keychain, sink: Sink) -> None:
        self.settings = settings
        self.sink = sink
        self._keychain = keychain
        self._transport = open_transport(settings)
        self._lock = threading.Lock()
        self._endpoints: dict[str, Endpoint] = {}
        self._locks: dict[str, threading.Lock] = {}

    def patience(self) -> Patience:
        """A fresh count of tries."""
        return Patience(self.settings, self.sink)

    def request(
        self,
        method: str,
        access: Access,
        path: str,
        *,
        what: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        patience: Patience | None = None,
    ) -> Answer:
        """The answer to a request that may be repeated; its status is never a passing trouble and never 401."""
        patience = patience or self.patience()
        return send_patiently(
            lambda: self.once(method, access, path, what=what, headers=headers, body=body),
            patience,
            what,
        )

    def once(
        self,
        method: str,
        access: Access,
        path: str,
        *,
        what: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Callable[[], Iterable[bytes]] | None = None,
    ) -> Answer:
        """The answer to one try. A 401 renews the authorization once; then it raises Unauthorized.

        ``body`` may be a function giving chunks; it is called again when the request must be sent again.
        """
        endpoint = self.endpoint(access.registry)
        url = endpoint.url(path)
        renewed = False
        redirects = 0
        while True:
            sent = dict(headers or {})
            own = endpoint.owns(url)
            header = endpoint.authorizer.header(access.repository, access.scopes) if own else None
            if header:
                sent["Authorization"] = header
            answer = self._transport.send(method, url, sent, body() if callable(body) else body)
            if answer.status == 401 and own:
                endpoint.authorizer.learn(answer.header_list("www-authenticate"))
                if renewed or not answer.header_list("www-authenticate"):
                    raise self._unauthorized(answer, endpoint, access.repository, what)
                renewed = True
                endpoint.authorizer.forget(header)
                answer.drain()
                continue
            location = answer.header("location")
            if answer.status in _REDIRECTS and location and self._may_follow(method, answer.status):
                redirects += 1
                if redirects > _REDIRECT_LIMIT:
                    raise BadAnswer(what, why=f"more than {_REDIRECT_LIMIT} redirects", **answer.place)
                if urlsplit(urljoin(url, location)).scheme not in ("http", "https"):
                    raise BadAnswer(what, why="it redirects to something that is not HTTP", **answer.place)
                answer.drain()
                url = endpoint.url(urljoin(url, location))
                continue
            return answer

    def endpoint(self, registry: str) -> Endpoint:
        """Where a registry's API is; asked of the registry once, whichever thread comes first."""
        with self._lock:
            if found := self._endpoints.get(registry):
                return found
            lock = self._locks.setdefault(registry, threading.Lock())
        with lock:
            with self._lock:
                if found := self._endpoints.get(registry):
                    return found
            found = self._find(registry)
            with self._lock:
                self._endpoints[registry] = found
            return found

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    @staticmethod
    def _may_follow(method: str, status: int) -> bool:
        return method in ("GET", "HEAD") or status in (307, 308)

    def _unauthorized(self, answer: Answer, endpoint: Endpoint, repository: str, what: str) -> RegistryError:
        error = answer.error(what)
        origin = endpoint.authorizer.origin(repository)
        if not isinstance(error, Unauthorized):
            return error
        seen = f"credentials from {origin} were sent" if origin else "no credentials were found"
        error.why = f"{error.why}; {seen}"
        return error

    def _find(self, registry: str) -> Endpoint:
        patience = self.patience()
        while True:
            failures: list[RegistryError] = []
            for scheme in self.settings.schemes(registry):
                base = f"{scheme}://{_HOSTS.get(registry, registry)}"
                try:
                    return self._ping(registry, base)
                except (Unreachable, BadCertificate, NotARegistry) as error:
                    failures.append(error)
            failure = max(failures, key=_how_telling)
            if not isinstance(failure, Unreachable):
                raise failure
            patience.wait(failure)

    def _ping(self, registry: str, base: str) -> Endpoint:
        url = f"{base}/v2/"
        what = f"{registry} cannot be used as a registry"
        patience = self.patience()

        def send(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
            asked = f"The token service of {registry} failed"
            return send_patiently(lambda: self._transport.send(method, url, headers, body), self.patience(), asked)

        while True:
            answer = self._transport.send("GET", url, {})
            if answer.status not in RETRYABLE:
                break
            patience.wait(answer.error(what))
        authorizer = Authorizer(registry, base, self._keychain, send)
        if answer.status == 401:
            authorizer.learn(answer.header_list("www-authenticate"))
            answer.drain()
        elif answer.status == 200:
            start = answer.read_start(1024)
            if is_web_page(answer.header("content-type"), start):
                why = f"{urlsplit(base).netloc} answered with a web page, not a registry"
                raise NotARegistry(what, why=why, **answer.place)
        elif answer.status == 403:
            answer.drain()  # some registries guard the bare API and still serve repositories
        else:
            error = answer.error(what)
            raise NotARegistry(what, why=f"nothing serves /v2/ there: {error.why}", **answer.place)
        return Endpoint(registry, base, authorizer)


def _how_telling(error: RegistryError) -> int:
    """Which of the failures of a host's two schemes tells more: a server of the other scheme fails in odd ways."""
    match error:
        case BadCertificate(url=""):  # a certificate file of our own
            return 4
        case BadCertificate(why=why) if why and "CERTIFICATE_VERIFY_FAILED" in why:
            return 3
        case NotARegistry():
            return 2
        case Unreachable():
            return 1
    return 0


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
