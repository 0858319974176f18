"""A web server of files on loopback, with switches for everything that a server may do wrong."""

from __future__ import annotations

import email.utils
import hashlib
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TIME = 1650000000


@dataclass
class FileServer:
    """``files`` by path. ``redirects`` lead elsewhere, ``statuses`` are answered in turn before anything else.

    ``cut`` breaks that many answers off after ``cut_after`` bytes. ``etags``, ``dates``, ``ranges`` and ``conditions``
    say what the server knows of HTTP.
    """

    port: int = 0
    scheme: str = "http"
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    authorization: str | None = None
    etags: bool = True
    dates: bool = True
    ranges: bool = True
    conditions: bool = True
    cut: int = 0
    cut_after: int = 0
    sent: int = 0
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]


@contextmanager
def serve_files(tls: ssl.SSLContext | None = None) -> Iterator[FileServer]:
    """A server; its threads end with the block."""
    state = FileServer(scheme="https" if tls else "http")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            return None

        def _answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if state.cut and len(body) > state.cut_after:
                state.cut -= 1
                body = body[: state.cut_after]
                self.close_connection = True
            state.sent += len(body)  # before the client can have them all, and look
            self.wfile.write(body)

        def do_GET(self) -> None:
            state.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
            path = self.path.partition("?")[0]
            if state.statuses:
                return self._answer(state.statuses.pop(0), {}, b"trouble")
            if path in state.redirects:
                return self._answer(302, {"Location": state.redirects[path]}, b"elsewhere")
            if state.authorization and self.headers.get("Authorization") != state.authorization:
                return self._answer(401, {"WWW-Authenticate": "Basic"}, b"who are you")
            body = state.files.get(path)
            if body is None:
                return self._answer(404, {}, b"nothing here")
            etag, date = f'"{hashlib.md5(body).hexdigest()}"', email.utils.formatdate(TIME, usegmt=True)
            headers = ({"ETag": etag} if state.etags else {}) | ({"Last-Modified": date} if state.dates else {})
            if state.conditions:
                if self.headers.get("If-None-Match") == etag and state.etags:
                    return self._answer(304, headers)
                if "If-None-Match" not in self.headers and self.headers.get("If-Modified-Since") == date:
                    return self._answer(304, headers)
            wanted = self.headers.get("Range")
            if wanted and state.ranges and self.headers.get("If-Range") in (etag, date):
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                return self._answer(206, headers, body[start:])
            return self._answer(200, headers, body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
