"""Talking to what a test has started on this host."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from contextlib import closing


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def page(port: int, process: subprocess.Popen[bytes], seconds: float = 60, path: str = "/") -> str:
    """What the server on ``port`` says, once it listens; fails as soon as ``process`` has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the process ended with {process.returncode}"
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            try:
                connection.request("GET", path)
                return connection.getresponse().read().decode()
            except OSError:
                time.sleep(0.2)
    raise TimeoutError(f"port {port} does not answer")
