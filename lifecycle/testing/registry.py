"""A registry that misbehaves on command: the real server, with faults that a test switches on.

    with FaultyRegistry() as registry:
        registry.fault(DropBody(after=1000), method="GET", path="/blobs/")

A fault is taken by the first request that fits, ``times`` times (None: always), the oldest fault first.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from lifecycle.registry.gate import Gate
from lifecycle.registry.server import RegistryHandler, RegistryServer


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer with this instead of serving the request."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def html(status: int = 200) -> Reply:
    """A web page, as a login portal or a reverse proxy sends it."""
    return Reply(status, {"Content-Type": "text/html; charset=utf-8"}, b"<!DOCTYPE html><html><h1>Sign in</h1></html>")


def failure(status: int, code: str = "", message: str = "", headers: dict[str, str] | None = None) -> Reply:
    """A status with the registry's error body."""
    body = f'{{"errors":[{{"code":"{code}","message":"{message}"}}]}}'.encode() if code else b""
    return Reply(status, {"Content-Type": "application/json", **(headers or {})}, body)


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection without any answer."""


@dataclass(frozen=True, slots=True)
class DropAnswer:
    """Do what the request asks for, then close the connection without saying so."""


@dataclass(frozen=True, slots=True)
class DropBody:
    """Send only the first ``after`` bytes of a blob, then close the connection."""

    after: int


@dataclass(frozen=True, slots=True)
class DropUpload:
    """Take and keep only the first ``after`` bytes of an upload's body, then close the connection."""

    after: int


@dataclass(frozen=True, slots=True)
class Corrupt:
    """Send the blob or manifest with its byte at ``at`` changed, headers as if nothing were."""

    at: int = 0


@dataclass(frozen=True, slots=True)
class Surplus:
    """Send more bytes than the blob has, and say so."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Without:
    """Serve as if the request lacked this header or query parameter, or the answer this header."""

    header: str = ""
    parameter: str = ""
    answer_header: str = ""


@dataclass(frozen=True, slots=True)
class Slow:
    """Wait this many seconds before serving."""

    seconds: float


Fault = Reply | Drop | DropAnswer | DropBody | DropUpload | Corrupt | Surplus | Without | Slow


@dataclass(slots=True)
class _Armed:
    fault: Fault
    method: str
    path: re.Pattern[str]
    left: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came in; ``headers`` with lower-case names."""

    method: str
    path: str
    headers: dict[str, str]


class FaultyRegistry(RegistryServer):
    """A RegistryServer with switches, and a record of every request (``seen``)."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        gate: Gate | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        super().__init__(folder, host=host, gate=gate, tls=tls, handler=_FaultyHandler)
        self.seen: list[Seen] = []
        self._armed: list[_Armed] = []
        self._arming = threading.Lock()

    def __enter__(self) -> FaultyRegistry:
        super().__enter__()
        return self

    def fault(self, fault: Fault, *, method: str = "", path: str = "", times: int | None = 1) -> None:
        """Let a fault happen to requests of ``method`` (any when empty) whose path has the expression ``path``."""
        with self._arming:
            self._armed.append(_Armed(fault, method, re.compile(path), times))

    def requests(self, method: str = "", path: str = "") -> list[Seen]:
        """The recorded requests of a method whose path has the expression ``path``, in order."""
        return [item for item in self.seen if method in ("", item.method) and re.search(path, item.path)]

    def take_faults(self, method: str, path: str) -> list[Fault]:
        """The faults for this request: each kind at most once, and none after one that ends the request."""
        taken: dict[type, Fault] = {}
        with self._arming:
            for armed in self._armed:
                if type(armed.fault) in taken or armed.left == 0:
                    continue
                if armed.method in ("", method) and armed.path.search(path):
                    taken[type(armed.fault)] = armed.fault
                    if armed.left is not None:
                        armed.left -= 1
                    if isinstance(armed.fault, Reply | Drop):
                        break
        return list(taken.values())


class _FaultyHandler(RegistryHandler):
    registry: RegistryServer
    _faults: list[Fault]

    def admit(self) -> bool:
        registry = self.registry
        assert isinstance(registry, FaultyRegistry)
        registry.seen.append(
            Seen(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        )
        self._faults = registry.take_faults(self.command, self.path)
        for fault in self._faults:
            match fault:
                case Slow(seconds):
                    time.sleep(seconds)
                case Without(header, parameter, _):
                    if header:
                        del self.headers[header]
                    if parameter:
                        self.path = re.sub(rf"{re.escape(parameter)}=[^&]*&?", "", self.path)
                case Reply(status, headers, body):
                    if int(self.headers.get("Content-Length") or 0):
                        self.close_connection = True
                    self.answer(status, headers, body)
                    return False
                case Drop():
                    self._hang_up()
                    return False
        return True

    def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        for fault in self._faults:
            if isinstance(fault, DropAnswer):
                self._hang_up()
                return
            if isinstance(fault, Corrupt) and body:
                body = _flipped(body, fault.at)
        super().answer(status, headers, body)

    def send_header(self, keyword: str, value: str) -> None:
        for fault in getattr(self, "_faults", ()):
            if isinstance(fault, Without) and fault.answer_header.lower() == keyword.lower():
                return
            if isinstance(fault, Surplus) and keyword == "Content-Length":
                value = str(int(value) + fault.count)
        super().send_header(keyword, value)

    def send_file(self, file: BinaryIO, start: int, count: int) -> None:
        for fault in self._faults:
            match fault:
                case DropBody(after):
                    super().send_file(file, start, min(after, count))
                    self._hang_up(graceful=True)
                    return
                case Corrupt(at):
                    file.seek(start)
                    self.wfile.write(_flipped(file.read(count), at))
                    return
                case Surplus(extra):
                    super().send_file(file, start, count)
                    self.wfile.write(b"x" * extra)
                    return
        super().send_file(file, start, count)

    def receive(self, take: Callable[[bytes], None]) -> None:
        left = next((fault.after for fault in self._faults if isinstance(fault, DropUpload)), None)
        if left is None:
            super().receive(take)
            return

        def take_some(piece: bytes) -> None:
            nonlocal left
            assert left is not None
            take(piece[:left])
            left -= min(left, len(piece))
            if not left:
                self._hang_up()
                raise ConnectionError("dropped by a fault")

        super().receive(take_some)

    def _hang_up(self, graceful: bool = False) -> None:
        """Close the connection now; not gracefully means that the client sees a reset."""
        self.close_connection = True
        self.wfile.flush()
        if not graceful:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)


def _flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at % len(changed)] ^= 0xFF
    return bytes(changed)
