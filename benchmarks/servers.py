"""Debian's docker-registry on a free loopback port, for the length of a block."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

_CONFIG = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {directory}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class Registry:
    """A registry that keeps its images in ``directory``; ``host`` is what image names begin with."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._data = directory / "data"
        self._config = directory / "config.yml"
        self._config.write_text(_CONFIG.format(directory=self._data, port=self._port))
        self.host = f"localhost:{self._port}"

    def __enter__(self) -> Registry:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def empty(self) -> None:
        """Forget everything that was pushed."""
        self._stop()
        shutil.rmtree(self._data, ignore_errors=True)
        self._start()

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
                connection.request("GET", "/v2/")
                connection.getresponse()
                return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError("docker-registry does not answer")
