"""A git server on loopback, with real git behind it: ``git http-backend``, optionally guarded, or as plain files."""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
}


def git(directory: Path, *arguments: str, time: int = 1700000000) -> str:
    """The output of real git."""
    date = f"{time} +0000"
    return subprocess.run(
        ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *arguments],
        cwd=directory,
        env={**ENVIRONMENT, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def commit(repository: Path, files: Mapping[str, str], *, time: int = 1700000000, message: str = "change") -> str:
    """Make a commit of text files in a work tree, made when it is missing; returns its name."""
    if not (repository / ".git").exists():
        repository.mkdir(parents=True, exist_ok=True)
        git(repository, "init", "-q")
    for name, text in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "--allow-empty", "-m", message, time=time)
    return git(repository, "rev-parse", "HEAD")


@dataclass
class GitServer:
    """``url(name)`` is the address of the repository ``<root>/<name>``; ``authorization`` is demanded when set.

    With ``dumb`` the files are served as they are. ``broken`` requests are answered with 503 first.
    """

    root: Path
    port: int = 0
    scheme: str = "http"
    authorization: str | None = None
    dumb: bool = False
    broken: int = 0
    requests: list[str] = field(default_factory=list)
    seen: list[str | None] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/{name}"


@contextmanager
def serve_git(root: Path, tls: ssl.SSLContext | None = None) -> Iterator[GitServer]:
    """A server of the repositories in ``root``; its threads end with the block."""
    state = GitServer(root, scheme="https" if tls else "http")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            return None

        def do_GET(self) -> None:
            self._serve(b"")

        def do_POST(self) -> None:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._serve(body)

        def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _serve(self, body: bytes) -> None:
            state.requests.append(f"{self.command} {self.path}")
            state.seen.append(self.headers.get("Authorization"))
            if state.broken:
                state.broken -= 1
                return self._answer(503, {}, b"")
            if state.authorization and self.headers.get("Authorization") != state.authorization:
                return self._answer(401, {"WWW-Authenticate": "Basic"}, b"")
            path, _, query = self.path.partition("?")
            if state.dumb:
                file = root / path.lstrip("/")
                return self._answer(200, {}, file.read_bytes()) if file.is_file() else self._answer(404, {}, b"")
            done = subprocess.run(
                ["git", "http-backend"],
                input=body,
                capture_output=True,
                check=False,
                env={
                    **ENVIRONMENT,
                    "GIT_PROJECT_ROOT": str(root),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "REQUEST_METHOD": self.command,
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(body)),
                    "REMOTE_ADDR": "127.0.0.1",
                },
            )
            head, _, rest = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
            status = int(headers.pop("Status", "200").split()[0])
            return self._answer(status, headers, rest)

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
