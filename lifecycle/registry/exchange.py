"""The HTTP half of the registry server: answers, errors and bodies. What they mean is in ``server``."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

_BLOCK = 256 * 1024


class Exchange(BaseHTTPRequestHandler):
    """One connection, request by request.

    The methods ``admit``, ``send_file``, ``receive`` and ``answer`` are where a test may interfere.
    """

    protocol_version = "HTTP/1.1"
    server_version = "pylife-registry"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = 300
    _body_read = False
    _answered = False

    def begin(self) -> None:
        """Forget the request before."""
        self._body_read = self._answered = False

    def log_message(self, format: str, *args: object) -> None:
        return None

    def admit(self) -> bool:
        """True to serve the request; whoever returns False has answered it."""
        return True

    def send_file(self, file: BinaryIO, start: int, count: int) -> None:
        """Send ``count`` bytes of a blob's file from ``start`` on, as the body."""
        self.wfile.flush()
        file.seek(start)  # TLS connections read the file from where it stands
        if count:
            self.connection.sendfile(file, start, count)

    def receive(self, take: Callable[[bytes], None]) -> None:
        """Give the request's body to ``take``, piece by piece."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while size := int(self.rfile.readline(1024).split(b";")[0].strip() or b"0", 16):
                self._receive_exactly(size, take)
                self.rfile.readline(8)
            while self.rfile.readline(8192).strip():
                pass
        else:
            self._receive_exactly(int(self.headers.get("Content-Length") or 0), take)

    # Answers

    def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        """Send a whole answer."""
        self.head_of_answer(status, {**(headers or {}), "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str, message: str = "", headers: dict[str, str] | None = None) -> None:
        """Send an error as the protocol has it; what is left of the request's body is not read."""
        self.close_connection = self.close_connection or self._has_body()
        if self._answered:  # too late to say anything: the client sees that the answer breaks off
            self.close_connection = True
            return
        body = json.dumps({"errors": [{"code": code, "message": message or code.replace("_", " ").lower()}]}).encode()
        self.answer(status, {"Content-Type": "application/json", **(headers or {})}, body)

    def answer_json(self, data: object, headers: dict[str, str] | None = None, kind: str = "application/json") -> None:
        self.answer(200, {"Content-Type": kind, **(headers or {})}, json.dumps(data).encode())

    def query(self, name: str) -> str:
        """A query parameter, "" when absent."""
        return parse_qs(urlsplit(self.path).query).get(name, [""])[0]

    def _has_body(self) -> bool:
        length = self.headers.get("Content-Length") or "0"
        return not self._body_read and (length != "0" or "Transfer-Encoding" in self.headers)

    def body(self, limit: int) -> bytes | None:
        """The request's body; None when it is longer than ``limit``."""
        data = bytearray()

        def take(piece: bytes) -> None:
            if len(data) <= limit:
                data.extend(piece)

        self.receive(take)
        self._body_read = True
        return bytes(data) if len(data) <= limit else None

    def _receive_exactly(self, count: int, take: Callable[[bytes], None]) -> None:
        if count < 0:
            raise ValueError("a negative length")
        while count:
            piece = self.rfile.read1(min(_BLOCK, count))
            if not piece:
                raise ConnectionError("the client went away")
            count -= len(piece)
            take(piece)

    def head_of_answer(self, status: int, headers: dict[str, str]) -> None:
        self._answered = True
        self.send_response(status)
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
