"""An object store on loopback: it checks signatures by AWS's own signer, and can do everything wrong that one can.

Objects lie at ``/bucket/key``. What is below ``/open/`` needs no signature, as a signed URL has it in its query.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEY, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-west-1"
DENIED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


@dataclass
class ObjectServer:
    """``objects`` by path. ``statuses`` are answered in turn before anything else, to requests of ``fails``.

    ``cut`` breaks that many uploads off in their middle; ``stall`` answers that many not within ``stall_seconds``.
    ``silent`` takes that many uploads and answers nothing. ``early`` answers before the body was read, and closes.
    ``refused`` are paths that take nothing (403).
    """

    port: int = 0
    objects: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    fails: tuple[str, ...] = ("PUT",)
    redirects: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    stall: int = 0
    stall_seconds: float = 5.0
    early: bool = False
    silent: int = 0
    refused: set[str] = field(default_factory=set)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which pylife reaches and signs for this store."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "S3_ENDPOINT": f"http://127.0.0.1:{self.port}",
        }

    def methods(self, path: str) -> list[str]:
        """The methods of the requests for a path."""
        return [method for method, asked, _ in self.requests if asked.partition("?")[0] == path]


def fault_of(method: str, url: str, headers: dict[str, str], body: bytes) -> str:
    """What is wrong with a request's signature, empty when nothing is."""
    told = headers.get("authorization", "")
    found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\S+?),\s*SignedHeaders=(\S+?),\s*Signature=(\w+)", told)
    if found is None:
        return "no signature"
    date = headers["x-amz-date"]
    if found[1] != f"{KEY}/{date[:8]}/{REGION}/s3/aws4_request":
        return "another credential"
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    if abs((datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ") - now).total_seconds()) > 900:
        return "expired"
    if headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
        return "another body"
    signed = found[2].split(";")
    unsigned = [name for name in headers if name.startswith("x-amz-") and name not in signed]
    if unsigned or "host" not in signed:
        return f"unsigned headers: {unsigned}"
    request = AWSRequest(method, url, headers={name: headers[name] for name in signed})
    request.context["timestamp"] = date
    signer = S3SigV4Auth(Credentials(KEY, SECRET), "s3", REGION)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return "" if signer.signature(text, request) == found[3] else "another signature"


@contextmanager
def serve_objects() -> Iterator[ObjectServer]:
    """A server; its threads end with the block."""
    state = ObjectServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            return None

        def _answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _serve(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.requests.append((self.command, self.path, headers))
            path = self.path.partition("?")[0]
            size = int(headers.get("content-length", "0"))
            fails = self.command in state.fails
            if fails and state.cut:
                state.cut -= 1
                self.rfile.read(size // 2)
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)  # closes with a reset
                self.connection.close()
                return None
            if state.early and fails:
                self.close_connection = True
                self._answer(413, {"Connection": "close"}, b"too much")
                self.connection.shutdown(socket.SHUT_WR)
                while self.rfile.read(1 << 16):  # closing with bytes unread would reset the connection
                    pass
                return None
            body = self.rfile.read(size)
            if fails and state.stall:
                state.stall -= 1
                self.close_connection = True
                return time.sleep(state.stall_seconds)
            if fails and state.statuses:
                status = state.statuses.pop(0)
                return self._answer(status, {"Content-Type": "application/xml"}, DENIED if status == 403 else b"")
            if self.command == "PUT" and path in state.refused:
                return self._answer(403, {"Content-Type": "application/xml"}, DENIED)
            if path in state.redirects:
                return self._answer(307, {"Location": state.redirects[path]})
            if not path.startswith("/open/"):
                fault = fault_of(self.command, state.url(self.path), headers, body)
                if fault:
                    text = f"<Error><Code>SignatureDoesNotMatch</Code><Message>{fault}</Message></Error>"
                    return self._answer(403, {"Content-Type": "application/xml"}, text.encode())
            if self.command == "PUT":
                noted = {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
                state.objects[path] = body, noted
                if state.silent:
                    state.silent -= 1
                    self.close_connection = True
                    return None
                return self._answer(200)
            if path not in state.objects:
                return self._answer(404, {}, b"<Error><Code>NoSuchKey</Code></Error>")
            return self._answer(200, state.objects[path][1], state.objects[path][0])

        def do_PUT(self) -> None:
            with suppress(ConnectionError):
                self._serve()

        do_GET = do_HEAD = do_PUT

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
