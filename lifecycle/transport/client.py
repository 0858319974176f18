"""HTTP as the rest of pylife sees it: one request out, one answer back. The only file that imports the HTTP client.

No retries, no redirects and no credentials here: whoever sends decides about those. Connections are pooled and shared
by all threads; the client is imported and made at the first request, so that start-up does not pay for it.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Generic
from urllib.parse import urlsplit

from lifecycle import __version__
from lifecycle.transport.errors import ERROR_BODY_LIMIT, E, Faults, HttpError
from lifecycle.transport.settings import TransportSettings, system_bundle

if TYPE_CHECKING:
    import httpx2

_DIRECT = ("all://localhost", "all://127.0.0.0/8", "all://[::1]")


class Answer(Generic[E]):
    """A response whose body has not been read yet. Whoever gets one closes it; reading to the end does so too."""

    def __init__(self, method: str, url: str, response: httpx2.Response, faults: Faults[E]) -> None:
        self.method = method
        self.url = url
        self.status = response.status_code
        self._response = response
        self._faults = faults

    def header(self, name: str) -> str | None:
        """The header's value, several joined with ", "; None when absent."""
        return self._response.headers.get(name)

    def header_list(self, name: str) -> list[str]:
        """The values of a header that may come several times."""
        return self._response.headers.get_list(name)

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives, not decoded; raises ``unreachable`` when it ends too early or stalls."""
        with _translated(self._faults, self.method, self.url, "The answer broke off"):
            yield from self._response.iter_raw()

    def read(self, limit: int) -> bytes:
        """The whole body, and the connection is free again; raises ``bad_answer`` when it is longer than ``limit``."""
        parts, size = [], 0
        with self:
            for chunk in self.chunks():
                size += len(chunk)
                if size > limit:
                    raise self._faults.bad_answer(
                        "The answer is too long", why=f"the limit is {limit} bytes", **self.place
                    )
                parts.append(chunk)
        return b"".join(parts)

    def drain(self) -> None:
        """Throw a short body away so that the connection can be used again; close it when the body is long."""
        self.read_start(ERROR_BODY_LIMIT)

    def read_start(self, limit: int) -> bytes:
        """At most the first ``limit`` bytes of the body, whatever happens to it later; then the answer is closed."""
        data = bytearray()
        with self:
            try:
                for chunk in self.chunks():
                    data += chunk
                    if len(data) > limit:
                        break
            except HttpError:
                pass  # the status is already known, and the body only explains it
        return bytes(data[:limit])

    def error(self, what: str) -> E:
        """The error that this failing answer means; reads and closes it."""
        body = b"" if self.method == "HEAD" else self.read_start(ERROR_BODY_LIMIT)
        self.close()
        return self._faults.of_answer(
            what,
            method=self.method,
            url=self.url,
            status=self.status,
            content_type=self.header("content-type"),
            body=body,
        )

    @property
    def place(self) -> _Place:
        return {"method": self.method, "url": self.url, "status": self.status}

    def close(self) -> None:
        self._response.close()

    def __enter__(self) -> Answer[E]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


if TYPE_CHECKING:
    from typing import TypedDict

    class _Place(TypedDict):
        method: str
        url: str
        status: int


class Transport(Generic[E]):
    """Sends requests; one for each kind of work in the process. Safe to use from many threads."""

    def __init__(self, settings: TransportSettings, faults: Faults[E]) -> None:
        self._settings = settings
        self._faults = faults
        self._lock = threading.Lock()
        self._clients: dict[str, httpx2.Client] = {}

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None = None
    ) -> Answer[E]:
        """The answer to one request, its body unread. No status is an error here.

        Raises what ``Faults`` has for ``unreachable`` and ``bad_certificate``.
        """
        with _translated(self._faults, method, url, f"{urlsplit(url).netloc.rpartition('@')[2]} cannot be reached"):
            client = self._client(url)
            request = client.build_request(method, url, headers=dict(headers), content=body)
            return Answer(method, url, client.send(request, stream=True), self._faults)

    def close(self) -> None:
        """Close every connection; the transport may be used again afterwards."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def _client(self, url: str) -> httpx2.Client:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        folders = [path for root in self._settings.certs_dirs if (path := root / host).is_dir()]
        if parts.scheme != "https":
            key = "plain"
        elif self._settings.is_insecure(host):
            key = f"unverified {host if folders else ''}"
        else:
            key = f"verified {host if folders else ''}"
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._make_client(self._context(key.split()[0], folders))
            return self._clients[key]

    def _context(self, kind: str, folders: list[Path]) -> ssl.SSLContext:
        if kind != "verified":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context = ssl.create_default_context()  # honours SSL_CERT_FILE and SSL_CERT_DIR
            paths = ssl.get_default_verify_paths()
            if paths.cafile is None and paths.capath is None:
                bundle = system_bundle()
                if bundle is not None:
                    context.load_verify_locations(bundle)
        authorities = [*self._settings.ca_files, *(path for folder in folders for path in sorted(folder.glob("*.crt")))]
        for path in authorities if kind == "verified" else ():
            try:
                context.load_verify_locations(path)
            except OSError as error:
                raise self._faults.bad_certificate(f"{path} holds no usable CA certificates", why=str(error)) from error
        for folder in folders if kind != "plain" else ():
            for certificate in sorted(folder.glob("*.cert")):
                try:
                    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
                except OSError as error:
                    raise self._faults.bad_certificate(
                        f"{certificate} is no usable client certificate", why=str(error)
                    ) from error
        return context

    def _make_client(self, context: ssl.SSLContext) -> httpx2.Client:
        import httpx2

        settings = self._settings
        stall = settings.stall_timeout
        try:
            return httpx2.Client(
                verify=context,
                headers={"User-Agent": f"pylife/{__version__}", "Accept-Encoding": "identity", "Accept": "*/*"},
                timeout=httpx2.Timeout(connect=settings.connect_timeout, read=stall, write=stall, pool=None),
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=30.0),
                mounts=dict.fromkeys(_DIRECT),
                follow_redirects=False,
            )
        except (ImportError, ValueError, httpx2.InvalidURL) as error:
            raise self._faults.unreachable(
                "The proxy settings in the environment cannot be used", why=str(error)
            ) from error


@contextmanager
def _translated(faults: Faults[E], method: str, url: str, what: str) -> Iterator[None]:
    """Turn the HTTP client's exceptions into ours, which name the request and what to do."""
    import httpx2

    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
        if _is_certificate_trouble(error):
            raise faults.bad_certificate(what, why=str(error), method=method, url=url) from error
        raise faults.unreachable(what, why=_reason(error), method=method, url=url) from error
    except httpx2.TimeoutException as error:
        raise _broken(faults, what, "nothing came for too long", method, url) from error
    except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise faults.bad_answer("An address cannot be used", why=str(error), method=method, url=url) from error
    except httpx2.TransportError as error:
        raise _broken(faults, what, _reason(error), method, url) from error


def _broken(faults: Faults[E], what: str, why: str, method: str, url: str) -> E:
    error = faults.unreachable(what, why=why, method=method, url=url)
    error.connected = True
    return error


def _reason(error: Exception) -> str:
    """What the library says, without the numbers of the C library."""
    return re.sub(r"\[Errno -?\d+\] ", "", str(error)) or type(error).__name__


def _is_certificate_trouble(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
